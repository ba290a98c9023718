r"""Per-pixel dynamic convolution without the copies of unfold.

Every pixel p and every head has a kernel of its own (SGDC, Shi, Zhu and Swamy, MIDL 2026, arXiv 2602.23496):

    y[b, c, p] = sum_t kernels[b, head(c), t, p] * x[b, c, p + offset_t]

The sum runs over the k * k taps as products of shifted views, so that no tensor k * k times as large as x ever exists;
the backward pass reads x and the kernels again and keeps nothing else. Eager mode adds in place (`_in_place`) or,
where asked to, runs fused kernels on the GPU (`_triton`); under torch.compile the same sums are written without
mutation (`_fusible`).
"""

import math
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from nnunet_sgdc.ops import _fusible, _in_place, _triton


def dynamic_conv2d(x: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every pixel with a kernel of its own, shared by the channels of a head.

    Heads own contiguous blocks of C / heads channels; taps are in row-major order; x is padded with zeros. Sums are
    accumulated in at least float32.

    Args:
        x: Feature map of shape (B, C, H, W).
        kernels: Kernels of shape (B, heads, k * k, H, W), k odd.

    Returns:
        Map of shape (B, C, H, W), in the dtype to which those of x and the kernels promote.

    Raises:
        ValueError: If shapes do not fit together, k is even, or heads does not divide C.
    """
    _check_shapes(x, kernels)
    dtype = torch.promote_types(x.dtype, kernels.dtype)
    return _DynamicConv2d.apply(x.to(dtype), kernels.to(dtype))  # type: ignore[no-any-return]


class _DynamicConv2d(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernels)
        result: Tensor = _formulation(x, kernels).forward(x, kernels)
        return result

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, kernels = ctx.saved_tensors  # type: ignore[attr-defined]
        needs_x, needs_kernels = ctx.needs_input_grad  # type: ignore[attr-defined]
        formulation = _formulation(grad, kernels)
        grad_x = formulation.grad_x(grad, kernels) if needs_x else None
        grad_kernels = formulation.grad_kernels(grad, x, kernels.shape) if needs_kernels else None
        return grad_x, grad_kernels


def _formulation(x: Tensor, kernels: Tensor) -> ModuleType:
    if torch.compiler.is_compiling():
        return _fusible
    return _triton if _triton.chosen(x, kernels) else _in_place


def _check_shapes(x: Tensor, kernels: Tensor) -> None:
    if x.ndim != 4 or kernels.ndim != 5 or (x.shape[0], *x.shape[2:]) != (kernels.shape[0], *kernels.shape[3:]):
        raise ValueError(
            "x and kernels must have shapes (B, C, H, W) and (B, heads, k * k, H, W), "
            f"got {tuple(x.shape)} and {tuple(kernels.shape)}"
        )
    heads, taps = kernels.shape[1:3]
    if math.isqrt(taps) ** 2 != taps or taps % 2 == 0:
        raise ValueError(f"kernels must have k * k taps with k odd (1, 9, 25, 49, ...) on axis 2, got {taps}")
    if heads == 0 or x.shape[1] % heads:
        raise ValueError(
            f"the number of heads of kernels must divide the {x.shape[1]} channels of x, got {heads} heads"
        )
