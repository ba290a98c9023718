"""Layer normalisation over the channels of a map.

Written for (B, C, H, W): torch's own layer_norm wants channels last, and the copies that this takes cost more than the
arithmetic. The gradient is written out, so that the backward pass needs the map and two numbers for every pixel, and
nothing in between.
"""

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

EPSILON = 1e-6


def layer_norm2d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Normalise every pixel over its channels, then scale and shift each channel.

    It is computed in float32 at least: squares of large activations overflow float16.

    Args:
        x: Map of shape (B, C, H, W).
        weight: Factors of shape (C,).
        bias: Summands of shape (C,).

    Returns:
        Map of the shape and dtype of x.
    """
    return _LayerNorm2d.apply(x, weight, bias)  # type: ignore[no-any-return]


class LayerNorm2d(nn.Module):
    """Normalise every pixel over its channels, then scale and shift each channel.

    Args:
        channels: Number of channels C of the maps of shape (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised map in the dtype of x."""
        return layer_norm2d(x, self.weight, self.bias)


class _LayerNorm2d(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean = _wide(x).mean(1, keepdim=True)
        centred = x - mean
        # Two means are several times faster on a CPU than torch.var_mean over an axis that is not the last.
        reciprocal = torch.rsqrt(centred.square().mean(1, keepdim=True) + EPSILON)
        ctx.save_for_backward(x, mean, reciprocal, weight)
        return torch.addcmul(_column(bias), centred.mul_(reciprocal), _column(weight)).to(x.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, mean, reciprocal, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        grad, normalised = _wide(grad), (x - mean).mul_(reciprocal)
        product = grad * normalised
        grad_weight, grad_bias = product.sum((0, 2, 3)), grad.sum((0, 2, 3))
        # What moves the mean or the variance of a pixel does not move the normalised pixel.
        along_mean = (grad * _column(weight)).mean(1, keepdim=True)
        along_variance = (product * _column(weight)).mean(1, keepdim=True)
        grad_x = (grad * _column(weight)).sub_(along_mean).addcmul_(normalised, along_variance, value=-1)
        return grad_x.mul_(reciprocal).to(x.dtype), grad_weight.to(weight.dtype), grad_bias.to(weight.dtype)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _column(vector: Tensor) -> Tensor:
    """A value for each channel, to meet maps."""
    return vector[:, None, None]
