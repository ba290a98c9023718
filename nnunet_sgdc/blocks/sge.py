"""Structural Guidance Extractor (SGE): boundary logits and guidance from two encoder maps.

Paper: Shi, Zhu and Swamy, "SGDC: Structurally-Guided Dynamic Convolution for Medical Image Segmentation", MIDL 2026,
PMLR 315:989-1003, arXiv 2602.23496. The module descends from the edge
module of CTO (Lin et al., IPMI 2023). Each map is projected, weighed by the sigmoid of its Sobel magnitude and refined;
both are fused at the resolution of the shallow map.

Deviations from the published module:
    - Sobel of the channel sum instead of a dense convolution with identical outputs, with finite gradients everywhere
      (see nnunet_sgdc.ops.sobel).
    - The deep map is neither enlarged nor stacked onto the shallow one: each has its part of the fusing convolution,
      and that of the deep map is computed at its own size (see nnunet_sgdc.ops.enlarged_conv).
    - The normalisation is an argument; BatchNorm, the default, is the published one.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnunet_sgdc.ops import conv2d_of_enlarged, sobel_magnitude

Norm = Callable[[int], nn.Module]


class SGE(nn.Module):
    """Extract a boundary map, to be supervised, and guidance for SGDC blocks.

    Args:
        deep_channels: Channels of the deepest encoder map.
        shallow_channels: Channels of the shallow encoder map.
        width: Channels of the fused map.
        guidance_channels: Channels G of the guidance; None leaves it out, for boundaries alone.
        projection_width: Channels to which both maps are projected.
        reduction: Factor by which the refinement narrows the projected maps.
        norm: Makes a normalisation layer for a number of channels.
    """

    def __init__(
        self,
        deep_channels: int = 2048,
        shallow_channels: int = 256,
        width: int = 256,
        guidance_channels: int | None = 16,
        projection_width: int = 256,
        reduction: int = 4,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.deep_projection = _conv_norm_relu(deep_channels, projection_width, 1, norm)
        self.shallow_projection = _conv_norm_relu(shallow_channels, projection_width, 1, norm)
        self.deep_refinement = Refinement(projection_width, reduction, norm)
        self.shallow_refinement = Refinement(projection_width, reduction, norm)
        self.fusion = _conv_norm_relu(2 * projection_width, width, 3, norm)
        self.boundary_head = nn.Conv2d(width, 1, 1, bias=False)
        self.guidance_head = guidance_channels and nn.Conv2d(width, guidance_channels, 1, bias=False)

    def forward(self, deep: Tensor, shallow: Tensor) -> tuple[Tensor, ...]:
        """Extract structure.

        Args:
            deep: Deepest encoder map of shape (B, deep_channels, h, w).
            shallow: Shallow encoder map of shape (B, shallow_channels, H, W).

        Returns:
            Boundary logits of shape (B, 1, H, W) and, where there is any, guidance of shape (B, G, H, W).
        """
        deep = self.deep_refinement(_emphasise_edges(self.deep_projection(deep)))
        shallow = self.shallow_refinement(_emphasise_edges(self.shallow_projection(shallow)))
        fused = self._fuse(deep, shallow)
        heads = (self.boundary_head, self.guidance_head) if self.guidance_head else (self.boundary_head,)
        return tuple(head(fused) for head in heads)

    def _fuse(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Convolve, normalise and rectify both maps, stacked at the size of the shallow one."""
        conv: Any
        conv, norm, relu = self.fusion
        deep_weight, shallow_weight = conv.weight.split([deep.shape[1], shallow.shape[1]], dim=1)
        size = (shallow.shape[2], shallow.shape[3])
        fused = F.conv2d(shallow, shallow_weight, padding=1) + conv2d_of_enlarged(deep, deep_weight, size)
        return relu(norm(fused))  # type: ignore[no-any-return]


class Refinement(nn.Module):
    """Residual 1x1 - 3x3 - 1x1 bottleneck.

    Args:
        channels: Channels of the maps in and out.
        reduction: Factor by which the inner maps are narrower.
        norm: Makes a normalisation layer for a number of channels.
    """

    def __init__(self, channels: int, reduction: int, norm: Norm) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.residual = nn.Sequential(
            *_conv_norm_relu(channels, inner, 1, norm),
            *_conv_norm_relu(inner, inner, 3, norm),
            nn.Conv2d(inner, channels, 1, bias=False),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a map of shape (B, C, H, W)."""
        return F.relu(x + self.residual(x))


def _emphasise_edges(x: Tensor) -> Tensor:
    return torch.sigmoid(sobel_magnitude(x)).to(x.dtype) * x


def _conv_norm_relu(in_channels: int, out_channels: int, size: int, norm: Norm) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False)
    return nn.Sequential(conv, norm(out_channels), nn.ReLU(inplace=True))
