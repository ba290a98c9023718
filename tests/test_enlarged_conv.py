"""The convolution of an enlarged map; the oracle enlarges it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from nnunet_sgdc.ops import conv2d_of_enlarged

SIZES = [((4, 4), (64, 64)), ((4, 5), (13, 11)), ((1, 1), (1, 1)), ((1, 3), (2, 9)), ((7, 6), (7, 6)), ((6, 8), (3, 4))]


def plain(x: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    enlarged = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    return F.conv2d(enlarged, weight, padding=weight.shape[-1] // 2)


def inputs(old: tuple[int, int], taps: int = 3) -> tuple[Tensor, Tensor]:
    x, weight = torch.randn(2, 3, *old), torch.randn(5, 3, taps, taps)
    return x.double().requires_grad_(), weight.double().requires_grad_()


@pytest.mark.parametrize("taps", [1, 3, 5])
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_result_is_that_of_enlarging_and_convolving(old: tuple[int, int], new: tuple[int, int], taps: int) -> None:
    x, weight = inputs(old, taps)
    assert_close(conv2d_of_enlarged(x, weight, new), plain(x, weight, new), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_gradients_are_those_of_enlarging_and_convolving(old: tuple[int, int], new: tuple[int, int]) -> None:
    pair = inputs(old)
    cotangent = torch.randn(2, 5, *new).double()
    expected = torch.autograd.grad(plain(*pair, new), pair, cotangent)
    assert_close(torch.autograd.grad(conv2d_of_enlarged(*pair, new), pair, cotangent), expected, rtol=1e-11, atol=1e-11)


def test_the_result_lies_in_memory_as_other_convolutions_leave_it() -> None:
    assert conv2d_of_enlarged(*inputs((4, 5)), (13, 11)).is_contiguous()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_costs_a_few_roundings(dtype: torch.dtype) -> None:
    x, weight = (tensor.detach().to(dtype) for tensor in inputs((4, 4)))
    expected = plain(x.double(), weight.double(), (32, 32))
    rounding = 4 * torch.finfo(dtype).eps
    assert_close(conv2d_of_enlarged(x, weight, (32, 32)).double(), expected, rtol=rounding, atol=4 * rounding)


def test_compiles_as_one_graph() -> None:
    torch.compiler.reset()
    x, weight = inputs((4, 4))
    compiled = torch.compile(conv2d_of_enlarged, fullgraph=True, backend="aot_eager")
    assert_close(compiled(x, weight, (16, 16)), plain(x, weight, (16, 16)))
