"""Planners of nnU-Net that know what SGDC costs; installed as nnunet_sgdc.planners."""

from nnunet_sgdc.compatibility import require_supported_nnunet

require_supported_nnunet()

from nnunet_sgdc.planners.errors import PlanningError  # noqa: E402  an unsupported nnU-Net fails above, in one sentence
from nnunet_sgdc.planners.presets import (  # noqa: E402
    nnUNetPlannerSGDCResEncL,
    nnUNetPlannerSGDCResEncM,
    nnUNetPlannerSGDCResEncXL,
)
from nnunet_sgdc.planners.sgdc import nnUNetPlannerSGDC  # noqa: E402

__all__ = [
    "PlanningError",
    "nnUNetPlannerSGDC",
    "nnUNetPlannerSGDCResEncL",
    "nnUNetPlannerSGDCResEncM",
    "nnUNetPlannerSGDCResEncXL",
]
