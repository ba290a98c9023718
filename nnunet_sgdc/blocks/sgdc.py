"""Structurally-Guided Dynamic Convolution (SGDC): a block that modulates a map under guidance.

Paper: Shi, Zhu and Swamy, "SGDC: Structurally-Guided Dynamic Convolution for Medical Image Segmentation", MIDL 2026,
PMLR 315:989-1003, arXiv 2602.23496. Written from the paper's arithmetic:

    gate_s, gate_d, logits = conv1x1(x + project(guidance))

and then what nnunet_sgdc.blocks.gated_dynamic_conv does with them. There is no pooling: gates and kernels belong to
single pixels.

Deviations from the published module:
    - The published forward fails on a malformed einops pattern; the line is read as what it evidently means.
    - The dynamic convolution never builds the k * k unfolded copy of the map (see nnunet_sgdc.ops).
    - LayerScale is folded into what comes before it, and guided and gated maps and the inside of the MLP are computed
      again in the backward pass.
    - Kernel logits that overflow float16 are bounded before the softmax, which would make NaNs of infinities.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnunet_sgdc.blocks.gated_dynamic_conv import GatedDynamicConv
from nnunet_sgdc.blocks.recomputation import recomputed


class SGDC(GatedDynamicConv):
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
        super().__init__(channels, num_heads, kernel_size, mlp_ratio, layer_scale)
        self.guidance_projection = nn.Conv2d(guidance_channels, channels, 1)
        self.gates_and_kernels = nn.Conv2d(channels, 2 * channels + num_heads * kernel_size**2, 1)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Modulate x.

        Args:
            x: Map of shape (B, C, H, W).
            guidance: Guidance of shape (B, G, h, w), of any resolution; it is interpolated to that of x.

        Returns:
            Map of shape (B, C, H, W).
        """
        return super().forward(x, F.interpolate(guidance, size=x.shape[2:], mode="bilinear", align_corners=False))

    def _gates_and_kernels(self, x: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        # The one published convolution is done in two, so that its outputs never have to be taken apart or joined.
        gates_end = 2 * x.shape[1]
        gates = torch.sigmoid(self._predict(x, guidance, slice(gates_end)))
        return gates, self._kernels(self._predict(x, guidance, slice(gates_end, None)))

    def _predict(self, x: Tensor, guidance: Tensor, outputs: slice) -> Tensor:
        """Some of the logits of gates and kernels, of shape (B, ..., H, W)."""
        conv: Any = self.gates_and_kernels
        weight, bias = conv.weight[outputs], conv.bias[outputs]

        def logits(x: Tensor, guidance: Tensor) -> Tensor:
            return F.conv2d(x + self.guidance_projection(guidance), weight, bias)

        return recomputed(logits, x, guidance)
