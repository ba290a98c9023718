"""SGE, SGDC and LayerNorm2d as modules; oracles are torch's layer_norm and what the blocks promise.

Their arithmetic is held to the published one in test_golden.
"""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from nnunet_sgdc.blocks import SGDC, SGE, recomputation
from nnunet_sgdc.blocks.layer_norm import LayerNorm2d

HALF = [torch.bfloat16, torch.float16]


class Pipeline(nn.Module):
    """SGE and, under its guidance, SGDC on the shallow map, as in a network."""

    def __init__(self, channels: int = 8, kernel_size: int = 3, layer_scale: float = 0.1) -> None:
        super().__init__()
        self.sge = SGE(channels, channels, width=8, projection_width=16, norm=nn.InstanceNorm2d)
        self.sgdc = SGDC(channels, kernel_size=kernel_size, layer_scale=layer_scale)

    def forward(self, deep: Tensor, shallow: Tensor) -> tuple[Tensor, Tensor]:
        boundary, guidance = self.sge(deep, shallow)
        return boundary, self.sgdc(shallow, guidance)


def small_sge(**options: int) -> SGE:
    return SGE(12, 6, **{"width": 8, "guidance_channels": 5, "projection_width": 16, **options})


def gradients(module: nn.Module, outputs: tuple[Tensor, ...], *inputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(sum(output.sum() for output in outputs), [*inputs, *module.parameters()]))


def padded(channels: int = 8) -> Tensor:
    """Structure in the middle, zeros all around, as nnU-Net pads."""
    x = torch.zeros(1, channels, 12, 12)
    x[..., 4:8, 4:8] = torch.randn(1, channels, 4, 4)
    return x


def test_sgdc_starts_as_the_identity() -> None:
    x = torch.randn(2, 8, 12, 10)
    assert_close(SGDC(8)(x, torch.randn(2, 16, 12, 10)), x, rtol=0, atol=1e-4)


def test_a_larger_layer_scale_is_no_identity() -> None:
    x = torch.randn(2, 8, 12, 10)
    assert (SGDC(8, layer_scale=0.1)(x, torch.randn(2, 16, 12, 10)) - x).abs().max() > 1e-2


def test_layer_scale_may_be_an_integer() -> None:
    assert SGDC(8, layer_scale=1).mlp_scale.tolist() == [1.0] * 8


def test_sgdc_interpolates_guidance_of_another_resolution() -> None:
    block, x, guidance = SGDC(8, layer_scale=1), torch.randn(2, 8, 12, 10), torch.randn(2, 16, 5, 7)
    same_size = F.interpolate(guidance, size=(12, 10), mode="bilinear", align_corners=False)
    assert_close(block(x, guidance), block(x, same_size))


def test_sgdc_gives_every_input_and_parameter_a_gradient() -> None:
    block = SGDC(8)
    x, guidance = torch.randn(2, 8, 12, 10, requires_grad=True), torch.randn(2, 16, 6, 5, requires_grad=True)
    assert all(gradient.abs().sum() > 0 for gradient in gradients(block, (block(x, guidance).square(),), x, guidance))


