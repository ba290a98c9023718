"""Pictures of predictions: a row of image, contours, errors and boundary probability for each case.

The colours are those of Okabe and Ito, which colour-blind readers tell apart. Everything is laid out in pixels, so that
no image is distorted; matplotlib's own layout would take as long as the drawing itself.
"""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.label_maps import LabelMap
from nnunet_sgdc.evaluation.panel import Error, Panel
from nnunet_sgdc.evaluation.surface import Mask

ORANGE, SKY_BLUE, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, WHITE = "#0072B2", "#D55E00", "#CC79A7", "#FFFFFF"

TRUTH, PREDICTION = SKY_BLUE, YELLOW
# The brightest first, as they are seen on a dark image.
CLASS_COLOURS = (SKY_BLUE, ORANGE, GREEN, YELLOW, VERMILION, PURPLE, WHITE, BLUE)
ERRORS = {
    Error.FALSE_POSITIVE: ("false positive", VERMILION),
    Error.FALSE_NEGATIVE: ("false negative", BLUE),
    Error.WRONG_CLASS: ("wrong class", YELLOW),
}
BOUNDARY, BOUNDARY_COLOURS = "boundary probability", "magma"

DPI = 100
# In pixels: the longer side of an image, alone and on a contact sheet, and what stands around it.
CASE_SIDE, SHEET_SIDE = 512, 384
GAP, HEADER, TITLE, LEGEND_LINE, LEGEND_KEY, LETTER = 8, 24, 26, 24, 60, 8
# Room for the names of the columns.
LEAST_CELL = 150
# Beyond some 65000 pixels there are no pictures.
MOST_ROWS = 100

Draw = Callable[[Axes, Panel], None]


def draw_case(panel: Panel, file: Path) -> None:
    """Draw one case.

    Args:
        panel: The case.
        file: Where the PNG goes.
    """
    _draw([panel], CASE_SIDE, file)


def draw_contact_sheet(panels: Sequence[Panel], file: Path) -> None:
    """Draw one row for each case.

    Args:
        panels: Cases of one data set, at most 100.
        file: Where the PNG goes.

    Raises:
        EvaluationError: If there are more, or none.
    """
    if not 0 < len(panels) <= MOST_ROWS:
        raise EvaluationError(f"a contact sheet must have 1 to {MOST_ROWS} cases, got {len(panels)}: choose some")
    _draw(panels, SHEET_SIDE, file)


def _draw(panels: Sequence[Panel], side: int, file: Path) -> None:
    # nnU-Net's own pictures leave seaborn's poster-sized fonts behind.
    with matplotlib.style.context("default"):
        figure = _Sheet([panel.reduced(side) for panel in panels], side).drawn()
        figure.savefig(file, dpi=DPI, pil_kwargs={"compress_level": 1})


class _Sheet:
    """A picture and its measures, in pixels from the upper left corner."""

    def __init__(self, panels: Sequence[Panel], side: int) -> None:
        self.panels = panels
        self.columns = _columns(panels)
        self.handles = _legend(panels)
        self.sizes = [_displayed(panel, side) for panel in panels]
        self.cell = max(LEAST_CELL, *(width for width, _ in self.sizes))
        self.width = GAP + len(self.columns) * (self.cell + GAP)
        # The scale of the boundary stands below its column.
        room = self.width - (self.cell if BOUNDARY in self.columns else 0)
        entry = LEGEND_KEY + LETTER * max(len(str(handle.get_label())) for handle in self.handles)
        self.legend_columns = max(1, room // entry)
        legend = 2 * GAP + LEGEND_LINE * ceil(len(self.handles) / self.legend_columns)
        self.height = HEADER + sum(TITLE + height for _, height in self.sizes) + legend
        self.figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)

    def drawn(self) -> Figure:
        """The figure with everything on it."""
        for left, name in zip(self._lefts(self.cell), self.columns, strict=True):
            self._text(left + self.cell / 2, HEADER / 2, name, ha="center")
        top = HEADER
        for panel, (width, height) in zip(self.panels, self.sizes, strict=True):
            self._text(GAP, top + TITLE / 2, panel.title, weight="bold")
            for left, draw in zip(self._lefts(width), self.columns.values(), strict=True):
                draw(self._axes(left, top + TITLE, width, height), panel)
            top += TITLE + height
        self.figure.legend(handles=self.handles, loc="lower left", ncols=self.legend_columns, frameon=False)
        if BOUNDARY in self.columns:
            self._draw_scale(top + GAP)
        return self.figure

    def _draw_scale(self, top: float) -> None:
        """The colours of the probabilities, below their column."""
        left, width = self._lefts(self.cell)[-1], self.cell / 2
        axes = self._axes(left + self.cell / 4, top, width, LEGEND_LINE / 2)
        axes.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=BOUNDARY_COLOURS)
        for place, text, side in ((width / 2 - GAP, "0", "right"), (3 * width / 2 + GAP, "1", "left")):
            self._text(left + place, top + LEGEND_LINE / 4, text, ha=side)

    def _lefts(self, width: int) -> list[float]:
        """Where images of a width begin that stand in the middle of each column."""
        return [GAP + n * (self.cell + GAP) + (self.cell - width) / 2 for n in range(len(self.columns))]

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        return axes

    def _text(self, left: float, middle: float, text: str, **style: Any) -> None:
        self.figure.text(left / self.width, 1 - middle / self.height, text, va="center", parse_math=False, **style)


