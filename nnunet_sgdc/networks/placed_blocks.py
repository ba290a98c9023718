"""The blocks that decoder stages carry: SGDC, and the controls that it is compared with."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from dynamic_network_architectures.building_blocks.residual import BottleneckD
from torch import nn

from nnunet_sgdc.blocks import SGDC, GatedDynamicConv, PooledDynamicConv
from nnunet_sgdc.networks.config import SGDCConfig
from nnunet_sgdc.networks.parameter_count import parameter_count

Cost = Callable[[nn.Module], int]

# What a convolution of the backbone takes from nnU-Net's plans.
STYLE = ("conv_bias", "norm_op", "norm_op_kwargs", "nonlin", "nonlin_kwargs")
KERNEL_SIZE = 3


def make_block(config: SGDCConfig, channels: int, backbone_options: Mapping[str, Any]) -> nn.Module:
    """Make the block of one decoder stage.

    Args:
        config: Options of SGDC, by whose `block` it is chosen.
        channels: Channels of the stage.
        backbone_options: Arguments of the backbone, from which ordinary convolutions take their style.

    Returns:
        A module that takes a map of shape (B, channels, H, W), SGDC also the guidance, and gives such a map.

    Raises:
        ValueError: If the options do not fit the channels.
    """
    dynamic = (config.num_heads, config.kernel_size, config.mlp_ratio, config.layer_scale)
    make_sgdc = partial(SGDC, channels, config.guidance_channels, *dynamic)
    match config.block:
        case "pooled_dynamic_conv":
            return PooledDynamicConv(channels, *dynamic)
        case "static_conv":
            return _bottleneck(channels, backbone_options, parameter_count, make_sgdc)
        case "static_conv_equal_flops":
            return _bottleneck(channels, backbone_options, multiplications, make_sgdc)
    return make_sgdc()


def multiplications(block: nn.Module) -> int:
    """Multiplications of the convolutions of a block at every pixel, the dynamic one included.

    Every weight of a convolution that keeps the size of the map is used once at every pixel.
    """
    static = sum(layer.weight.numel() for layer in block.modules() if isinstance(layer, nn.Conv2d))
    dynamic = block.mixing_scale.numel() * block.kernel_size**2 if isinstance(block, GatedDynamicConv) else 0
    # SGDC projects the guidance for its gates and again for its kernels.
    again = block.guidance_projection.weight.numel() if isinstance(block, SGDC) else 0
    return static + dynamic + again


def _bottleneck(channels: int, options: Mapping[str, Any], cost: Cost, reference: Callable[[], nn.Module]) -> nn.Module:
    """Residual bottleneck 1x1 - 3x3 - 1x1 of the width at which it costs what the reference costs."""
    style = {name: options[name] for name in STYLE if name in options}

    def make(width: int) -> nn.Module:
        block: nn.Module = BottleneckD(nn.Conv2d, channels, width, channels, KERNEL_SIZE, 1, **style)
        return block

    # Weights are made only for the block that is kept.
    with torch.device("meta"):
        wanted = cost(reference())
        # Without the 3x3 convolution of its own, a width of that many channels costs more already.
        widths = range(1, wanted // (2 * channels) + 2)
        wide = bisect_left(widths, wanted, key=lambda width: cost(make(width))) + 1
        closest = min((max(1, wide - 1), wide), key=lambda width: abs(cost(make(width)) - wanted))
    return make(closest)
