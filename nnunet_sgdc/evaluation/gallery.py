"""The picture of predictions: image, contours of truth and prediction, predicted boundary map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

TRUTH, PREDICTION = "tab:green", "tab:orange"


@dataclass(frozen=True)
class Panel:
    """One row of the picture.

    Attributes:
        title: Name and scores.
        image: RGB of shape (H, W, 3).
        truth: Mask of shape (H, W).
        prediction: Mask of shape (H, W).
        boundary: Boundary probabilities of shape (H, W).
    """

    title: str
    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    prediction: NDArray[np.bool_]
    boundary: NDArray[np.float32]


def draw_gallery(panels: Sequence[Panel], file: Path) -> None:
    """Draw one row for each case.

    Args:
        panels: The cases.
        file: Where the PNG goes.
    """
    figure = Figure(figsize=(9, 3 * len(panels)), layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), 3, squeeze=False), panels, strict=True):
        _draw_panel(axes, panel)
    handles = [Line2D([], [], color=TRUTH, label="truth"), Line2D([], [], color=PREDICTION, label="prediction")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    figure.savefig(file, dpi=110)


def _draw_panel(axes: Sequence[Axes], panel: Panel) -> None:
    image, contours, boundary = axes
    image.imshow(panel.image)
    image.set_ylabel(panel.title)
    contours.imshow(panel.image)
    height, width = panel.truth.shape
    for mask, colour in ((panel.truth, TRUTH), (panel.prediction, PREDICTION)):
        # A frame of background closes the contour of an object at the border of the image.
        framed = np.pad(mask.astype(float), 1)
        contours.contour(np.arange(-1, width + 1), np.arange(-1, height + 1), framed, [0.5], colors=colour)
    contours.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    boundary.imshow(panel.boundary, cmap="magma", vmin=0, vmax=1)
    for one, title in zip(axes, ("image", "contours", "boundary map"), strict=True):
        one.set(title=title, xticks=[], yticks=[])
