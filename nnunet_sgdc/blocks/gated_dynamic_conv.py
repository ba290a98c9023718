"""What blocks with per-pixel dynamic kernels share, wherever their gates and kernels come from.

    x <- x + scale_1 * (depthwise3x3(x * sigmoid(gate_s)) + dynamic_conv(norm(x), softmax(logits)) * sigmoid(gate_d))
    x <- x + scale_2 * mlp(norm(x))

LayerScale is folded into what comes before it (the static convolution, the norm of the dynamic one, the last
convolution of the MLP), so that nothing has to be kept for its gradient. Gated maps and the inside of the MLP are
computed again in the backward pass (see nnunet_sgdc.blocks.recomputation).
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnunet_sgdc.blocks.layer_norm import LayerNorm2d, layer_norm2d
from nnunet_sgdc.blocks.recomputation import recomputed, recomputed_by_rows
from nnunet_sgdc.ops import dynamic_conv2d

LARGEST_HALF = torch.finfo(torch.float16).max


class GatedDynamicConv(nn.Module, ABC):
    """A gated static and a gated dynamic convolution, followed by an MLP, both added to what comes in.

    Args:
        channels: Channels C of the map that is modulated.
        num_heads: Kernels per pixel; each serves a contiguous block of C / num_heads channels.
        kernel_size: Edge length k of the dynamic kernels, odd.
        mlp_ratio: Width of the MLP's hidden layer as a multiple of C.
        layer_scale: Start value of both LayerScale vectors; near 0 the block starts as the identity.

    Raises:
        ValueError: If num_heads does not divide channels, kernel_size is even, or the MLP has no hidden channel.
    """

    def __init__(self, channels: int, num_heads: int, kernel_size: int, mlp_ratio: float, layer_scale: float) -> None:
        super().__init__()
        _check_arguments(channels, num_heads, kernel_size, mlp_ratio)
        self.num_heads, self.kernel_size = num_heads, kernel_size
        hidden = self.hidden = int(channels * mlp_ratio)
        self.static_conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mixing_norm = LayerNorm2d(channels)
        self.mixing_scale = nn.Parameter(torch.full((channels,), float(layer_scale)))
        self.mlp_norm = LayerNorm2d(channels)
        self.mlp = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.GELU(), nn.Conv2d(hidden, channels, 1))
        self.mlp_scale = nn.Parameter(torch.full((channels,), float(layer_scale)))

    @abstractmethod
    def _gates_and_kernels(self, x: Tensor, *context: Any) -> tuple[Tensor, Tensor]:
        """Predict how x is modulated.

        Args:
            x: Map of shape (B, C, H, W).
            *context: What else the block looks at.

        Returns:
            Gates of the static and of the dynamic branch, of shape (B, 2 C, H, W) or (B, 2 C, 1, 1), and kernels of
            shape (B, num_heads, k * k, H, W) that sum to one.
        """

    def forward(self, x: Tensor, *context: Any) -> Tensor:
        """Modulate x.

        Args:
            x: Map of shape (B, C, H, W).
            *context: What else the block looks at.

        Returns:
            Map of shape (B, C, H, W).
        """
        x = x + self._mix(x, *self._gates_and_kernels(x, *context))
        return x + recomputed_by_rows(self._mlp, x, self.hidden)

    def _mix(self, x: Tensor, gates: Tensor, kernels: Tensor) -> Tensor:
        """The static and the dynamic branch, gated, added and scaled."""
        static_gate, dynamic_gate = gates.chunk(2, dim=1)
        static = recomputed(self._convolve_static, x, static_gate)
        return torch.addcmul(static, dynamic_conv2d(self._normalise_scaled(x), kernels), dynamic_gate)

    def _kernels(self, logits: Tensor) -> Tensor:
        """Kernels of shape (B, num_heads, k * k, H, W) from logits of shape (B, num_heads * k * k, H, W)."""
        # Infinities that overflowed in float16 would become NaNs in the softmax.
        if logits.dtype == torch.float16:
            logits = logits.clamp(-LARGEST_HALF, LARGEST_HALF)
        # Autocast would give float32 unless a type is named; softmax adds up in float32 inside anyway.
        return torch.softmax(torch.unflatten(logits, 1, (self.num_heads, -1)), dim=2, dtype=logits.dtype)

    def _convolve_static(self, x: Tensor, gate: Tensor) -> Tensor:
        conv = self.static_conv
        weight, bias = _scaled(conv, self.mixing_scale)
        return F.conv2d(x * gate, weight, bias, padding=1, groups=x.shape[1])

    def _normalise_scaled(self, x: Tensor) -> Tensor:
        norm, scale = self.mixing_norm, self.mixing_scale
        return layer_norm2d(x, norm.weight * scale, norm.bias * scale)

    def _mlp(self, x: Tensor) -> Tensor:
        expand, activate, contract = self.mlp
        hidden = activate(expand(self.mlp_norm(x)))
        return F.conv2d(hidden, *_scaled(contract, self.mlp_scale))

    def extra_repr(self) -> str:
        """Say what the submodules do not show."""
        return f"num_heads={self.num_heads}, kernel_size={self.kernel_size}"


def _scaled(conv: Any, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution whose output channels are scaled."""
    return conv.weight * scale[:, None, None, None], conv.bias * scale


def _check_arguments(channels: int, num_heads: int, kernel_size: int, mlp_ratio: float) -> None:
    if num_heads < 1 or channels % num_heads:
        raise ValueError(f"num_heads must divide the {channels} channels, got {num_heads}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
    if channels * mlp_ratio < 1:
        raise ValueError(f"mlp_ratio must leave a hidden channel beside {channels} channels, got {mlp_ratio}")