def _displayed(panel: Panel, side: int) -> tuple[int, int]:
    """Width and height that an image is shown with."""
    height, width = panel.prediction.shape
    scale = side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _columns(panels: Sequence[Panel]) -> dict[str, Draw]:
    """What is drawn in each column, by its name: nothing that is unknown of all cases."""
    with_truth = any(panel.truth is not None for panel in panels)
    with_boundary = any(panel.boundary is not None for panel in panels)
    columns: dict[str, Draw] = {"image": _draw_image}
    if len(panels[0].labels.classes) == 1:
        columns["contours"] = _draw_contours
    else:
        columns |= {"truth": _draw_truth} if with_truth else {}
        columns["prediction"] = _draw_prediction
    columns |= {"errors": _draw_errors} if with_truth else {}
    columns |= {BOUNDARY: _draw_boundary} if with_boundary else {}
    return columns


def _legend(panels: Sequence[Panel]) -> list[Artist]:
    labels, with_truth = panels[0].labels, any(panel.truth is not None for panel in panels)
    several = len(labels.classes) > 1
    contours = _class_colours(labels) if several else {"truth": TRUTH, "prediction": PREDICTION}
    shown = [name for name in contours if several or with_truth or name == "prediction"]
    errors = [ERRORS[error] for error in ERRORS if with_truth and (several or error is not Error.WRONG_CLASS)]
    return [
        *(Line2D([], [], color=contours[name], label=name, linewidth=3) for name in shown),
        *(Patch(color=colour, label=name) for name, colour in errors),
    ]


def _class_colours(labels: LabelScheme) -> dict[str, str]:
    names = list(labels.classes)
    if len(names) <= len(CLASS_COLOURS):
        return dict(zip(names, CLASS_COLOURS, strict=False))
    # The ends of the colour map are as dark as the image.
    return dict(zip(names, map(to_hex, colormaps["turbo"](np.linspace(0.15, 0.9, len(names)))), strict=True))


def _draw_image(axes: Axes, panel: Panel) -> None:
    axes.imshow(panel.image, aspect="auto")


def _draw_contours(axes: Axes, panel: Panel) -> None:
    """Both outlines of the only class, the prediction on top, dark beside the line so that any image shows it."""
    (label,) = panel.labels.classes.values()
    shown = (
        {PREDICTION: panel.prediction} if panel.truth is None else {TRUTH: panel.truth, PREDICTION: panel.prediction}
    )
    axes.imshow(panel.image, aspect="auto")
    for colour, label_map in shown.items():
        _outline(axes, label_map == label, colour, path_effects=[withStroke(linewidth=2.6, foreground="0.2")])


def _draw_truth(axes: Axes, panel: Panel) -> None:
    if panel.truth is not None:
        _draw_classes(axes, panel, panel.truth)


def _draw_prediction(axes: Axes, panel: Panel) -> None:
    _draw_classes(axes, panel, panel.prediction)


def _draw_classes(axes: Axes, panel: Panel, label_map: LabelMap) -> None:
    """Outlines by class, on a dark grey image: on the colours of a stain no palette is told apart."""
    axes.imshow(_grey(panel) // 2, aspect="auto")
    for name, colour in _class_colours(panel.labels).items():
        _outline(axes, label_map == panel.labels.classes[name], colour)


def _outline(axes: Axes, mask: Mask, colour: str, **style: object) -> None:
    height, width = mask.shape
    if mask.any():
        # A frame of background closes the contour of an object at the border of the image.
        framed = np.pad(mask.astype(float), 1)
        columns, rows = np.arange(-1, width + 1), np.arange(-1, height + 1)
        axes.contour(columns, rows, framed, [0.5], colors=colour, linewidths=1.4).set(**style)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _draw_errors(axes: Axes, panel: Panel) -> None:
    if panel.truth is None:
        return
    errors, shown = panel.errors(), _grey(panel)
    for error, (_, colour) in ERRORS.items():
        shown[errors == error] = np.array(to_rgb(colour)) * 255
    axes.imshow(shown, aspect="auto", interpolation="nearest")


def _draw_boundary(axes: Axes, panel: Panel) -> None:
    if panel.boundary is not None:
        axes.imshow(panel.boundary, aspect="auto", cmap=BOUNDARY_COLOURS, vmin=0, vmax=1)


def _grey(panel: Panel) -> NDArray[np.uint8]:
    """The image without its colours, of shape (H, W, 3)."""
    return np.repeat(panel.image.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8)
