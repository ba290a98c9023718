"""Tensor operators of SGDC, free of nnU-Net and of any state."""

from nnunet_sgdc.ops.dynamic_conv import dynamic_conv2d
from nnunet_sgdc.ops.sobel import sobel_magnitude

__all__ = ["dynamic_conv2d", "sobel_magnitude"]
