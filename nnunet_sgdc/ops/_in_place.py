"""Dynamic convolution for eager mode: every tap is one pass that adds into the result where it lies."""

from collections.abc import Iterator

import torch
from torch import Tensor

from nnunet_sgdc.ops._taps import accumulation_dtype, kernel_size, pad, split_heads, windows

# All passes over a chunk of this size stay in a CPU's cache; of 1/2, 1, 2 and 4 MiB this was fastest with 1 MiB of L2.
CPU_CHUNK_BYTES = 4 * 2**20


def forward(x: Tensor, kernels: Tensor) -> Tensor:
    """Weighted sum of the neighbours of every pixel."""
    heads, size = kernels.shape[1], kernel_size(kernels.shape)
    padded = split_heads(pad(x.contiguous(), size), heads)
    result = x.new_zeros(split_heads(x, heads).shape, dtype=accumulation_dtype(x.dtype))
    for source, weight, out in _chunks(padded, kernels.flatten(0, 1), result):
        for tap, window in enumerate(windows(source, size)):
            out.addcmul_(window, weight[:, tap, None])
    return result.view(x.shape).to(x.dtype)


def grad_x(grad: Tensor, kernels: Tensor) -> Tensor:
    """Transpose of the convolution: every pixel hands its gradient to its neighbours."""
    heads, size = kernels.shape[1], kernel_size(kernels.shape)
    grads = split_heads(grad.contiguous(), heads)
    padded = torch.zeros_like(pad(grads, size), dtype=accumulation_dtype(grad.dtype))
    for source, weight, out in _chunks(grads, kernels.flatten(0, 1), padded):
        for tap, window in enumerate(windows(out, size)):
            window.addcmul_(source, weight[:, tap, None])
    radius, (height, width) = size // 2, grad.shape[-2:]
    inner = padded[..., radius : radius + height, radius : radius + width]
    return inner.to(grad.dtype).reshape(grad.shape)


def grad_kernels(grad: Tensor, x: Tensor, kernels_shape: torch.Size) -> Tensor:
    """For every tap, grad times shifted x, summed over the channels of a head."""
    heads, size = kernels_shape[1], kernel_size(kernels_shape)
    padded = split_heads(pad(x.contiguous(), size), heads)
    grads = split_heads(grad.contiguous(), heads).to(accumulation_dtype(grad.dtype))
    result = grads.new_empty((len(grads), *kernels_shape[2:]))
    for source, factor, out in _chunks(padded, grads, result):
        product = torch.empty_like(factor)
        for tap, window in enumerate(windows(source, size)):
            torch.sum(torch.mul(window, factor, out=product), 1, out=out[:, tap])
    return result.view(kernels_shape).to(grad.dtype)


def _chunks(features: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Walk tensors along their common first axis, on a CPU in chunks of features that stay in its cache."""
    size = len(features)
    if features.device.type == "cpu":
        size = CPU_CHUNK_BYTES // max(1, features.shape[1:].numel() * features.element_size())
    return zip(*(torch.split(tensor, max(1, size)) for tensor in (features, *others)), strict=True)
