"""nnU-Net's planner for networks with SGDC."""

from nnunet_sgdc.planners.grafting import GraftingPlanner


class nnUNetPlannerSGDC(GraftingPlanner):
    """Plan nnU-Net's plain U-Net with SGDC.

    Everything else is nnU-Net's. Change an option in a subclass of your own, and name its plans:

        class nnUNetPlannerSGDC_k5(nnUNetPlannerSGDC):
            sgdc = SGDCConfig(kernel_size=5)
            default_plans_name = "nnUNetSGDCk5Plans"
    """

    default_plans_name = "nnUNetSGDCPlans"
    # nnU-Net shrinks the patch until two images fit.
    smallest_planned_batch = 2
