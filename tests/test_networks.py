"""The grafted network keeps nnU-Net's contract; oracles are nnU-Net's own network and its loaders."""

import copy
import io
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.testing import assert_close
from unets import PLAIN, RESIDUAL, SMALL, architecture, build, grafted, stock, tiny

from nnunet_sgdc.blocks import SGDC
from nnunet_sgdc.networks import SGDCConfig, SGDCUNet, graft_architecture, graft_plans

BACKBONES = [PLAIN, RESIDUAL]
IDENTITY = replace(SMALL, layer_scale=1e-6)
KEYS = Path(__file__).parent / "golden" / "state_dict_keys.txt"


def images(channels: int = 3, height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(2, channels, height, width)


def as_list(outputs: Tensor | list[Tensor]) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else outputs


def loss(outputs: Tensor | list[Tensor]) -> Tensor:
    return sum(output.float().square().mean() for output in as_list(outputs))


def without_gradient(network: nn.Module) -> list[str]:
    """Names of the trainable weights that one training step leaves idle."""
    loss(network(images())).backward()
    trainable = ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)
    return [name for name, weight in trainable if weight.grad is None]


def plans(patch_size: tuple[int, ...] = (64, 64)) -> dict[str, Any]:
    """As much of nnU-Net's plans as grafting reads; `2d_bs4` inherits from `2d`."""
    two_d = {"patch_size": list(patch_size), "batch_size": 2, "architecture": architecture()}
    return {"plans_name": "nnUNetPlans", "configurations": {"2d": two_d, "2d_bs4": {"inherits_from": "2d"}}}


def options_in(grafted_plans: dict[str, Any], configuration: str = "2d") -> dict[str, Any]:
    return grafted_plans["configurations"][configuration]["architecture"]["arch_kwargs"]["sgdc"]


# What comes out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_are_all_resolutions_highest_first_then_the_boundary(backbone: str, channels: int, training) -> None:
    network = grafted(backbone, channels=channels, classes=4).train(training)
    shapes = [tuple(output.shape[1:]) for output in network(images(channels))]
    assert shapes == [(4, 64, 64), (4, 32, 32), (4, 16, 16), (4, 8, 8), (1, 16, 16)]


def test_training_without_deep_supervision_gives_segmentation_and_boundary() -> None:
    outputs = grafted(deep_supervision=False)(images())
    assert [tuple(output.shape[1:]) for output in outputs] == [(2, 64, 64), (1, 16, 16)]


def test_evaluation_without_deep_supervision_gives_the_segmentation_alone() -> None:
    output = grafted(deep_supervision=False).eval()(images())
    assert isinstance(output, Tensor)
    assert output.shape == (2, 2, 64, 64)


def test_segmentation_is_the_same_in_every_mode() -> None:
    network, x = grafted().eval(), images()
    with_all = network(x)[0]
    network.decoder.deep_supervision = False
    assert_close(network(x), with_all)
    assert_close(network.train()(x)[0], with_all)


def test_boundary_logits_alone_are_those_that_training_sees() -> None:
    network, x = grafted(), images()
    assert_close(network.boundary_logits(x), network(x)[-1])


@pytest.mark.parametrize("deep_supervision", [True, False])
def test_boundaries_are_predicted_on_demand_at_the_resolution_of_the_image(deep_supervision: bool) -> None:
    network, x = grafted(deep_supervision=deep_supervision).eval(), images(height=64, width=32)
    network.predicts_boundary = True
    assert_close(network(x), F.interpolate(network.boundary_logits(x), size=(64, 32), mode="bilinear"))


def test_boundaries_are_predicted_in_evaluation_only() -> None:
    network, x = grafted(), images()
    expected = network(x)
    network.predicts_boundary = True
    assert_close(network(x), expected)


def test_nobody_gets_boundaries_without_asking() -> None:
    assert not grafted().predicts_boundary


def test_strides_that_differ_by_axis_give_the_sizes_that_nnunet_expects() -> None:
    described = architecture(strides=[[1, 1], [2, 1], [2, 2], [2, 2], [2, 2]])
    network = build(graft_architecture(described, SMALL))
    shapes = [tuple(output.shape[2:]) for output in network(images(height=64, width=24))]
    assert shapes == [(64, 24), (32, 24), (16, 12), (8, 6), (16, 12)]


def test_network_shallower_than_the_guidance_stride_reads_the_stage_above_the_bottleneck() -> None:
    assert [tuple(output.shape[1:]) for output in tiny()(images())] == [(2, 64, 64), (2, 32, 32), (1, 32, 32)]


@pytest.mark.parametrize("strides", [(4, 8), (1,), (2, 8, 64)])
def test_blocks_stand_at_the_strides_of_the_options(strides: tuple[int, ...]) -> None:
    network = grafted(config=replace(SMALL, strides=strides, layer_scale=0.5))
    assert network.layer_scales() == {stride: 0.5 for stride in (8, 4, 2, 1) if stride in strides}


