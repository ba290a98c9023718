"""The trainers that `nnUNetv2_train -tr` finds; installed as nnunet_sgdc.trainers."""

from nnunet_sgdc.compatibility import require_supported_nnunet

require_supported_nnunet()

from nnunet_sgdc.trainers.lengths import (  # noqa: E402  an unsupported nnU-Net fails above, in one sentence
    nnUNetTrainerSGDC_1epoch,
    nnUNetTrainerSGDC_5epochs,
    nnUNetTrainerSGDC_20epochs,
    nnUNetTrainerSGDC_50epochs,
    nnUNetTrainerSGDC_100epochs,
    nnUNetTrainerSGDC_250epochs,
    nnUNetTrainerSGDC_500epochs,
    nnUNetTrainerSGDC_demo,
)
from nnunet_sgdc.trainers.sgdc import nnUNetTrainerSGDC  # noqa: E402

__all__ = [
    "nnUNetTrainerSGDC",
    "nnUNetTrainerSGDC_1epoch",
    "nnUNetTrainerSGDC_5epochs",
    "nnUNetTrainerSGDC_20epochs",
    "nnUNetTrainerSGDC_50epochs",
    "nnUNetTrainerSGDC_100epochs",
    "nnUNetTrainerSGDC_250epochs",
    "nnUNetTrainerSGDC_500epochs",
    "nnUNetTrainerSGDC_demo",
]
