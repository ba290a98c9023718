"""What the formulations of the dynamic convolution share: the k * k taps as shifted views, and the layout of heads."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def kernel_size(kernels_shape: torch.Size) -> int:
    """Edge length k of kernels of shape (B, heads, k * k, H, W)."""
    return math.isqrt(kernels_shape[2])


def pad(x: Tensor, size: int) -> Tensor:
    """Zeros around the last two axes, so that every pixel has size * size neighbours."""
    return F.pad(x, [size // 2] * 4)


def window(padded: Tensor, size: int, tap: int) -> Tensor:
    """The view of a padded map that one of the size * size taps sees; taps are in row-major order."""
    row, column = divmod(tap, size)
    height, width = padded.shape[-2] - size + 1, padded.shape[-1] - size + 1
    return padded[..., row : row + height, column : column + width]


def windows(padded: Tensor, size: int) -> Iterator[Tensor]:
    """The views of a padded map that the size * size taps see."""
    return (window(padded, size, tap) for tap in range(size**2))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """View (B, C, H, W) as (B * heads, C / heads, H, W)."""
    batch, channels, height, width = x.shape
    return x.reshape(batch * heads, channels // heads, height, width)


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """At least float32: a sum of many half-precision terms loses its low bits."""
    return torch.promote_types(dtype, torch.float32)
