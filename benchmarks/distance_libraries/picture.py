"""The picture of the cases: outlines of truth and prediction along the edges of the pixels."""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from benchmarks.distance_libraries.cases import CASES, Case
from nnunet_sgdc.evaluation.surface import Mask

# Colour, line width and name of the two masks; the truth looks out on both sides of the prediction on it.
LINES = (("#56B4E9", 4.5, "truth"), ("#D55E00", 1.5, "prediction"))
ROWS, COLUMNS = 2, 7
TITLE_WIDTH = 20


def draw(file: Path) -> None:
    """Draw all cases, numbered as in the tables.

    Args:
        file: Where the PNG goes.
    """
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    for number, (axes, case) in enumerate(zip(figure.subplots(ROWS, COLUMNS).flat, CASES, strict=True), start=1):
        _draw_case(axes, number, case)
    handles = [Line2D([], [], color=colour, linewidth=width, label=name) for colour, width, name in LINES]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    figure.savefig(file, dpi=100)


def _draw_case(axes: Axes, number: int, case: Case) -> None:
    for mask, (colour, width, _) in zip((case.truth, case.prediction), LINES, strict=True):
        axes.add_collection(LineCollection(list(outline(mask)), colors=colour, linewidths=width))
    height, width = case.truth.shape
    # Objects at the border of the image keep their line.
    margin = max(height, width) / 20
    axes.set(xlim=(-margin, width + margin), ylim=(height + margin, -margin), xticks=[], yticks=[])
    axes.set_aspect(case.spacing[0] / case.spacing[1])
    axes.set_title(textwrap.fill(f"{number}: {case.title}", TITLE_WIDTH), fontsize=7.5)


def outline(mask: Mask) -> NDArray[np.int64]:
    """The edges between the object and its outside.

    Args:
        mask: Of shape (H, W).

    Returns:
        Both ends of every edge as x and y, of shape (edges, 2, 2); pixel (0, 0) lies between 0 and 1 of both.
    """
    framed = np.pad(mask, 1)
    above, left = (np.argwhere(np.diff(framed, axis=axis))[:, ::-1] for axis in (0, 1))
    # Row 1 of the framed mask is row 0, and its upper edge is the difference to row 0 of the framed mask.
    starts, ends = np.concatenate([above - (1, 0), left - (0, 1)]), np.concatenate([above, left])
    return np.stack([starts, ends], axis=1)
