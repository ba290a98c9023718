"""Plain formulations of the operators: slow, easy to check by eye; for tests and benchmarks only."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def dynamic_conv2d(x: Tensor, kernels: Tensor) -> Tensor:
    """Unfold x into its k * k neighbours and contract them with the kernels.

    Args:
        x: Feature map of shape (B, C, H, W).
        kernels: Kernels of shape (B, heads, k * k, H, W), k odd.

    Returns:
        Map of shape (B, C, H, W).
    """
    batch, channels, height, width = x.shape
    heads, taps = kernels.shape[1:3]
    size = math.isqrt(taps)
    neighbours = F.unfold(x, size, padding=size // 2).view(batch, heads, channels // heads, taps, height, width)
    return torch.einsum("bhctyx,bhtyx->bhcyx", neighbours, kernels).reshape(x.shape)


def sobel_magnitude(x: Tensor) -> Tensor:
    """Sobel magnitude by dense convolutions from all channels to all channels, as published.

    Args:
        x: Feature map of shape (B, C, H, W).

    Returns:
        Map of shape (B, C, H, W); all channels are equal.
    """
    channels = x.shape[1]
    horizontal = x.new_tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    gradients = [
        F.conv2d(x, kernel.expand(channels, channels, 3, 3), padding=1) for kernel in (horizontal, horizontal.T)
    ]
    return torch.sqrt(gradients[0] ** 2 + gradients[1] ** 2)
