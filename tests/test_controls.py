"""The controls of SGDC: each is what its name says, costs what it claims, and keeps nnU-Net's contract."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from test_networks import images, without_gradient
from test_trainer import MakeTrainer, batch_for, logged, make_trainer, stock_plans, train_one_epoch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode
from unets import PLAIN, RESIDUAL, SMALL, grafted, stock

from benchmarks.plans import plan
from benchmarks.topologies import build_grafted, build_stock
from nnunet_sgdc.blocks import SGDC, GatedDynamicConv, PooledDynamicConv
from nnunet_sgdc.evaluation.training_cost import parameter_count
from nnunet_sgdc.networks import SGDCConfig, SGDCUNet, graft_plans, planned_options
from nnunet_sgdc.networks.config import BLOCKS
from nnunet_sgdc.networks.placed_blocks import make_block
from nnunet_sgdc.ops import reference
from nnunet_sgdc.profiling.flops import forward_flops
from nnunet_sgdc.trainers import (
    nnUNetTrainerBoundary,
    nnUNetTrainerPooledDynamicConv,
    nnUNetTrainerSGDC,
    nnUNetTrainerSGDCNoBoundaryLoss,
    nnUNetTrainerStaticConv,
    nnUNetTrainerStaticConvEqualFLOPs,
)

pytestmark = pytest.mark.usefixtures("one_thread")

__all__ = ["make_trainer"]

CONTROLS = [
    nnUNetTrainerBoundary,
    nnUNetTrainerPooledDynamicConv,
    nnUNetTrainerSGDCNoBoundaryLoss,
    nnUNetTrainerStaticConv,
    nnUNetTrainerStaticConvEqualFLOPs,
]
WITHOUT_SGE = [block for block in BLOCKS if not SGDCConfig(block=block).has_sge]
STYLE = {"conv_bias": True, "norm_op": nn.InstanceNorm2d, "norm_op_kwargs": {"affine": True}, "nonlin": nn.LeakyReLU}


def network(block: str, backbone: str = PLAIN, **options: object) -> SGDCUNet:
    return grafted(backbone, replace(SMALL, block=block), **options)


def block_of(name: str, channels: int) -> nn.Module:
    return make_block(SGDCConfig(block=name), channels, STYLE)


def convolution_flops(block: nn.Module, *inputs: Tensor) -> int:
    """What torch counts of a block, in which it does not see the dynamic convolution."""
    with FlopCounterMode(display=False) as counter:
        block(*inputs)
    return counter.get_total_flops()


# What they cost


@pytest.mark.parametrize("channels", [8, 32, 64, 128, 256])
def test_a_static_block_has_the_parameters_of_sgdc_to_within_a_channel(channels: int) -> None:
    wanted, block = parameter_count(block_of("sgdc", channels)), block_of("static_conv", channels)
    of_a_channel = parameter_count(block) / block.bottleneck_channels
    assert abs(parameter_count(block) - wanted) <= 2 * of_a_channel
    assert parameter_count(block) == pytest.approx(wanted, rel=0.06 if channels < 32 else 0.02)


@pytest.mark.parametrize("channels", [8, 32, 64, 128, 256])
def test_a_static_block_has_the_flops_of_sgdc_to_within_a_channel(channels: int) -> None:
    x, guidance = torch.randn(1, channels, 16, 16), torch.randn(1, 16, 16, 16)
    dynamic = 2 * 49 * x.numel()
    wanted = convolution_flops(block_of("sgdc", channels).eval(), x, guidance) + dynamic
    flops = convolution_flops(block_of("static_conv_equal_flops", channels).eval(), x)
    assert flops == pytest.approx(wanted, rel=0.06 if channels < 32 else 0.02)


@pytest.mark.parametrize("backbone", [PLAIN, RESIDUAL])
def test_networks_of_nnunets_plans_have_equal_parameters_to_within_half_a_percent(backbone: str) -> None:
    setting = plan(backbone, (256, 256), 2)
    with torch.device("meta"):
        ours, static = (build_grafted(setting, SGDCConfig(block=name)) for name in ("sgdc", "static_conv"))
    assert parameter_count(static) == pytest.approx(parameter_count(ours), rel=0.005)


@pytest.mark.parametrize("backbone", [PLAIN, RESIDUAL])
def test_networks_of_nnunets_plans_have_equal_flops_to_within_two_percent(backbone: str) -> None:
    setting = plan(backbone, (256, 256), 2)
    with torch.device("meta"):
        networks = [build_grafted(setting, SGDCConfig(block=name)) for name in ("sgdc", "static_conv_equal_flops")]
    ours, static = (forward_flops(one.eval(), (1, 3, 256, 256)) for one in networks)
    assert static == pytest.approx(ours, rel=0.02)


def test_unsupervised_guidance_leaves_the_network_as_it_is() -> None:
    assert nnUNetTrainerSGDCNoBoundaryLoss.sgdc == nnUNetTrainerSGDC.sgdc


@pytest.mark.parametrize("block", BLOCKS)
def test_the_planner_can_tell_the_memory_of_every_control(block: str) -> None:
    setting = plan(PLAIN, (128, 128), 2)
    with torch.device("meta"):
        ours, plain = build_grafted(setting, SGDCConfig(block=block)), build_stock(setting)
    assert ours.compute_conv_feature_map_size((128, 128)) > plain.compute_conv_feature_map_size((128, 128))


# What they compute


def plain_pooled(block: PooledDynamicConv, x: Tensor) -> Tensor:
    """The rival written out: affinities of all pixels to all regions, and unfolded patches."""
    heads, (_, channels, height, width) = block.num_heads, x.shape
    means = F.adaptive_avg_pool2d(x, 7)
    queries = block.query(x).reshape(len(x), heads, -1, height * width)
    keys = block.key(means).reshape(len(x), heads, -1, 49)
    affinity = torch.einsum("bhcp,bhcr->bhpr", queries, keys) / queries.shape[2] ** 0.5
    kernels = block.regions_to_taps(affinity).softmax(-1).transpose(2, 3).reshape(len(x), heads, -1, height, width)
    gates = torch.sigmoid(block.gates(x.mean((2, 3), keepdim=True)))
    static = block.static_conv(x * gates[:, :channels])
    dynamic = reference.dynamic_conv2d(block.mixing_norm(x), kernels) * gates[:, channels:]
    x = x + block.mixing_scale[:, None, None] * (static + dynamic)
    return x + block.mlp_scale[:, None, None] * block.mlp(block.mlp_norm(x))


@pytest.mark.parametrize(("kernel_size", "heads", "size"), [(7, 4, (14, 14)), (3, 2, (9, 11)), (5, 1, (4, 6))])
def test_the_pooled_rival_computes_its_plain_formulation(kernel_size: int, heads: int, size: tuple[int, int]) -> None:
    block = PooledDynamicConv(8, heads, kernel_size, layer_scale=0.5).double()
    x = torch.randn(2, 8, *size, dtype=torch.float64, requires_grad=True)
    ours, plain = block(x), plain_pooled(block, x)
    assert_close(ours, plain)
    weights = (x, *block.parameters())
    cotangent = torch.randn_like(ours)
    for gradient, expected in zip(
        torch.autograd.grad(ours, weights, cotangent), torch.autograd.grad(plain, weights, cotangent), strict=True
    ):
        assert_close(gradient, expected)


def test_the_pooled_rival_shares_everything_with_sgdc_but_where_gates_and_kernels_come_from() -> None:
    shared = set(GatedDynamicConv.__dict__) & {"forward", "_mix", "_mlp", "_kernels", "_convolve_static"}
    assert not shared & set(PooledDynamicConv.__dict__)
    assert {"_gates_and_kernels"} <= set(PooledDynamicConv.__dict__) & set(SGDC.__dict__)


def test_the_pooled_rival_compiles_to_a_single_graph() -> None:
    block, x = PooledDynamicConv(8), torch.randn(1, 8, 12, 12)
    assert_close(torch.compile(block, backend="eager", fullgraph=True)(x), block(x))


def test_the_pooled_rival_sees_the_whole_map_at_every_pixel() -> None:
    block = PooledDynamicConv(8, layer_scale=1.0)
    x = torch.randn(1, 8, 32, 32, requires_grad=True)
    block(x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0, :, 31, 31] != 0).any()


# nnU-Net's contract


@pytest.mark.parametrize("block", WITHOUT_SGE)
@pytest.mark.parametrize("training", [True, False])
def test_without_sge_outputs_are_those_of_the_stock_network(block: str, training: bool) -> None:
    expected = [output.shape for output in stock().train(training)(images())]
    assert [output.shape for output in network(block).train(training)(images())] == expected


@pytest.mark.parametrize("block", WITHOUT_SGE)
def test_without_sge_and_deep_supervision_training_gives_one_map(block: str) -> None:
    assert network(block, deep_supervision=False)(images()).shape == (2, 2, 64, 64)


def test_the_boundary_control_gives_boundaries_and_no_guidance() -> None:
    control = network("none")
    assert control(images())[-1].shape == (2, 1, 16, 16)
    assert not control.decoder.sgdc
    assert control.sge.seg_layers.guidance_head is None


def test_the_boundary_control_segments_as_the_stock_network_with_its_weights() -> None:
    control, plain, x = network("none"), stock(), images()
    # The stock decoder holds the encoder, too.
    weights = {name: control.state_dict()[name.replace("decoder.encoder.", "encoder.")] for name in plain.state_dict()}
    plain.load_state_dict(weights)
    assert_close(control(x)[:-1], plain(x))


@pytest.mark.parametrize("backbone", [PLAIN, RESIDUAL])
@pytest.mark.parametrize("block", BLOCKS)
def test_no_weight_is_left_without_gradient(block: str, backbone: str) -> None:
    assert without_gradient(network(block, backbone)) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_names_of_stock_weights_are_kept_and_others_are_not_looked_for(block: str) -> None:
    ours = set(network(block).state_dict())
    stocks = {name.replace("decoder.encoder.", "encoder.") for name in stock().state_dict()}
    assert stocks <= ours
    assert all(".seg_layers." in name for name in ours - stocks)


def test_an_unknown_block_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^SGDCConfig\.block must be one of sgdc, .*, got 'conv'$"):
        SGDCConfig(block="conv")


# Trainers


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_trains_validates_logs_and_draws(make_trainer: MakeTrainer, control: type[nnUNetTrainer]) -> None:
    trainer = make_trainer(control)
    trainer.initialize()
    train_one_epoch(trainer)
    assert len(logged(trainer, "train_segmentation_losses")) == 1
    assert ("train_boundary_losses" in trainer.logger.get_checkpoint()) == trainer.plain_network.config.has_sge
    assert (trainer.output_folder_base and trainer.plain_network.config.block) == control.sgdc.block


def test_without_its_loss_the_boundary_head_stays_as_it_is_and_is_still_logged(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(nnUNetTrainerSGDCNoBoundaryLoss)
    trainer.initialize()
    step = trainer.train_step(batch_for(trainer))
    assert np.isfinite(step["boundary"])
    assert step["loss"] == pytest.approx(float(step["segmentation"]))
    assert not trainer.plain_network.sge.seg_layers.boundary_head.weight.grad.any()


@pytest.mark.parametrize("control", CONTROLS)
def test_on_plans_with_options_a_control_takes_them_and_keeps_its_block(
    make_trainer: MakeTrainer, control: type[nnUNetTrainer]
) -> None:
    plans = graft_plans(stock_plans(), "2d", SGDCConfig(kernel_size=3))
    planned = planned_options(make_trainer(control, plans=plans).plans_manager.plans, "2d")
    assert planned == SGDCConfig(kernel_size=3, block=control.sgdc.block)


def test_the_main_trainer_takes_plans_that_a_control_has_left(make_trainer: MakeTrainer) -> None:
    plans = graft_plans(stock_plans(), "2d", nnUNetTrainerStaticConv.sgdc)
    assert planned_options(make_trainer(plans=plans).plans_manager.plans, "2d") == SGDCConfig()
