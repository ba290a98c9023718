"""The short training of the demonstration; other lengths are said in names, see nnunet_sgdc.trainers.named."""

from nnunet_sgdc.trainers.sgdc import nnUNetTrainerSGDC


class nnUNetTrainerSGDC_demo(nnUNetTrainerSGDC):
    """Train for the few minutes on a CPU that `nnunet_sgdc-demo` takes."""

    epochs = 10
    iterations_per_epoch = 25
    val_iterations_per_epoch = 5
