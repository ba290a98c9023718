"""The trainers that `nnUNetv2_train -tr` finds; installed as nnunet_sgdc.trainers."""

from typing import Any

from nnunet_sgdc.compatibility import require_supported_nnunet

require_supported_nnunet()

from nnunet_sgdc.trainers.controls import (  # noqa: E402  an unsupported nnU-Net fails above, in one sentence
    nnUNetTrainerBoundary,
    nnUNetTrainerPooledDynamicConv,
    nnUNetTrainerSGDCNoBoundaryLoss,
    nnUNetTrainerStaticConv,
    nnUNetTrainerStaticConvEqualFLOPs,
)
from nnunet_sgdc.trainers.demo import nnUNetTrainerSGDC_demo  # noqa: E402
from nnunet_sgdc.trainers.named import named_trainer  # noqa: E402
from nnunet_sgdc.trainers.sgdc import nnUNetTrainerSGDC  # noqa: E402

__all__ = [
    "nnUNetTrainerBoundary",
    "nnUNetTrainerPooledDynamicConv",
    "nnUNetTrainerSGDC",
    "nnUNetTrainerSGDCNoBoundaryLoss",
    "nnUNetTrainerSGDC_demo",
    "nnUNetTrainerStaticConv",
    "nnUNetTrainerStaticConvEqualFLOPs",
]


def __getattr__(name: str) -> Any:
    """Trainers of a length or seed that their name says, as nnU-Net asks for them."""
    trainer = named_trainer(name)
    if trainer is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return trainer
