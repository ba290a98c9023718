"""What the planner takes SGDC's memory to be, against what autograd keeps, counted without allocating it."""

from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from unets import PLAIN, RESIDUAL, grafted

from benchmarks.memory_estimate import counted_ratios
from benchmarks.topologies import TOPOLOGIES, Topology, build_grafted, build_stock
from nnunet_sgdc.blocks import SGDC
from nnunet_sgdc.evaluation.training_cost import saved_bytes
from nnunet_sgdc.networks import SGDCConfig
from nnunet_sgdc.networks.activation_memory import (
    MAPS_PER_CONVOLUTION,
    dynamic_feature_map_size,
    sge_feature_map_size,
)

FLOAT = 4
CONFIGURATIONS = [
    SGDCConfig(),
    SGDCConfig(strides=(8, 16), kernel_size=5, sge_ratio=0.25),
    SGDCConfig(strides=(2, 4), num_heads=8, kernel_size=3, guidance_channels=32),
]
# Edges that five stages divide without remainder.
edges = st.integers(2, 24).map(lambda count: 16 * count)


class Embedded(nn.Module):
    """A block with a layer behind it, which keeps what comes in."""

    def __init__(self, block: SGDC) -> None:
        super().__init__()
        self.block = block

    def forward(self, x):
        guidance = x.new_empty(len(x), self.block.guidance_projection.in_channels, *x.shape[2:])
        return self.block(x, guidance).square()


def block_bytes(block: SGDC, batch: int, height: int, width: int) -> int:
    """What a block keeps, beside the map that comes in, which the layer behind would keep without it."""
    x = torch.empty(batch, block.static_conv.out_channels, height, width, device="meta", requires_grad=True)
    return saved_bytes(Embedded(block.to("meta")), x) - x.numel() * FLOAT


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: "-".join(map(str, topology)))
def test_the_estimate_is_close_to_what_a_training_keeps(topology: Topology) -> None:
    estimated, kept = counted_ratios(topology, SGDCConfig())
    assert estimated == pytest.approx(kept, rel=0.1)


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=str)
def test_the_estimate_is_close_with_other_options_of_sgdc(config: SGDCConfig) -> None:
    estimated, kept = counted_ratios(Topology(PLAIN, (128, 192), 2), config)
    assert estimated == pytest.approx(kept, rel=0.1)


def test_topologies_reach_from_five_stages_to_eight() -> None:
    assert {topology.stages for topology in TOPOLOGIES} == {5, 6, 7, 8}


@pytest.mark.parametrize("topology", [Topology(PLAIN, (96, 320), 2), Topology(RESIDUAL, (256, 128), 2)], ids=str)
def test_the_estimate_without_sge_and_sgdc_is_that_of_the_stock_network(topology: Topology) -> None:
    setting = topology.plan()
    with torch.device("meta"):
        ours, stock = build_grafted(setting, SGDCConfig()), build_stock(setting)
    strides = [[1, 1], *accumulate(ours.encoder.strides[1:], lambda a, b: [x * y for x, y in zip(a, b, strict=True)])]
    sizes = [[edge // step for edge, step in zip(topology.patch, stride, strict=True)] for stride in strides]
    added = sge_feature_map_size(ours.sge.seg_layers, sizes[-1], sizes[ours.guidance_stage])
    added += sum(
        dynamic_feature_map_size(graft.seg_layers, sizes[-2 - int(stage)]) for stage, graft in ours.decoder.sgdc.items()
    )
    estimates = [network.compute_conv_feature_map_size(topology.patch) for network in (ours, stock)]
    assert estimates[0] - added == estimates[1]


@pytest.mark.parametrize("options", [{}, {"num_heads": 8, "kernel_size": 3, "guidance_channels": 64, "mlp_ratio": 2}])
def test_the_estimate_of_a_block_is_what_it_keeps(options) -> None:
    block = SGDC(64, **options)
    estimate = dynamic_feature_map_size(block, (64, 48)) * MAPS_PER_CONVOLUTION * FLOAT
    assert estimate == pytest.approx(block_bytes(block, 1, 64, 48), rel=0.01)


@settings(deadline=None, max_examples=20)
@given(edges, edges, edges)
def test_the_estimate_grows_with_height_and_width(height: int, width: int, more: int) -> None:
    with torch.device("meta"):
        estimate = grafted().compute_conv_feature_map_size
    assert estimate((height, width)) < min(estimate((height + more, width)), estimate((height, width + more)))


@settings(deadline=None, max_examples=20)
@given(edges, edges, st.integers(1, 40))
def test_what_a_block_keeps_grows_by_the_estimate_with_every_image(height: int, width: int, batch: int) -> None:
    block = SGDC(32)
    more = block_bytes(block, batch + 1, height, width) - block_bytes(block, batch, height, width)
    estimate = dynamic_feature_map_size(block, (height, width)) * MAPS_PER_CONVOLUTION * FLOAT
    assert more == pytest.approx(estimate, rel=0.01)
