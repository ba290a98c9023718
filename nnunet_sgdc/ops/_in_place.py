"""Dynamic convolution for eager mode: every tap is one pass that adds into the result where it lies."""

from collections.abc import Iterator

import torch
from torch import Tensor

from nnunet_sgdc.ops._taps import accumulation_dtype, kernel_size, neighbourhoods, split_heads

# All passes over a block of this size stay in a CPU's cache; of 1/4, 1/2, 1, 2, 4, 8 and 16 MiB this was fastest.
CPU_BLOCK_BYTES = 4 * 2**20


def forward(x: Tensor, kernels: Tensor) -> Tensor:
    """Weighted sum of the neighbours of every pixel."""
    heads, size = kernels.shape[1], kernel_size(kernels.shape)
    features = split_heads(x, heads)
    result = features.new_zeros(features.shape, dtype=accumulation_dtype(x.dtype))
    for rows, (source, weight, out) in _blocks(features, kernels.flatten(0, 1), result):
        for tap, pixels, neighbours in neighbourhoods(size, x.shape, rows):
            out[pixels].addcmul_(source[neighbours], weight[:, tap, None][pixels])
    return result.view(x.shape).to(x.dtype)


def grad_x(grad: Tensor, kernels: Tensor) -> Tensor:
    """Transpose of the convolution: every pixel hands its gradient to its neighbours."""
    heads, size = kernels.shape[1], kernel_size(kernels.shape)
    grads = split_heads(grad, heads)
    result = grads.new_zeros(grads.shape, dtype=accumulation_dtype(grad.dtype))
    for rows, (source, weight, out) in _blocks(grads, kernels.flatten(0, 1), result):
        for tap, pixels, neighbours in neighbourhoods(size, grad.shape, rows):
            out[neighbours].addcmul_(source[pixels], weight[:, tap, None][pixels])
    return result.view(grad.shape).to(grad.dtype)


def grad_kernels(grad: Tensor, x: Tensor, kernels_shape: torch.Size) -> Tensor:
    """For every tap, grad times shifted x, summed over the channels of a head."""
    heads, size = kernels_shape[1], kernel_size(kernels_shape)
    features, grads = split_heads(x, heads), split_heads(grad, heads).to(accumulation_dtype(grad.dtype))
    result = grads.new_zeros((len(grads), *kernels_shape[2:]))
    for rows, (source, factor, out) in _blocks(features, grads, result):
        for tap, pixels, neighbours in neighbourhoods(size, x.shape, rows):
            torch.sum(source[neighbours] * factor[pixels], 1, out=out[:, tap][pixels])
    return result.view(kernels_shape).to(grad.dtype)


def _blocks(features: Tensor, *others: Tensor) -> Iterator[tuple[range, tuple[Tensor, ...]]]:
    """Walk maps and their rows, on a CPU in blocks that stay in its cache.

    Args:
        features: Maps of shape (N, C, H, W).
        *others: Tensors with the same first axis.

    Yields:
        Rows, and the tensors cut along their first axis; they are not cut into rows, for a pixel has neighbours.
    """
    count, height = len(features), features.shape[2]
    maps, rows = max(1, count), max(1, height)
    if features.device.type == "cpu":
        row_bytes = max(1, features[:1, :, :1].numel() * features.element_size())
        maps, rows = max(1, CPU_BLOCK_BYTES // (row_bytes * rows)), max(1, CPU_BLOCK_BYTES // row_bytes)
    for tensors in zip(*(torch.split(tensor, maps) for tensor in (features, *others)), strict=True):
        for top in range(0, height, rows):
            yield range(top, min(top + rows, height)), tensors
