"""The training lengths that nnU-Net users know, and the short one of the demonstration."""

from nnunet_sgdc.trainers.sgdc import nnUNetTrainerSGDC


class nnUNetTrainerSGDC_1epoch(nnUNetTrainerSGDC):
    """Train for 1 epoch."""

    epochs = 1


class nnUNetTrainerSGDC_5epochs(nnUNetTrainerSGDC):
    """Train for 5 epochs."""

    epochs = 5


class nnUNetTrainerSGDC_20epochs(nnUNetTrainerSGDC):
    """Train for 20 epochs."""

    epochs = 20


class nnUNetTrainerSGDC_50epochs(nnUNetTrainerSGDC):
    """Train for 50 epochs."""

    epochs = 50


class nnUNetTrainerSGDC_100epochs(nnUNetTrainerSGDC):
    """Train for 100 epochs."""

    epochs = 100


class nnUNetTrainerSGDC_250epochs(nnUNetTrainerSGDC):
    """Train for 250 epochs."""

    epochs = 250


class nnUNetTrainerSGDC_500epochs(nnUNetTrainerSGDC):
    """Train for 500 epochs."""

    epochs = 500


class nnUNetTrainerSGDC_demo(nnUNetTrainerSGDC):
    """Train for the few minutes on a CPU that `nnunet_sgdc-demo` takes."""

    epochs = 10
    iterations_per_epoch = 25
    val_iterations_per_epoch = 5