def test_sgdc_shows_its_heads_and_its_kernel() -> None:
    assert "num_heads=2, kernel_size=5" in repr(SGDC(8, num_heads=2, kernel_size=5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "num_heads must divide the 8 channels, got 3"),
        ({"num_heads": 0}, "num_heads must divide the 8 channels, got 0"),
        ({"kernel_size": 4}, "kernel_size must be odd and positive, got 4"),
        ({"kernel_size": -1}, "kernel_size must be odd and positive, got -1"),
    ],
)
def test_sgdc_refuses_arguments_that_make_no_block(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SGDC(8, **options)


@pytest.mark.parametrize("size", [(16, 20), (17, 13), (1, 2)])
def test_sge_gives_boundary_and_guidance_at_the_resolution_of_the_shallow_map(size: tuple[int, int]) -> None:
    boundary, guidance = small_sge()(torch.randn(2, 12, 4, 5), torch.randn(2, 6, *size))
    assert boundary.shape == (2, 1, *size)
    assert guidance.shape == (2, 5, *size)


def test_sge_gives_every_input_and_parameter_a_gradient() -> None:
    block = small_sge()
    deep, shallow = torch.randn(2, 12, 4, 5, requires_grad=True), torch.randn(2, 6, 16, 20, requires_grad=True)
    outputs = (output.square() for output in block(deep, shallow))
    assert all(gradient.abs().sum() > 0 for gradient in gradients(block, tuple(outputs), deep, shallow))


def test_sge_takes_the_normalisation_it_is_given() -> None:
    modules = [type(module) for module in SGE(12, 6, norm=nn.InstanceNorm2d).modules()]
    assert modules.count(nn.InstanceNorm2d) == 9
    assert nn.BatchNorm2d not in modules


def test_sge_keeps_a_channel_where_reduction_exceeds_the_width() -> None:
    boundary, _ = small_sge(projection_width=2, reduction=4)(torch.randn(2, 12, 4, 5), torch.randn(2, 6, 16, 20))
    assert boundary.shape == (2, 1, 16, 20)


@pytest.mark.parametrize("dtype", HALF)
def test_sgdc_of_half_precision_weights_gives_half_precision_maps(dtype: torch.dtype) -> None:
    x, guidance = torch.randn(2, 8, 4, 4, dtype=dtype), torch.randn(2, 16, 8, 8, dtype=dtype)
    output = SGDC(8, layer_scale=1).to(dtype)(x, guidance)
    assert output.dtype == dtype
    assert output.isfinite().all()


def test_an_mlp_without_hidden_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mlp_ratio must leave a hidden channel beside 8 channels, got 0\.1"):
        SGDC(8, mlp_ratio=0.1)


@pytest.mark.parametrize("dtype", HALF)
def test_sge_of_half_precision_weights_gives_half_precision_maps(dtype: torch.dtype) -> None:
    deep, shallow = torch.randn(2, 12, 4, 5, dtype=dtype), torch.randn(2, 6, 16, 20, dtype=dtype)
    assert {output.dtype for output in small_sge().to(dtype)(deep, shallow)} == {dtype}


@pytest.mark.parametrize(
    "shallow",
    [
        pytest.param(torch.zeros(1, 8, 12, 12), id="zeros"),
        pytest.param(torch.full((1, 8, 12, 12), 3.0), id="constant"),
        pytest.param(padded(), id="padded"),
    ],
)
def test_flat_maps_give_finite_outputs_and_gradients(shallow: Tensor) -> None:
    pipeline, shallow = Pipeline(), shallow.clone().requires_grad_()
    deep = F.avg_pool2d(shallow.detach(), 4).requires_grad_()
    outputs = pipeline(deep, shallow)
    assert all(value.isfinite().all() for value in (*outputs, *gradients(pipeline, outputs, deep, shallow)))


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("magnitude", [1e3, 1e4])
def test_autocast_stays_finite_on_large_activations_of_512_channels(magnitude: float, dtype: torch.dtype) -> None:
    pipeline = Pipeline(512)
    deep, shallow = (magnitude * torch.randn(1, 512, size, size) for size in (2, 8))
    deep, shallow = deep.requires_grad_(), shallow.requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        outputs = pipeline(deep, shallow)
    # A mean, as losses are: a sum of 512 channels times 1e4 is out of the range of float16 by itself.
    loss = sum(output.float().mean() for output in outputs)
    computed = torch.autograd.grad(loss, [deep, shallow, *pipeline.parameters()])
    assert all(value.isfinite().all() for value in (*outputs, *computed))


@pytest.mark.parametrize("dtype", HALF)
def test_autocast_computes_what_single_precision_computes(dtype: torch.dtype) -> None:
    pipeline, deep, shallow = Pipeline(), torch.randn(1, 8, 4, 4), torch.randn(1, 8, 12, 12)
    expected = pipeline(deep, shallow)
    with torch.autocast("cpu", dtype=dtype):
        outputs = pipeline(deep, shallow)
    assert_close([output.float() for output in outputs], list(expected), rtol=0.05, atol=0.05)


def test_kernel_logits_beyond_the_range_of_half_precision_still_make_kernels() -> None:
    block, x, guidance = SGDC(8, layer_scale=1), torch.randn(1, 8, 6, 6), torch.randn(1, 16, 6, 6)
    block.gates_and_kernels.bias.data[16:] = torch.tensor([1e30, -1e30]).repeat(98)
    with torch.autocast("cpu", dtype=torch.float16):
        assert block(x, guidance).isfinite().all()


@pytest.mark.parametrize("shape", [(2, 8, 5, 7), (1, 1, 3, 3), (3, 16, 1, 1)])
def test_layer_norm_equals_the_one_of_torch(shape: tuple[int, ...]) -> None:
    norm, x = LayerNorm2d(shape[1]).double(), torch.randn(shape, dtype=torch.float64, requires_grad=True)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    expected = F.layer_norm(x.permute(0, 2, 3, 1), (shape[1],), norm.weight, norm.bias, eps=1e-6).permute(0, 3, 1, 2)
    outputs = norm(x), expected
    assert_close(*outputs)
    assert_close(*(gradients(norm, (output.pow(3),), x) for output in outputs))


def test_layer_norm_of_large_half_precision_maps_is_computed_in_float32() -> None:
    x = torch.randn(1, 512, 3, 3).mul(1e4).half()
    output = LayerNorm2d(512)(x)
    assert output.dtype == torch.float16
    assert_close(output.float().var(1, correction=0), torch.ones(1, 3, 3), rtol=0, atol=1e-3)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copied_and_pickled_blocks_compute_the_same(duplicate) -> None:
    pipeline, deep, shallow = Pipeline(), torch.randn(1, 8, 4, 4), torch.randn(1, 8, 12, 12)
    assert_close(duplicate(pipeline)(deep, shallow), pipeline(deep, shallow), rtol=0, atol=0)


@pytest.mark.parametrize("block_bytes", [1, 20_000], ids=["row by row", "rows that do not divide"])
def test_rows_computed_in_blocks_change_nothing(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    block = SGDC(8, layer_scale=0.5).double()
    x, guidance = (torch.randn(2, channels, 13, 9).double().requires_grad_() for channels in (8, 16))
    whole = gradients(block, (block(x, guidance),), x, guidance)
    monkeypatch.setattr(recomputation, "CPU_BLOCK_BYTES", block_bytes)
    assert_close(gradients(block, (block(x, guidance),), x, guidance), whole, rtol=1e-12, atol=1e-12)
