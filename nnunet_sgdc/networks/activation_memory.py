"""How much SGE and SGDC keep from the forward to the backward pass, in the unit in which nnU-Net plans.

nnU-Net's planner counts the elements of all maps that convolutions put out. Training keeps each of these maps twice:
as the input of the normalisation and as the output of the nonlinearity. What our blocks keep is counted map by map and
halved. `python -m benchmarks.memory_estimate` holds the estimate against what autograd keeps.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

from nnunet_sgdc.blocks import SGDC, SGE, GatedDynamicConv

MAPS_PER_CONVOLUTION = 2


def block_feature_map_size(block: Any, size: Sequence[int]) -> int:
    """What the block of a decoder stage adds for an image, in elements.

    Args:
        block: SGDC or one of the controls; an ordinary one counts itself as nnU-Net counts.
        size: Height and width of its map.
    """
    if isinstance(block, GatedDynamicConv):
        return dynamic_feature_map_size(block, size)
    return int(block.compute_conv_feature_map_size(size))


def dynamic_feature_map_size(block: GatedDynamicConv, size: Sequence[int]) -> int:
    """Half of the elements that a block with dynamic kernels adds to what a training keeps for an image.

    Args:
        block: The block.
        size: Height and width of its map.
    """
    channels, taps = block.static_conv.out_channels, block.num_heads * block.kernel_size**2
    # The normalised map, its dynamic convolution, and the sums after both branches; the map that comes in is kept by
    # the stock network, too.
    maps = 4 * channels
    mean_and_deviation = 2
    # Gates of single pixels.
    guided = 2 * channels + block.guidance_projection.in_channels if isinstance(block, SGDC) else 0
    per_pixel = maps + taps + mean_and_deviation + guided
    return per_pixel * prod(size) // MAPS_PER_CONVOLUTION


def sge_feature_map_size(sge: SGE, deep_size: Sequence[int], shallow_size: Sequence[int]) -> int:
    """Half of the elements that SGE adds to what a training keeps for an image.

    Args:
        sge: The module.
        deep_size: Height and width of the deepest encoder map.
        shallow_size: Height and width of the shallow encoder map.
    """
    projected, inner = _outputs(sge.deep_projection[0]), _outputs(sge.deep_refinement.residual[0])
    # A map before and after each normalisation (projection, two narrow ones, residual), the weighed map, and the Sobel
    # responses along both axes, their magnitude and its sigmoid.
    refined = 5 * projected + 4 * inner + 4
    fused = 2 * sge.boundary_head.in_channels
    kept = refined * prod(deep_size) + (refined + fused) * prod(shallow_size)
    return kept // MAPS_PER_CONVOLUTION


def _outputs(conv: Any) -> int:
    return int(conv.out_channels)
