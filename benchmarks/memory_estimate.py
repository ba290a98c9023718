"""What the planner takes SGDC's memory to be, against what a training step keeps, and on CUDA against its peak.

Bytes kept are counted on PyTorch's meta device: all that autograd holds at the end of the forward pass, in single
precision. Peaks are those of the real step, in eager mode and mixed precision; weights, gradients and momentum, which
the planner does not count, are part of them.
"""

import os
from functools import partial
from unittest.mock import patch

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from benchmarks.measure import device, print_header, print_row
from benchmarks.topologies import TOPOLOGIES, Topology, build_grafted, build_stock
from nnunet_sgdc.evaluation.training_cost import activation_bytes
from nnunet_sgdc.networks import SGDCConfig
from nnunet_sgdc.profiling.measuring import measure
from nnunet_sgdc.profiling.trainers import make_trainer, quarantine
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

TRAINERS = (nnUNetTrainer, nnUNetTrainerSGDC)


def main() -> None:
    """Print a table."""
    print("Memory of a training with SGDC as a multiple of that of the stock network: estimated, and kept\n")
    cuda = ["peak on CUDA", "estimate is off by"] if device().type == "cuda" else []
    print_header("network", "patch", "batch", "stages", "estimate", "bytes kept", "estimate is off by", *cuda)
    for topology in TOPOLOGIES:
        _print_comparison(topology)
    print()


def counted_ratios(topology: Topology, sgdc: SGDCConfig) -> tuple[float, float]:
    """What a training with SGDC takes of memory, of what one without takes.

    Args:
        topology: The network.
        sgdc: Options of SGDC.

    Returns:
        By the count of nnU-Net's planner, and by the bytes that a step keeps for its backward pass.
    """
    setting = topology.plan()
    shape = (topology.batch, setting.channels, *topology.patch)
    with torch.device("meta"):
        networks = build_grafted(setting, sgdc), build_stock(setting)
    estimates = [int(network.compute_conv_feature_map_size(topology.patch)) for network in networks]
    kept = [activation_bytes(network, shape) for network in networks]
    return estimates[0] / estimates[1], kept[0] / kept[1]


def peak_ratio(topology: Topology) -> float | None:
    """Peak of a real training step on CUDA with SGDC, of one without; None where the memory is too small."""
    setting = topology.plan()
    with patch.dict(os.environ, nnUNet_compile="f"), quarantine(setting):
        makers = {kind.__name__: partial(make_trainer, kind, setting, device()) for kind in TRAINERS}
        measured = measure(makers, device(), repetitions=1)
    stock, ours = (found.peak_bytes for found in measured.values())
    return ours / stock if ours and stock else None


def _print_comparison(topology: Topology) -> None:
    estimated, kept = counted_ratios(topology, nnUNetTrainerSGDC.sgdc)
    size = " x ".join(map(str, topology.patch))
    cells = [topology.network, size, topology.batch, topology.stages, f"{estimated:.3f} x", *_against(kept, estimated)]
    print_row(*cells, *(_against(peak_ratio(topology), estimated) if device().type == "cuda" else []))


def _against(measured: float | None, estimated: float) -> list[str]:
    return ["out of memory", ""] if measured is None else [f"{measured:.3f} x", f"{estimated / measured - 1:+.1%}"]


if __name__ == "__main__":
    main()
