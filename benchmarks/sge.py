"""SGE at the published widths against the published formulation, forward and backward pass."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from benchmarks.measure import Work, device, extra_memory, print_header, print_row, times_in_turn
from nnunet_sgdc.blocks import SGE
from nnunet_sgdc.ops import reference

BATCH = 2
DEEP, SHALLOW = (2048, 7, 7), (256, 56, 56)
PAIRS = 7


class PublishedSGE(SGE):
    """Dense Sobel convolutions, and the deep map enlarged and stacked onto the shallow one."""

    def forward(self, deep: Tensor, shallow: Tensor) -> tuple[Tensor, Tensor]:
        """Extract structure as SGE does."""
        deep = self.deep_refinement(_emphasise_edges(self.deep_projection(deep)))
        shallow = self.shallow_refinement(_emphasise_edges(self.shallow_projection(shallow)))
        enlarged = F.interpolate(deep, size=shallow.shape[2:], mode="bilinear", align_corners=False)
        fused = self.fusion(torch.cat([enlarged, shallow], dim=1))
        return self.boundary_head(fused), self.guidance_head(fused)


FORMULATIONS: dict[str, type[SGE]] = {"published": PublishedSGE, "ours": SGE}


def main() -> None:
    """Print a table."""
    _check_agreement()
    widths = " and ".join(" x ".join(map(str, shape)) for shape in (DEEP, SHALLOW))
    print(f"SGE, maps of {widths}, batch {BATCH}, float32; times are medians of {PAIRS} pairs\n")
    print_header("pass", "published", "ours", "faster", "published, extra memory", "ours", "less")
    for backward in (False, True):
        _print_comparison(backward)
    print()


def make_work(name: str, backward: bool) -> Work:
    """One pass of a formulation, in training mode, over random maps."""
    module, maps = _module(name), [map_.requires_grad_(backward) for map_ in _maps()]
    differentiated = [*maps, *module.parameters()]

    def work() -> object:
        with torch.set_grad_enabled(backward):
            outputs = module(*maps)
        ones = [torch.ones_like(output) for output in outputs]
        return torch.autograd.grad(outputs, differentiated, ones) if backward else outputs

    return work


def _print_comparison(backward: bool) -> None:
    plain, ours, faster = times_in_turn(*(make_work(name, backward) for name in FORMULATIONS), pairs=PAIRS)
    memory = [extra_memory(partial(make_work, name, backward)) for name in FORMULATIONS]
    print_row(
        *("forward + backward" if backward else "forward", f"{plain * 1e3:.1f} ms", f"{ours * 1e3:.1f} ms"),
        *(f"{faster:.1f} x", f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB", f"{memory[0] / memory[1]:.1f} x"),
    )


def _check_agreement() -> None:
    """Raise AssertionError where both formulations give different outputs."""
    published, ours = (_module(name).double() for name in FORMULATIONS)
    maps = [map_.double() for map_ in _maps()]
    with torch.no_grad():
        assert_close(ours(*maps), published(*maps), rtol=1e-9, atol=1e-9)


def _module(name: str) -> SGE:
    """A formulation; all have the same weights."""
    torch.manual_seed(0)
    return FORMULATIONS[name](DEEP[0], SHALLOW[0], width=256, projection_width=256).to(device())


def _maps() -> list[Tensor]:
    return [torch.randn(BATCH, *shape, device=device()) for shape in (DEEP, SHALLOW)]


def _emphasise_edges(x: Tensor) -> Tensor:
    return torch.sigmoid(reference.sobel_magnitude(x)) * x


if __name__ == "__main__":
    main()
