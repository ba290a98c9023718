"""The dynamic convolution against the unfold formulation, the limit of the machine, and its own compiled form.

The limit is the time in which the memory moves what has to be moved, inputs and results once each, as fast as it copies
a large tensor. NNUNET_SGDC_TRITON=1 measures the Triton kernels.
"""

import os
import shutil
from functools import partial
from math import prod

import torch
from torch import Tensor

from benchmarks.measure import Work, device, extra_memory, print_header, print_row, times_in_turn
from nnunet_sgdc.ops import dynamic_conv2d, reference
from nnunet_sgdc.profiling.device import wait_for
from nnunet_sgdc.profiling.timing import medians_in_turn

SHAPES = [(2, 64, 128, 128), (8, 128, 64, 64), (2, 32, 256, 256), (1, 48, 97, 113)]
# Compiling takes much longer than anything else here.
COMPILED_SHAPES = SHAPES[:2]
HEADS, SIZE = 4, 7
PAIRS = 7
FORMULATIONS = {"unfold": reference.dynamic_conv2d, "ours": dynamic_conv2d}
FLOAT = 4
# Far more than a processor caches.
COPIED_BYTES = 2**28


def main() -> None:
    """Print two tables, the second where there is a compiler."""
    print(f"dynamic_conv2d, {HEADS} heads, k {SIZE}, float32; times are medians of {PAIRS} pairs\n")
    memory = ("unfold, extra memory", "ours", "less")
    print_header("B C H W", "pass", "unfold", "ours", "faster", "of the limit", *memory)
    for shape in SHAPES:
        for backward in (False, True):
            _print_comparison(shape, backward)
    print()
    if _can_compile():
        _print_compiled()


def make_work(name: str, shape: tuple[int, ...], backward: bool) -> Work:
    """One pass of a formulation over random inputs; `compiled` is ours under torch.compile."""
    batch, _, height, width = shape
    x = torch.randn(shape, device=device()).requires_grad_(backward)
    kernels = torch.randn(batch, HEADS, SIZE**2, height, width, device=device()).softmax(2).requires_grad_(backward)
    cotangent = torch.randn(shape, device=device())
    operator = torch.compile(dynamic_conv2d, dynamic=False) if name == "compiled" else FORMULATIONS[name]

    def work() -> object:
        result = operator(x, kernels)
        return torch.autograd.grad(result, (x, kernels), cotangent) if backward else result

    return work


def least_bytes(shape: tuple[int, ...], backward: bool) -> int:
    """Bytes that one pass over a map of shape (B, C, H, W) has to move, each input and each result once."""
    batch, _, height, width = shape
    x, kernels = FLOAT * prod(shape), FLOAT * batch * HEADS * SIZE**2 * height * width
    forward = x + kernels + x
    # The gradient of the result, x and the kernels are read, the gradients of both are written.
    return forward + (x + x + kernels + x + kernels if backward else 0)


def _print_comparison(shape: tuple[int, ...], backward: bool) -> None:
    plain, ours, faster = times_in_turn(*(make_work(name, shape, backward) for name in FORMULATIONS), pairs=PAIRS)
    memory = [extra_memory(partial(make_work, name, shape, backward)) for name in FORMULATIONS]
    print_row(
        *(_named(shape), _pass(backward), f"{plain * 1e3:.1f} ms", f"{ours * 1e3:.1f} ms", f"{faster:.1f} x"),
        f"{_factor_to_limit(shape, backward):.1f} x",
        *(f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB", f"{memory[0] / memory[1]:.1f} x"),
    )


def _factor_to_limit(shape: tuple[int, ...], backward: bool) -> float:
    """Our time, as a multiple of the least one; the copy is timed in turn with it."""
    source = torch.ones(COPIED_BYTES // FLOAT, device=device())
    target = torch.empty_like(source)
    _, _, ours_of_copy = times_in_turn(make_work("ours", shape, backward), partial(_copy, source, target), PAIRS)
    return ours_of_copy * 2 * COPIED_BYTES / least_bytes(shape, backward)


def _copy(source: Tensor, target: Tensor) -> None:
    target.copy_(source)


def _can_compile() -> bool:
    return device().type == "cuda" or shutil.which(os.environ.get("CXX", "g++")) is not None


def _print_compiled() -> None:
    print(f"dynamic_conv2d under torch.compile; medians of {PAIRS} runs in turn\n")
    names = (*FORMULATIONS, "compiled")
    print_header("B C H W", "pass", "unfold", "ours", "ours, compiled", "faster than ours", "faster than unfold")
    for shape in COMPILED_SHAPES:
        for backward in (False, True):
            works = {name: make_work(name, shape, backward) for name in names}
            plain, ours, compiled = medians_in_turn(works, PAIRS, partial(wait_for, device()), _pass(backward)).values()
            times = (f"{seconds * 1e3:.1f} ms" for seconds in (plain, ours, compiled))
            print_row(_named(shape), _pass(backward), *times, f"{ours / compiled:.1f} x", f"{plain / compiled:.1f} x")
    print()


def _named(shape: tuple[int, ...]) -> str:
    return " ".join(map(str, shape))


def _pass(backward: bool) -> str:
    return "forward + backward" if backward else "forward"


if __name__ == "__main__":
    main()