def test_options_reach_the_blocks() -> None:
    config = SGDCConfig((4,), 5, num_heads=2, guidance_channels=6, mlp_ratio=2, layer_scale=0.25, sge_ratio=0.3125)
    network = grafted(config=config)
    (block,) = (module for module in network.modules() if isinstance(module, SGDC))
    expected = SGDC(32, guidance_channels=6, num_heads=2, kernel_size=5, mlp_ratio=2, layer_scale=0.25)
    assert repr(block) == repr(expected)
    assert_close(block.mlp_scale, expected.mlp_scale)
    assert network.sge.seg_layers.boundary_head.in_channels == 10


@pytest.mark.parametrize(("ratio", "width"), [(0.25, 8), (1.0, 32), (0.001, 1)])
def test_sge_is_as_wide_as_its_share_of_the_stage_that_it_reads(ratio: float, width: int) -> None:
    network = grafted(config=replace(SMALL, sge_ratio=ratio))
    assert network.sge.seg_layers.boundary_head.in_channels == width


def test_normalisation_of_sge_is_that_of_the_plans() -> None:
    norm = grafted().sge.seg_layers.fusion[1]
    assert isinstance(norm, nn.InstanceNorm2d)
    assert norm.affine


def test_plans_without_normalisation_build() -> None:
    network = build(graft_architecture(architecture(norm_op=None, norm_op_kwargs=None), SMALL))
    assert len(network(images())) == 5


# What is trained


@pytest.mark.parametrize("deep_supervision", [True, False])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_trainable_weight_gets_a_gradient(backbone: str, deep_supervision: bool) -> None:
    assert without_gradient(grafted(backbone, deep_supervision=deep_supervision)) == []


def test_switching_deep_supervision_off_freezes_the_coarser_heads_and_on_restores_them() -> None:
    network = grafted()
    network.decoder.deep_supervision = False
    frozen = [name for name, weight in network.named_parameters() if not weight.requires_grad]
    assert frozen == [f"decoder.seg_layers.{stage}.{kind}" for stage in range(3) for kind in ("weight", "bias")]
    network.decoder.deep_supervision = True
    assert all(weight.requires_grad for weight in network.parameters())
    assert without_gradient(network) == []


# Weights


def test_weights_of_a_training_load_strictly_for_inference() -> None:
    trained, network, x = grafted(), grafted(deep_supervision=False), images()
    network.load_state_dict(trained.state_dict(), strict=True)
    assert_close(network.eval()(x), trained.eval()(x)[0])


def test_names_of_the_weights_never_change() -> None:
    assert list(tiny().state_dict()) == KEYS.read_text().split()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_weights_of_the_stock_network_keep_their_names(backbone: str) -> None:
    # The stock decoder registers the encoder a second time.
    names = {name for name in stock(backbone).state_dict() if not name.startswith("decoder.encoder.")}
    assert names < set(grafted(backbone).state_dict())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_small_layer_scale_computes_what_the_stock_network_computes(backbone: str) -> None:
    original, network, x = stock(backbone).eval(), grafted(backbone, IDENTITY).eval(), images()
    missing, _ = network.load_state_dict(original.state_dict(), strict=False)
    assert all(name.startswith(("sge.", "decoder.sgdc.")) for name in missing)
    assert_close(network(x)[:-1], original(x), rtol=0, atol=1e-4)


def test_pretrained_weights_of_the_stock_network_load_as_nnunet_loads_them(tmp_path: Path) -> None:
    original, network, x = stock().eval(), grafted(config=IDENTITY).eval(), images()
    torch.save({"network_weights": original.state_dict()}, tmp_path / "checkpoint.pth")
    load_pretrained_weights(network, str(tmp_path / "checkpoint.pth"))
    # nnU-Net leaves the segmentation heads out.
    network.decoder.seg_layers.load_state_dict(original.decoder.seg_layers.state_dict())
    assert_close(network(x)[:-1], original(x), rtol=0, atol=1e-4)


def test_pretrained_weights_leave_the_graft_as_it_was_initialised(tmp_path: Path) -> None:
    network = grafted()
    before = copy.deepcopy([*network.sge.parameters(), *network.decoder.sgdc.parameters()])
    torch.save({"network_weights": grafted().state_dict()}, tmp_path / "checkpoint.pth")
    load_pretrained_weights(network, str(tmp_path / "checkpoint.pth"))
    assert_close([*network.sge.parameters(), *network.decoder.sgdc.parameters()], before, rtol=0, atol=0)


# What torch does with it


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("deep_supervision", [True, False])
def test_compiles_as_one_graph(deep_supervision: bool, training: bool) -> None:
    torch.compiler.reset()
    network, x = tiny(deep_supervision=deep_supervision).train(training), images()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-4)


def test_a_compiled_network_obeys_the_switch_to_boundaries() -> None:
    torch.compiler.reset()
    network, x = tiny(deep_supervision=False).eval(), images()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    segmentation = compiled(x)
    network.predicts_boundary = True
    assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-4)
    network.predicts_boundary = False
    assert_close(compiled(x), segmentation)


