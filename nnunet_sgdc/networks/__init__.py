"""nnU-Net's networks with SGDC grafted on."""

from nnunet_sgdc.networks.config import SGDCConfig
from nnunet_sgdc.networks.plans import (
    gives_boundary,
    graft_architecture,
    graft_plans,
    is_grafted,
    planned_options,
    ungraft_architecture,
)
from nnunet_sgdc.networks.sgdc_unet import SGDCUNet

__all__ = [
    "SGDCConfig",
    "SGDCUNet",
    "gives_boundary",
    "graft_architecture",
    "graft_plans",
    "is_grafted",
    "planned_options",
    "ungraft_architecture",
]
