"""nnU-Net's own U-Net with SGE on its encoder and SGDC on its decoder.

The backbone is the network that the plans name, built by its own class, with its own names of weights. At the start,
with a small LayerScale, the grafted network computes what the stock network with the same weights computes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from nnunet_sgdc.blocks import SGE
from nnunet_sgdc.networks.activation_memory import sge_feature_map_size
from nnunet_sgdc.networks.config import SGDCConfig
from nnunet_sgdc.networks.decoder import SGDCDecoder
from nnunet_sgdc.networks.graft import Graft
from nnunet_sgdc.networks.placed_blocks import make_block

# SGE reads the first encoder stage at this stride or a coarser one, as the published network does.
GUIDANCE_STRIDE = 4


class SGDCUNet(nn.Module):
    """A U-Net of dynamic_network_architectures with SGDC grafted on.

    Outputs, for S decoder stages:

    | mode                  | output                                                                              |
    |-----------------------|-------------------------------------------------------------------------------------|
    | deep supervision on   | list of S segmentation logits, highest resolution first, then the boundary logits   |
    | off, training         | list of the segmentation logits and the boundary logits                             |
    | off, evaluation       | the segmentation logits of shape (B, num_classes, H, W)                             |

    Boundary logits have shape (B, 1, H / s, W / s), s the stride of the encoder stage that SGE reads. Controls without
    SGE, see `SGDCConfig.block`, have none: they put out what a stock network does.

    With `predicts_boundary` switched on, the output in evaluation is the boundary logits, interpolated to the shape
    (B, 1, H, W): nnU-Net's own prediction then gives boundaries. It is off unless somebody asks for them.

    Args:
        input_channels: Channels of the image.
        num_classes: Channels of the segmentation logits.
        backbone: Class of the stock network: PlainConvUNet or ResidualEncoderUNet.
        sgdc: Options of SGDC.
        deep_supervision: Whether segmentation logits of all resolutions are returned.
        **backbone_options: The other arguments of the backbone, as nnU-Net's plans hold them.

    Raises:
        ValueError: If the backbone is not 2D or the options do not fit it.
    """

    # Networks that were pickled before there was this switch have it off as well.
    predicts_boundary: bool = False

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        backbone: Any,
        sgdc: SGDCConfig | Mapping[str, Any],
        deep_supervision: bool = False,
        **backbone_options: Any,
    ) -> None:
        super().__init__()
        _require_2d(backbone_options["conv_op"])
        stock = backbone(
            input_channels=input_channels, num_classes=num_classes, deep_supervision=True, **backbone_options
        )
        self.config = sgdc if isinstance(sgdc, SGDCConfig) else SGDCConfig.from_dict(sgdc)
        self.backbone: Any = backbone
        self.encoder: nn.Module = stock.encoder
        strides, channels = _cumulative_strides(stock.encoder.strides), stock.encoder.output_channels
        self.guidance_stage = _guidance_stage(strides)
        self.sge: Graft | None = None
        if self.config.has_sge:
            self.sge = Graft(_build_sge(self.config, stock.encoder, channels[self.guidance_stage]))
        self.decoder_strides = strides[-2::-1]
        blocks = _build_blocks(self.config, self.decoder_strides, channels[-2::-1], backbone_options)
        self.decoder = SGDCDecoder(stock.decoder, blocks, deep_supervision)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Segment images of shape (B, input_channels, H, W); see the class for what comes out."""
        skips = self.encoder(x)
        structure = self._extract_structure(skips)
        boundary, guidance = structure[:1], structure[1:]
        if self.predicts_boundary and not self.training:
            return F.interpolate(boundary[0], size=x.shape[2:], mode="bilinear", align_corners=False)
        segmentation: list[Tensor] = self.decoder(skips, *guidance)
        if self.decoder.deep_supervision or (self.training and boundary):
            return [*segmentation, *boundary]
        return segmentation[0]

    def boundary_logits(self, x: Tensor) -> Tensor:
        """Boundary logits of images of shape (B, input_channels, H, W), at the stride of the guidance."""
        return self._extract_structure(self.encoder(x))[0]

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Size of the feature maps of an image, in elements, by which nnU-Net's planner estimates memory.

        The stock part is counted as nnU-Net counts it, SGE and SGDC by what they keep (see activation_memory).

        Args:
            input_size: Height and width of the image.
        """
        encoder: Any = self.encoder
        sizes = list(accumulate(encoder.strides, _divided, initial=list(input_size)))[1:]
        sge: Any = self.sge
        structure = sge_feature_map_size(sge.seg_layers, sizes[-1], sizes[self.guidance_stage]) if sge else 0
        return (
            int(encoder.compute_conv_feature_map_size(input_size))
            + structure
            + self.decoder.compute_conv_feature_map_size(sizes[-2::-1])
        )

    def layer_scales(self) -> dict[int, float]:
        """Mean magnitude of the first LayerScale of every SGDC block, by the stride of its stage."""
        parameters = self.decoder.sgdc.named_parameters()
        scales = {name.split(".")[0]: scale for name, scale in parameters if name.endswith("mixing_scale")}
        return {self.decoder_strides[int(stage)]: scale.detach().abs().mean().item() for stage, scale in scales.items()}

    def _extract_structure(self, skips: list[Tensor]) -> tuple[Tensor, ...]:
        """Boundary logits and guidance; those that the network has."""
        structure: tuple[Tensor, ...] = self.sge(skips[-1], skips[self.guidance_stage]) if self.sge else ()
        return structure

    def initialize(self, module: nn.Module) -> None:
        """Initialise one module as the backbone would; nnU-Net applies this to all of them."""
        self.backbone.initialize(module)


def _divided(size: Sequence[int], stride: Sequence[int]) -> list[int]:
    return [length // step for length, step in zip(size, stride, strict=True)]


def _require_2d(conv_op: type[nn.Module]) -> None:
    if conv_op is not nn.Conv2d:
        raise ValueError(f"SGDC is for 2D networks with conv_op Conv2d, got {conv_op.__name__}; use a 2d configuration")


def _cumulative_strides(strides: Sequence[Sequence[int]]) -> list[int]:
    """Stride of every encoder stage to the input, along the axis where it is largest."""
    return [max(prod(axis) for axis in zip(*strides[: stage + 1], strict=True)) for stage in range(len(strides))]


def _guidance_stage(strides: Sequence[int]) -> int:
    """Encoder stage that SGE reads beside the bottleneck."""
    candidates = [stage for stage, stride in enumerate(strides[:-1]) if stride >= GUIDANCE_STRIDE]
    return candidates[0] if candidates else len(strides) - 2


def _build_sge(config: SGDCConfig, encoder: Any, shallow_channels: int) -> SGE:
    width = max(1, round(config.sge_ratio * shallow_channels))
    return SGE(
        deep_channels=encoder.output_channels[-1],
        shallow_channels=shallow_channels,
        width=width,
        guidance_channels=config.guidance_channels if config.block == "sgdc" else None,
        projection_width=width,
        norm=_normalisation(encoder.norm_op, encoder.norm_op_kwargs),
    )


def _normalisation(norm_op: type[nn.Module] | None, options: Mapping[str, Any] | None) -> Callable[[int], nn.Module]:
    """The normalisation of the plans, for a number of channels."""
    if norm_op is None:
        return lambda channels: nn.Identity()
    return partial(norm_op, **(options or {}))


def _build_blocks(
    config: SGDCConfig, strides: Sequence[int], channels: Sequence[int], backbone_options: Mapping[str, Any]
) -> dict[int, nn.Module]:
    """Blocks by decoder stage, whose strides and channels come coarsest first."""
    if config.block == "none":
        return {}
    stages = [stage for stage, stride in enumerate(strides) if stride in config.strides]
    if not stages:
        raise ValueError(
            f"SGDCConfig.strides must name decoder stages of these plans, which have the strides {list(strides)}, "
            f"got {config.strides}"
        )
    return {stage: make_block(config, channels[stage], backbone_options) for stage in stages}
