"""The decoder of nnU-Net's U-Net with SGDC after some of its stages."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from nnunet_sgdc.networks.activation_memory import block_feature_map_size
from nnunet_sgdc.networks.graft import Graft


class SGDCDecoder(nn.Module):
    """Decode with the layers of a stock decoder and modulate the stages that carry a block.

    Args:
        stock: Decoder of dynamic_network_architectures; its layers are taken over, names of weights included.
        blocks: SGDC, or what takes its place, by the index of the decoder stage, 0 being the coarsest.
        deep_supervision: Whether segmentation logits of all stages are returned.
    """

    def __init__(self, stock: nn.Module, blocks: Mapping[int, nn.Module], deep_supervision: bool) -> None:
        super().__init__()
        self.stages: nn.ModuleList = stock.stages  # type: ignore[assignment]
        self.transpconvs: nn.ModuleList = stock.transpconvs  # type: ignore[assignment]
        self.seg_layers: nn.ModuleList = stock.seg_layers  # type: ignore[assignment]
        self.sgdc = nn.ModuleDict({str(stage): Graft(block) for stage, block in blocks.items()})
        self.deep_supervision = deep_supervision

    @property
    def deep_supervision(self) -> bool:
        """Whether segmentation logits of all stages are returned; nnU-Net switches this.

        The heads of the coarser stages always exist, so that checkpoints load either way. While deep supervision is
        off they are frozen: DDP fails on trainable weights that get no gradient.
        """
        return self._deep_supervision

    @deep_supervision.setter
    def deep_supervision(self, enabled: bool) -> None:
        self._deep_supervision = enabled
        for head in self.seg_layers[:-1]:
            head.requires_grad_(enabled)

    def compute_conv_feature_map_size(self, sizes: Sequence[Sequence[int]]) -> int:
        """Size of the feature maps of an image, in elements, by which nnU-Net's planner estimates memory.

        Args:
            sizes: Height and width of every stage, the coarsest first.
        """
        layers: Any = zip(self.stages, self.transpconvs, self.seg_layers, sizes, strict=True)
        stock = sum(
            stage.compute_conv_feature_map_size(size) + prod(size) * (enlarge.out_channels + head.out_channels)
            for stage, enlarge, head, size in layers
        )
        grafts: Any = self.sgdc.items()
        grafted = sum(block_feature_map_size(graft.seg_layers, sizes[int(index)]) for index, graft in grafts)
        return int(stock + grafted)

    def forward(self, skips: list[Tensor], *guidance: Tensor) -> list[Tensor]:
        """Decode encoder maps.

        Args:
            skips: Encoder maps, highest resolution first.
            *guidance: Guidance, where the blocks take one.

        Returns:
            Segmentation logits, highest resolution first; only that one without deep supervision.
        """
        x, maps = skips[-1], []
        for index, skip in enumerate(skips[-2::-1]):
            x = self.stages[index](torch.cat([self.transpconvs[index](x), skip], dim=1))
            if str(index) in self.sgdc:
                x = self.sgdc[str(index)](x, *guidance)
            maps.append(x)
        if not self.deep_supervision:
            return [self.seg_layers[-1](x)]
        return [head(x) for head, x in zip(self.seg_layers, maps, strict=True)][::-1]
