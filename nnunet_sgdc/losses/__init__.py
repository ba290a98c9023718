"""Losses of nnU-Net with boundary supervision."""

from nnunet_sgdc.losses.boundary import BoundaryConfig, BoundaryLoss, boundary_ring, boundary_target
from nnunet_sgdc.losses.supervised import BoundarySupervisedLoss

__all__ = ["BoundaryConfig", "BoundaryLoss", "BoundarySupervisedLoss", "boundary_ring", "boundary_target"]
