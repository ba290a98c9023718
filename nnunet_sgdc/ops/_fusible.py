"""Dynamic convolution for torch.compile: sums without mutation, which Inductor fuses into one loop over the taps.

Mutating shifted views, as eager mode does, becomes a chain of scatters in a compiled graph, each a copy of the map.
"""

from collections.abc import Iterable
from functools import reduce

import torch
from torch import Tensor

from nnunet_sgdc.ops._taps import accumulation_dtype, kernel_size, pad, split_heads, window, windows


def forward(x: Tensor, kernels: Tensor) -> Tensor:
    """Weighted sum of the neighbours of every pixel."""
    heads, size = kernels.shape[1], kernel_size(kernels.shape)
    neighbours = windows(pad(split_heads(x, heads), size), size)
    return _sum_of_products(neighbours, kernels.flatten(0, 1).unbind(1)).to(x.dtype).reshape(x.shape)


def grad_x(grad: Tensor, kernels: Tensor) -> Tensor:
    """Every pixel gathers, from each neighbour that used it, that neighbour's gradient times its weight."""
    heads, size = kernels.shape[1], kernel_size(kernels.shape)
    neighbours = windows(pad(split_heads(grad, heads), size), size)
    # Seen from its neighbour at offset o, a pixel lies at -o: the tap counted from the end.
    taps = pad(kernels.flatten(0, 1), size).flip(1).unbind(1)
    weights = (window(weight, size, tap) for tap, weight in enumerate(taps))
    return _sum_of_products(neighbours, weights).to(grad.dtype).reshape(grad.shape)


def grad_kernels(grad: Tensor, x: Tensor, kernels_shape: torch.Size) -> Tensor:
    """For every tap, grad times shifted x, summed over the channels of a head."""
    heads, size = kernels_shape[1], kernel_size(kernels_shape)
    grads = split_heads(grad, heads).to(accumulation_dtype(grad.dtype))
    neighbours = windows(pad(split_heads(x, heads), size), size)
    result = torch.stack([(neighbour * grads).sum(1) for neighbour in neighbours], 1)
    return result.to(grad.dtype).reshape(kernels_shape)


def _sum_of_products(features: Iterable[Tensor], weights: Iterable[Tensor]) -> Tensor:
    """Sum of features (N, C, H, W) times weights (N, H, W)."""
    pairs = zip(features, weights, strict=True)
    return reduce(
        torch.add, (feature.to(accumulation_dtype(feature.dtype)) * weight[:, None] for feature, weight in pairs)
    )
