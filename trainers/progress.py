"""The picture of what SGDC adds to a training: parts of the loss and LayerScale, beside nnU-Net's progress.png."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def plot_progress(log: Mapping[str, list[Any]], strides: Sequence[int], file: Path) -> None:
    """Draw the parts of the loss and the LayerScales over the epochs.

    Args:
        log: nnU-Net's log, one value for each epoch and key.
        strides: Strides of the SGDC blocks, in the order of the logged LayerScales.
        file: Where the PNG goes.
    """
    # nnU-Net's own picture leaves seaborn's poster-sized fonts behind.
    with matplotlib.style.context("default"):
        _draw(log, strides).savefig(file, dpi=150)


def _draw(log: Mapping[str, list[Any]], strides: Sequence[int]) -> Figure:
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    segmentation, boundary, scales = figure.subplots(1, 3)
    _plot_loss(segmentation, log, "segmentation")
    _plot_loss(boundary, log, "boundary")
    for stride, values in zip(strides, zip(*log["layer_scales"], strict=True), strict=True):
        scales.plot(values, marker=".", label=f"stride {stride}")
    scales.set(title="LayerScale, mean magnitude", xlabel="epoch", yscale="log")
    scales.legend()
    return figure


def _plot_loss(axes: Axes, log: Mapping[str, list[Any]], part: str) -> None:
    for phase in ("train", "val"):
        axes.plot(log[f"{phase}_{part}_losses"], marker=".", label=phase)
    axes.set(title=f"{part} loss", xlabel="epoch")
    axes.legend()
