"""nnU-Net's residual-encoder presets with SGDC."""

from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
    nnUNetPlannerResEncL,
    nnUNetPlannerResEncM,
    nnUNetPlannerResEncXL,
)

from nnunet_sgdc.planners.grafting import GraftingPlanner


class nnUNetPlannerSGDCResEncM(GraftingPlanner, nnUNetPlannerResEncM):
    """Plan nnU-Net's preset M, for 8 GB, with SGDC."""

    default_plans_name = "nnUNetSGDCResEncUNetMPlans"


class nnUNetPlannerSGDCResEncL(GraftingPlanner, nnUNetPlannerResEncL):
    """Plan nnU-Net's preset L, for 24 GB, with SGDC."""

    default_plans_name = "nnUNetSGDCResEncUNetLPlans"


class nnUNetPlannerSGDCResEncXL(GraftingPlanner, nnUNetPlannerResEncXL):
    """Plan nnU-Net's preset XL, for 40 GB, with SGDC."""

    default_plans_name = "nnUNetSGDCResEncUNetXLPlans"
