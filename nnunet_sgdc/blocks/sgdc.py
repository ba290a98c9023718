"""Structurally-Guided Dynamic Convolution (SGDC): a block that modulates a map under guidance.

Paper: Shi, Zhu and Swamy, "SGDC: Structurally-Guided Dynamic Convolution for Medical Image Segmentation", MIDL 2026,
PMLR 315:989-1003, arXiv 2602.23496. Written from the paper's arithmetic:

    gate_s, gate_d, logits = conv1x1(x + project(guidance))
    x <- x + scale_1 * (depthwise3x3(x * sigmoid(gate_s)) + dynamic_conv(norm(x), softmax(logits)) * sigmoid(gate_d))
    x <- x + scale_2 * mlp(norm(x))

There is no pooling: gates and kernels belong to single pixels.

Deviations from the published module:
    - The published forward fails on a malformed einops pattern; the line is read as what it evidently means.
    - The dynamic convolution never builds the k * k unfolded copy of the map (see nnunet_sgdc.ops).
    - Kernel logits that overflow float16 are bounded before the softmax, which would make NaNs of infinities.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnunet_sgdc.blocks.layer_norm import LayerNorm2d
from nnunet_sgdc.ops import dynamic_conv2d

LARGEST_HALF = torch.finfo(torch.float16).max


class SGDC(nn.Module):
    """Dynamic convolution whose per-pixel kernels and gates are guided by structure.

    Args:
        channels: Channels C of the map that is modulated.
        guidance_channels: Channels G of the guidance.
        num_heads: Kernels per pixel; each serves a contiguous block of C / num_heads channels.
        kernel_size: Edge length k of the dynamic kernels, odd.
        mlp_ratio: Width of the MLP's hidden layer as a multiple of C.
        layer_scale: Start value of both LayerScale vectors; near 0 the block starts as the identity.

    Raises:
        ValueError: If num_heads does not divide channels, kernel_size is even, or the MLP has no hidden channel.
    """

    def __init__(
        self,
        channels: int,
        guidance_channels: int = 16,
        num_heads: int = 4,
        kernel_size: int = 7,
        mlp_ratio: float = 4.0,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        _check_arguments(channels, num_heads, kernel_size, mlp_ratio)
        self.num_heads, self.kernel_size = num_heads, kernel_size
        taps = num_heads * kernel_size**2
        hidden = int(channels * mlp_ratio)
        self.guidance_projection = nn.Conv2d(guidance_channels, channels, 1)
        self.gates_and_kernels = nn.Conv2d(channels, 2 * channels + taps, 1)
        self.static_conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mixing_norm = LayerNorm2d(channels)
        self.mixing_scale = nn.Parameter(torch.full((channels,), float(layer_scale)))
        self.mlp_norm = LayerNorm2d(channels)
        self.mlp = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.GELU(), nn.Conv2d(hidden, channels, 1))
        self.mlp_scale = nn.Parameter(torch.full((channels,), float(layer_scale)))

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Modulate x.

        Args:
            x: Map of shape (B, C, H, W).
            guidance: Guidance of shape (B, G, h, w), of any resolution; it is interpolated to that of x.

        Returns:
            Map of shape (B, C, H, W).
        """
        x = torch.addcmul(x, self.mixing_scale[:, None, None], self._mix(x, guidance))
        return torch.addcmul(x, self.mlp_scale[:, None, None], self.mlp(self.mlp_norm(x)))

    def _mix(self, x: Tensor, guidance: Tensor) -> Tensor:
        static_gate, dynamic_gate, kernels = self._gates_and_kernels(x, guidance)
        static = self.static_conv(x * static_gate)
        return torch.addcmul(static, dynamic_conv2d(self.mixing_norm(x), kernels), dynamic_gate)

    def _gates_and_kernels(self, x: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        guidance = F.interpolate(guidance, size=x.shape[2:], mode="bilinear", align_corners=False)
        channels = x.shape[1]
        static_gate, dynamic_gate, logits = torch.split(
            self.gates_and_kernels(x + self.guidance_projection(guidance)),
            [channels, channels, self.num_heads * self.kernel_size**2],
            dim=1,
        )
        if logits.dtype == torch.float16:
            logits = logits.clamp(-LARGEST_HALF, LARGEST_HALF)
        kernels = torch.softmax(torch.unflatten(logits, 1, (self.num_heads, -1)), dim=2)
        return torch.sigmoid(static_gate), torch.sigmoid(dynamic_gate), kernels

    def extra_repr(self) -> str:
        """Say what the submodules do not show."""
        return f"num_heads={self.num_heads}, kernel_size={self.kernel_size}"


def _check_arguments(channels: int, num_heads: int, kernel_size: int, mlp_ratio: float) -> None:
    if num_heads < 1 or channels % num_heads:
        raise ValueError(f"num_heads must divide the {channels} channels, got {num_heads}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
    if channels * mlp_ratio < 1:
        raise ValueError(f"mlp_ratio must leave a hidden channel beside {channels} channels, got {mlp_ratio}")
