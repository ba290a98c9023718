"""Tensor operators of SGDC, free of nnU-Net and of any state."""

from nnunet_sgdc.ops.dynamic_conv import dynamic_conv2d
from nnunet_sgdc.ops.enlarged_conv import conv2d_of_enlarged
from nnunet_sgdc.ops.sobel import sobel_magnitude

__all__ = ["conv2d_of_enlarged", "dynamic_conv2d", "sobel_magnitude"]
