"""What Inductor makes of the dynamic convolution on a CPU: one loop, and no copy of the map for every tap."""

import re
from functools import partial
from math import prod

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler
from torch._inductor.utils import run_and_get_code
from torch.testing import assert_close

from nnunet_sgdc.ops import dynamic_conv2d, reference

SHAPE, HEADS, SIZE = (2, 8, 16, 16), 2, 3


def has_compiler() -> bool:
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_compiler(), reason="Inductor finds no C++ compiler")


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    batch, _, height, width = SHAPE
    return torch.randn(SHAPE), torch.randn(batch, HEADS, SIZE**2, height, width)


@pytest.fixture(scope="module")
def compiled(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, str]:
    """The result, and the code that computed it: a Python program with C++ in it."""
    torch.compiler.reset()
    result, (code,) = run_and_get_code(torch.compile(dynamic_conv2d, fullgraph=True), *pair)
    return result, code


def allocated(code: str) -> list[int]:
    """Elements of every buffer that the code makes."""
    shapes = re.findall(r"= empty_strided_cpu\(\(([\d, ]+)\)", code)
    return [prod(map(int, shape.strip(", ").split(","))) for shape in shapes]


def test_compiled_code_computes_the_plain_formulation(pair: tuple[Tensor, Tensor], compiled) -> None:
    assert_close(compiled[0], reference.dynamic_conv2d(*pair), rtol=1e-5, atol=1e-5)


def test_all_taps_and_the_padding_are_one_loop(compiled: tuple[Tensor, str]) -> None:
    _, code = compiled
    assert code.count('extern "C"') == 1
    assert code.count("for(int64_t x0=") == 1


def test_the_result_is_all_that_is_allocated(compiled: tuple[Tensor, str]) -> None:
    assert allocated(compiled[1]) == [prod(SHAPE)]


def test_counting_allocations_sees_the_copy_that_unfold_makes(pair: tuple[Tensor, Tensor]) -> None:
    torch.compiler.reset()
    _, (code,) = run_and_get_code(torch.compile(partial(F.unfold, kernel_size=SIZE), fullgraph=True), pair[0])
    batch, channels, height, width = SHAPE
    assert allocated(code) == [batch * channels * SIZE**2 * (height - SIZE + 1) * (width - SIZE + 1)]
