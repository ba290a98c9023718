"""The picture of what SGDC adds to a training: parts of the loss and LayerScale, beside nnU-Net's progress.png."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def plot_progress(log: Mapping[str, list[Any]], strides: Sequence[int], file: Path) -> None:
    """Draw the parts of the loss and the LayerScales over the epochs, as far as the trainer has them.

    Args:
        log: nnU-Net's log, one value for each epoch and key.
        strides: Strides of the SGDC blocks, in the order of the logged LayerScales.
        file: Where the PNG goes.
    """
    # nnU-Net's own picture leaves seaborn's poster-sized fonts behind.
    with matplotlib.style.context("default"):
        _draw(log, strides).savefig(file, dpi=150)


def _draw(log: Mapping[str, list[Any]], strides: Sequence[int]) -> Figure:
    parts = [part for part in ("segmentation", "boundary") if f"train_{part}_losses" in log]
    plots: list[Callable[[Axes], None]] = [partial(_plot_loss, log=log, part=part) for part in parts]
    if strides:
        plots.append(partial(_plot_layer_scales, log=log, strides=strides))
    figure = Figure(figsize=(4 * len(plots), 3.5), layout="constrained")
    for plot, axes in zip(plots, figure.subplots(1, len(plots), squeeze=False)[0], strict=True):
        plot(axes)
    return figure


def _plot_layer_scales(axes: Axes, log: Mapping[str, list[Any]], strides: Sequence[int]) -> None:
    for stride, values in zip(strides, zip(*log["layer_scales"], strict=True), strict=True):
        axes.plot(values, marker=".", label=f"stride {stride}")
    axes.set(title="LayerScale, mean magnitude", xlabel="epoch", yscale="log")
    axes.legend()


def _plot_loss(axes: Axes, log: Mapping[str, list[Any]], part: str) -> None:
    for phase in ("train", "val"):
        axes.plot(log[f"{phase}_{part}_losses"], marker=".", label=phase)
    axes.set(title=f"{part} loss", xlabel="epoch")
    axes.legend()