def test_compiled_network_has_the_gradients_of_the_plain_one() -> None:
    torch.compiler.reset()
    network, x = tiny(), images()
    weights = list(network.parameters())
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    expected = torch.autograd.grad(loss(network(x)), weights)
    assert_close(torch.autograd.grad(loss(compiled(x)), weights), expected, rtol=1e-3, atol=1e-4)


def test_shapes_propagate_without_data() -> None:
    with FakeTensorMode():
        shapes = [tuple(output.shape) for output in grafted()(images())]
    assert shapes == [(2, 2, size, size) for size in (64, 32, 16, 8)] + [(2, 1, 16, 16)]


def pickled(network: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(network))


def saved(network: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled, saved])
def test_duplicates_compute_the_same_and_obey_the_switch(duplicate) -> None:
    network, x = grafted().eval(), images()
    other = duplicate(network)
    assert_close(other(x), network(x), rtol=0, atol=0)
    other.decoder.deep_supervision = False
    assert isinstance(other(x), Tensor)
    assert isinstance(network(x), list)


def test_blank_images_give_finite_gradients() -> None:
    network = grafted()
    loss(network(torch.zeros(2, 3, 64, 64))).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


# Options and plans


def test_options_survive_json() -> None:
    config = SGDCConfig(strides=(2, 4), kernel_size=5, layer_scale=1e-3, sge_ratio=0.5)
    assert SGDCConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_options_that_are_left_out_have_their_defaults() -> None:
    assert SGDCConfig.from_dict({"kernel_size": 5}) == SGDCConfig(kernel_size=5)


def test_options_can_be_a_key_even_when_read_from_a_list() -> None:
    assert {SGDCConfig(strides=[4, 8])} == {SGDCConfig()}


def test_unknown_option_is_named() -> None:
    with pytest.raises(ValueError, match=r"options among \['strides', .* got also \['kernel'\]"):
        SGDCConfig.from_dict({"kernel": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strides", ()),
        ("strides", 4),
        ("strides", (0,)),
        ("strides", (4, 2.5)),
        ("kernel_size", 4),
        ("kernel_size", -3),
        ("kernel_size", 3.0),
        ("num_heads", 0),
        ("guidance_channels", 0),
        ("num_heads", True),
        ("mlp_ratio", 0),
        ("mlp_ratio", "4"),
        ("layer_scale", 0),
        ("layer_scale", float("inf")),
        ("sge_ratio", 0),
    ],
)
def test_option_out_of_range_is_named_with_its_value(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"SGDCConfig\.{name} must be .*, got ") as caught:
        SGDCConfig(**{name: value})
    assert str(caught.value).endswith(repr(value))


def test_strides_that_no_decoder_stage_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"have the strides \[8, 4, 2, 1\], got \(16, 32\)"):
        grafted(config=replace(SMALL, strides=(16, 32)))


def test_heads_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="num_heads must divide the 64 channels, got 3"):
        grafted(config=replace(SMALL, num_heads=3))


def test_network_in_three_dimensions_is_refused() -> None:
    described = architecture(conv_op="torch.nn.modules.conv.Conv3d", norm_op="torch.nn.InstanceNorm3d")
    with pytest.raises(ValueError, match=r"SGDC is for 2D networks .* got Conv3d; use a 2d configuration"):
        build(graft_architecture(described, SMALL))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_grafted_architecture_holds_all_that_rebuilds_the_network(backbone: str) -> None:
    described = json.loads(json.dumps(graft_architecture(architecture(backbone), SMALL)))
    network = build(described)
    assert isinstance(network, SGDCUNet)
    assert network.config == SMALL
    assert network.backbone.__name__ == backbone


def test_grafting_an_architecture_leaves_it_as_it_was() -> None:
    described = architecture()
    graft_architecture(described, SMALL)["arch_kwargs"]["strides"].clear()
    assert described == architecture()


def test_grafting_plans_leaves_them_as_they_were() -> None:
    original = plans()
    graft_plans(original, "2d", SMALL)
    assert original == plans()


def test_plans_keep_the_options_they_were_grafted_with() -> None:
    once = graft_plans(plans(), "2d", SMALL)
    assert graft_plans(once, "2d", SGDCConfig(kernel_size=7)) == once
    assert options_in(once)["kernel_size"] == 3


def test_configuration_that_inherits_its_architecture_gets_one_of_its_own() -> None:
    result = graft_plans(plans(), "2d_bs4", SMALL)
    assert options_in(result, "2d_bs4") == SMALL.to_dict()
    assert result["configurations"]["2d"] == plans()["configurations"]["2d"]


def test_plans_in_three_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'2d' has the patch size \[8, 64, 64\]; train the 2d configuration"):
        graft_plans(plans((8, 64, 64)), "2d", SMALL)
