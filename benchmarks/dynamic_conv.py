"""The dynamic convolution against the unfold formulation."""

from functools import partial

import torch

from benchmarks.measure import Work, device, extra_memory, print_header, print_row, times_in_turn
from nnunet_sgdc.ops import dynamic_conv2d, reference

SHAPES = [(2, 64, 128, 128), (8, 128, 64, 64), (2, 32, 256, 256), (1, 48, 97, 113)]
HEADS, SIZE = 4, 7
PAIRS = 7
FORMULATIONS = {"unfold": reference.dynamic_conv2d, "ours": dynamic_conv2d}


def main() -> None:
    """Print a table."""
    print(f"dynamic_conv2d, {HEADS} heads, k {SIZE}, float32; times are medians of {PAIRS} pairs\n")
    print_header("B C H W", "pass", "unfold", "ours", "faster", "unfold, extra memory", "ours", "less")
    for shape in SHAPES:
        for backward in (False, True):
            _print_comparison(shape, backward)
    print()


def make_work(name: str, shape: tuple[int, ...], backward: bool) -> Work:
    """One pass of a formulation over random inputs."""
    batch, _, height, width = shape
    x = torch.randn(shape, device=device()).requires_grad_(backward)
    kernels = torch.randn(batch, HEADS, SIZE**2, height, width, device=device()).softmax(2).requires_grad_(backward)
    cotangent = torch.randn(shape, device=device())
    operator = FORMULATIONS[name]

    def work() -> object:
        result = operator(x, kernels)
        return torch.autograd.grad(result, (x, kernels), cotangent) if backward else result

    return work


def _print_comparison(shape: tuple[int, ...], backward: bool) -> None:
    plain, ours, faster = times_in_turn(*(make_work(name, shape, backward) for name in FORMULATIONS), pairs=PAIRS)
    memory = [extra_memory(partial(make_work, name, shape, backward)) for name in FORMULATIONS]
    print_row(
        *(" ".join(map(str, shape)), "forward + backward" if backward else "forward"),
        *(f"{plain * 1e3:.1f} ms", f"{ours * 1e3:.1f} ms", f"{faster:.1f} x"),
        *(f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB", f"{memory[0] / memory[1]:.1f} x"),
    )


if __name__ == "__main__":
    main()
