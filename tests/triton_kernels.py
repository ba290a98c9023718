"""What the Triton kernels compute, against the plain formulation in float64; `test_triton` runs this file.

In Triton's interpreter with TRITON_INTERPRET=1, which has to be set before anything imports triton, on a GPU without.
"""

import os
from pathlib import Path

import pytest
import torch
from test_dynamic_conv import apply, differentiate, double, inputs
from torch import Tensor
from torch.testing import assert_close

from nnunet_sgdc.ops import _in_place, _triton, _triton_kernels, dynamic_conv2d, reference

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
# Batch, channels, heads, k, height, width.
SHAPES = [
    pytest.param((1, 1, 1, 1, 1, 1), id="one of everything"),
    pytest.param((2, 4, 2, 3, 1, 5), id="one row"),
    pytest.param((2, 4, 4, 3, 7, 9), id="one channel for each head"),
    pytest.param((1, 3, 1, 5, 13, 11), id="two tiles of pixels"),
    pytest.param((1, 2, 1, 7, 9, 5), id="seven tiles of taps"),
    pytest.param((1, 2, 2, 3, 33, 17), id="more rows than fit a tile"),
    pytest.param((1, 12, 1, 3, 2, 130), id="wider than a tile, two tiles of channels"),
    pytest.param((1, 2, 1, 7, 2, 3), id="smaller than the kernel"),
]

Shape = tuple[int, int, int, int, int, int]


def tensors(shape: Shape = (1, 4, 2, 3, 7, 5), dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [tensor.detach().to(DEVICE) for tensor in inputs(shape, dtype)]


@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_equal_the_plain_formulation(shape: Shape) -> None:
    x, kernels = tensors(shape)
    grad = torch.randn_like(x)
    actual = _triton.forward(x, kernels), _triton.grad_x(grad, kernels), _triton.grad_kernels(grad, x, kernels.shape)
    exact_x, exact_kernels = double(x, kernels)
    output = reference.dynamic_conv2d(exact_x, exact_kernels)
    exact = output, *torch.autograd.grad(output, (exact_x, exact_kernels), grad.double())
    assert_close([tensor.double() for tensor in actual], list(exact), rtol=1e-5, atol=1e-5)


def test_convolution_and_its_gradients_go_through_the_kernels_when_asked_for(monkeypatch) -> None:
    x, kernels = (tensor.requires_grad_() for tensor in tensors())
    exact = differentiate(reference.dynamic_conv2d, *double(x, kernels))
    monkeypatch.setenv(_triton.VARIABLE, "1")
    for unfused in ("forward", "grad_x", "grad_kernels"):
        monkeypatch.setattr(_in_place, unfused, lambda *_: pytest.fail("it went another way"))
    actual = differentiate(dynamic_conv2d, x, kernels)
    assert_close([tensor.double() for tensor in actual], list(exact), rtol=1e-5, atol=1e-5)


def test_float64_is_summed_in_float64() -> None:
    x, kernels = tensors(dtype=torch.float64)
    assert_close(apply(_triton, x, kernels), apply(_in_place, x, kernels), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_costs_no_more_than_the_rounding_of_the_result(dtype: torch.dtype) -> None:
    # Constant signs: 49 terms accumulated in half precision would be off by many roundings.
    x, kernels = (tensor.abs() for tensor in tensors((1, 2, 1, 7, 5, 4), dtype))
    actual, exact = apply(_triton, x, kernels), apply(_in_place, x.double(), kernels.double())
    # A whole step, not half of one: the interpreter cuts bfloat16 off instead of rounding to nearest.
    step = torch.finfo(dtype).eps
    assert_close([tensor.double() for tensor in actual], list(exact), rtol=step, atol=1e-6)


def test_gradient_of_half_precision_kernels_is_summed_in_float32() -> None:
    x, kernels = (tensor.abs() for tensor in tensors((1, 512, 1, 1, 4, 4), torch.float16))
    exact = _in_place.grad_kernels(x.double(), x.double(), kernels.shape)
    actual = _triton.grad_kernels(x, x, kernels.shape)
    assert_close(actual.double(), exact, rtol=torch.finfo(torch.float16).eps, atol=1e-6)


@pytest.mark.parametrize(
    "lay_out",
    [
        pytest.param(lambda x: x.to(memory_format=torch.channels_last), id="channels last"),
        pytest.param(lambda x: x.transpose(2, 3).contiguous().transpose(2, 3), id="transposed"),
        pytest.param(lambda x: x[:, :1].expand_as(x), id="expanded"),
    ],
)
def test_memory_layout_does_not_matter(lay_out) -> None:
    x, kernels = tensors()
    x, strided = lay_out(x), kernels.permute(0, 3, 4, 1, 2).contiguous().permute(0, 3, 4, 1, 2)
    assert not x.is_contiguous()
    assert_close(apply(_triton, x, strided), apply(_in_place, x, kernels), rtol=1e-5, atol=1e-5)


def test_weights_of_the_border_that_are_not_finite_reach_the_result_as_in_eager_mode() -> None:
    x, kernels = tensors((1, 2, 1, 3, 4, 4))
    kernels[..., 0, 0] = torch.inf
    assert_close(apply(_triton, x, kernels), apply(_in_place, x, kernels), equal_nan=True, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(DEVICE != "cpu", reason="takes 17 GB where files cannot be sparse")
def test_offsets_of_more_than_32_bits_are_reached(tmp_path: Path) -> None:
    channels, height, width = 8, 2**15, 2**14
    x, kernels, result = (
        torch.from_file(str(tmp_path / name), shared=True, size=planes * height * width, dtype=torch.float16)
        for name, planes in (("x", channels), ("kernels", 1), ("result", channels))
    )
    x[-height * width], kernels[0] = 3, 2
    # Of the millions of programs, the first alone: it owns the first pixels of all channels.
    sizes = {"channels": channels, "height": height, "width": width}
    _triton_kernels.gather[(1,)](x, kernels, result, **sizes, SIZE=1, ROWS=8, PIXELS=128, TRANSPOSED=False)
    assert result[-height * width].item() == 6
