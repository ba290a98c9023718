"""What the formulations of the dynamic convolution share: the k * k taps as shifted views, and the layout of heads."""

import math
from collections.abc import Iterator
from itertools import product
from types import EllipsisType

import torch
import torch.nn.functional as F
from torch import Tensor

# An index of the last two axes.
Area = tuple[EllipsisType, slice, slice]


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


def neighbourhoods(size: int, shape: torch.Size, rows: range) -> Iterator[tuple[int, Area, Area]]:
    """For every tap, which pixels in some rows of a map (..., H, W) have that neighbour, and where it lies."""
    row_spans, column_spans = (
        [_spans(offset, length, among) for offset in range(-(size // 2), size // 2 + 1)]
        for length, among in ((shape[-2], rows), (shape[-1], range(shape[-1])))
    )
    for tap, ((row, next_row), (column, next_column)) in enumerate(product(row_spans, column_spans)):
        yield tap, (..., row, column), (..., next_row, next_column)


def _spans(offset: int, length: int, among: range) -> tuple[slice, slice]:
    """Along one axis: which pixels among some have a neighbour at an offset, and these neighbours."""
    start = max(among.start, -offset)
    stop = max(start, min(among.stop, length - offset))
    return slice(start, stop), slice(start + offset, stop + offset)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """View (B, C, H, W) as (B * heads, C / heads, H, W)."""
    batch, channels, height, width = x.shape
    return x.reshape(batch * heads, channels // heads, height, width)


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """At least float32: a sum of many half-precision terms loses its low bits."""
    return torch.promote_types(dtype, torch.float32)
