"""Plots of comparisons: differences to the baseline, case against case, and how often each trainer comes first.

Blue is better and orange is worse, in hues that colour-blind readers tell apart (Okabe and Ito, 2008).
"""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import rgb_to_hsv
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from nnunet_sgdc.comparison.results import MetricComparison
from nnunet_sgdc.comparison.rounding import rounded_difference
from nnunet_sgdc.comparison.statistics import TIE_TOLERANCE

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BETTER, WORSE, TIED = "#0072B2", "#D55E00", "#707070"
# Names of trainers may hold signs that Matplotlib would take for formulas.
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "figure.titlesize": 9.5,
    "figure.constrained_layout.w_pad": 0.1,
    "text.parse_math": False,
}
DOTS_PER_INCH = 130
SMALL_PRINT = 6.5

# In inches.
PANEL_WIDTH = 3.0
LEAST_WIDTH = 6.2
TITLE_AND_LEGEND = 0.9
PANELS_ABREAST = 3
# In characters: of a line of row names, and of a title for each inch.
NAME_WIDTH = 28
TITLE_WIDTH = 13

# Panels show this share of the values at least, so that a few failures do not squeeze all others together. Cases beyond
# stand on the edge as crosses, and their number is written beside them.
SHOWN_SHARE = 0.95
# Lanes of a row of differences, downwards from its middle: the points, the interval and the numbers.
POINTS, INTERVAL, NUMBERS = (-0.46, -0.02), 0.1, 0.3
# Multiples of it, modulo 1, never cluster.
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# Percent of a bar that have room for their number.
LABELLED_PERCENT = 12


def plot_differences(comparisons: Sequence[MetricComparison], file: Path) -> None:
    """Draw how each trainer differs from the baseline: every case, the mean and its confidence interval.

    Args:
        comparisons: The metrics of one data set and class, each of which has a panel; at least one.
        file: Where the PNG goes.
    """
    first = comparisons[0]
    title = f"{_subject(first)}\nDifference to {first.baseline}, case by case"
    with _panels(title, len(comparisons), 0.75 + 0.5 * len(first.differences), file) as (figure, panels):
        for axes, comparison in zip(panels, comparisons, strict=True):
            _draw_differences(axes, comparison)
        confidence = next(iter(first.differences.values())).confidence
        label = f"mean and {100 * confidence:g} % interval"
        _legend(figure, [*_case_handles(), Line2D([], [], color="black", marker="D", markersize=4, label=label)])


def plot_scatter(comparison: MetricComparison, file: Path) -> None:
    """Draw each trainer's values against those of the baseline, case by case.

    Args:
        comparison: One metric of one data set and class; each trainer but the baseline has a panel.
        file: Where the PNG goes.
    """
    title = f"{_subject(comparison)}\n{_metric(comparison)}"
    with _panels(title, len(comparison.differences), PANEL_WIDTH + 0.2, file) as (figure, panels):
        for axes, trainer in zip(panels, comparison.differences, strict=True):
            _draw_scatter(axes, comparison, trainer)
        _legend(figure, _case_handles())


def plot_ranking(comparisons: Sequence[MetricComparison], file: Path) -> None:
    """Draw how often each trainer has which rank when the cases are drawn anew.

    Args:
        comparisons: The metrics of one data set and class, each of which has a panel; at least one.
        file: Where the PNG goes.
    """
    first = comparisons[0]
    colours = matplotlib.colormaps["Blues_r"](np.linspace(0, 0.9, len(first.ranks)))
    title = f"{_subject(first)}\nRank of the mean when the cases are drawn anew"
    with _panels(title, len(comparisons), 0.7 + 0.26 * len(first.ranks), file) as (figure, panels):
        for axes, comparison in zip(panels, comparisons, strict=True):
            _draw_ranks(axes, comparison, colours)
        _legend(figure, [Patch(color=colour, label=f"rank {rank}") for rank, colour in enumerate(colours, start=1)])


@contextmanager
def _panels(title: str, count: int, height: float, file: Path) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with so many panels of so many inches, which is saved when the block ends."""
    rows = math.ceil(count / PANELS_ABREAST)
    columns = math.ceil(count / rows)
    width = max(LEAST_WIDTH, PANEL_WIDTH * columns)
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height * rows + TITLE_AND_LEGEND), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False, sharey="row").flat)
        for unused in panels[count:]:
            unused.remove()
        figure.suptitle("\n".join(textwrap.fill(line, round(TITLE_WIDTH * width)) for line in title.splitlines()))
        yield figure, panels[:count]
        figure.savefig(file, dpi=DOTS_PER_INCH)


def _draw_differences(axes: Axes, comparison: MetricComparison) -> None:
    reach = _reach(comparison)
    axes.axvline(0, color="black", linewidth=0.8, zorder=0)
    for row, (trainer, found) in enumerate(comparison.differences.items()):
        differences = np.sort(_differences(comparison, trainer))
        heights = row + POINTS[0] + (POINTS[1] - POINTS[0]) * _spread(len(differences))
        beyond = _draw_cases(axes, differences, heights, _outcomes(differences, comparison), (-reach, reach))
        axes.plot(found.interval, [row + INTERVAL] * 2, color="black", linewidth=1.5, solid_capstyle="butt")
        axes.plot(found.mean, row + INTERVAL, "D", color="black", ms=3.5)
        _write_numbers(axes, comparison, trainer, row, beyond)
    left, right = ("worse", "better") if comparison.higher_is_better else ("better", "worse")
    axes.set(xlim=(-reach, reach), title=_metric(comparison), xlabel=f"\u2190 {left}     {right} \u2192")
    _name_rows(axes, list(comparison.differences))


def _reach(comparison: MetricComparison) -> float:
    """How far from 0 the panel shows differences."""
    differences = np.abs([_differences(comparison, trainer) for trainer in comparison.differences])
    ends = np.abs([found.interval for found in comparison.differences.values()])
    usual = max(float(np.quantile(differences, SHOWN_SHARE, axis=1).max()), 1.2 * float(ends.max()))
    largest = float(differences.max())
    return 1.05 * (largest if largest < 1.5 * usual else usual) or 1.0


def _spread(count: int) -> FloatArray:
    """Numbers from 0 to 1 of which no two neighbours are close, the same every time."""
    return np.asarray(np.arange(count) * GOLDEN_RATIO % 1, dtype=np.float64)


def _write_numbers(axes: Axes, comparison: MetricComparison, trainer: str, row: int, beyond: int) -> None:
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL_PRINT}
    numbers = " ".join(rounded_difference(comparison, trainer))
    axes.text(0.98, row + NUMBERS, numbers, ha="right", bbox={"color": "white", "pad": 0.5}, **place)
    if beyond:
        axes.text(0.02, row + NUMBERS, f"{beyond} \u00d7", ha="left", color=TIED, **place)


def _draw_scatter(axes: Axes, comparison: MetricComparison, trainer: str) -> None:
    before, after = _values(comparison, comparison.baseline), _values(comparison, trainer)
    window = _window(np.concatenate([_values(comparison, name) for name in comparison.values]))
    beyond = _draw_cases(axes, before, after, _outcomes(after - before, comparison), window, window)
    axes.axline((0, 0), slope=1, color="black", linewidth=0.8, zorder=0)
    found = comparison.differences[trainer]
    title = f"{found.wins} better, {found.ties} tied, {found.losses} worse"
    axes.set(xlim=window, ylim=window, box_aspect=1, title=title + (f"\n{beyond} beyond the edge" if beyond else ""))
    axes.set(xlabel=_wrapped(comparison.baseline, 2 * NAME_WIDTH), ylabel=_wrapped(trainer, 2 * NAME_WIDTH))


def _window(values: FloatArray) -> tuple[float, float]:
    """The values that the scatter shows: all of them, unless a few lie far from the others."""
    usual = np.quantile(values, [(1 - SHOWN_SHARE) / 2, (1 + SHOWN_SHARE) / 2])
    low, high = usual + np.array([-0.5, 0.5]) * np.ptp(usual)
    low, high = max(low, float(values.min())), min(high, float(values.max()))
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _draw_ranks(axes: Axes, comparison: MetricComparison, colours: FloatArray) -> None:
    shares = 100 * np.array(list(comparison.ranks.values()))
    starts = np.cumsum(shares, axis=1) - shares
    for rank, colour in enumerate(colours):
        row = {"left": starts[:, rank], "color": colour, "height": 0.8, "edgecolor": "white", "linewidth": 0.6}
        bars = axes.barh(range(len(shares)), shares[:, rank], **row)
        labels = [f"{share:.0f} %" if share >= LABELLED_PERCENT else "" for share in shares[:, rank]]
        ink = "white" if rgb_to_hsv(colour[:3])[1] > 0.5 else "black"
        axes.bar_label(bars, labels, label_type="center", fontsize=SMALL_PRINT, color=ink)
    axes.set(xlim=(0, 100), title=_metric(comparison), xlabel="% of the bootstrap samples")
    _name_rows(axes, list(comparison.ranks))


def _draw_cases(
    axes: Axes,
    x: FloatArray,
    y: FloatArray,
    outcomes: Mapping[str, BoolArray],
    across: tuple[float, float],
    down: tuple[float, float] = (-math.inf, math.inf),
) -> int:
    """A point for each case, smaller and fainter the more there are, and a cross for those beyond the edges.

    Returns:
        The number of cases beyond the edges.
    """
    shown = np.clip(x, *across), np.clip(y, *down)
    beyond = (shown[0] != x) | (shown[1] != y)
    size, opacity = np.clip(40 / math.sqrt(len(x)), 1.5, 4), np.clip(12 / math.sqrt(len(x)), 0.3, 1)
    look: dict[str, Any] = {"linestyle": "", "clip_on": False, "in_layout": False, "zorder": 3}
    for colour, chosen in outcomes.items():
        inside, outside = chosen & ~beyond, chosen & beyond
        axes.plot(*(v[inside] for v in shown), marker="o", ms=size, mew=0, alpha=opacity, color=colour, **look)
        axes.plot(*(v[outside] for v in shown), marker="x", ms=3, mew=0.7, color=colour, **look)
    return int(beyond.sum())


def _outcomes(differences: FloatArray, comparison: MetricComparison) -> dict[str, BoolArray]:
    """Which cases are tied with the baseline, worse and better, by the colour of each."""
    gains = differences if comparison.higher_is_better else -differences
    better, worse = gains > TIE_TOLERANCE, gains < -TIE_TOLERANCE
    return {TIED: ~better & ~worse, WORSE: worse, BETTER: better}


def _differences(comparison: MetricComparison, trainer: str) -> FloatArray:
    return _values(comparison, trainer) - _values(comparison, comparison.baseline)


def _values(comparison: MetricComparison, trainer: str) -> FloatArray:
    """Values of all cases, in the order of the cases."""
    values: Mapping[str, float] = comparison.values[trainer]
    return np.array([values[case] for case in sorted(values)], dtype=np.float64)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """The first row on top; names stand beside the first panel of each line only."""
    axes.set_yticks(range(len(names)), [_wrapped(name, NAME_WIDTH) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _wrapped(name: str, width: int) -> str:
    """A name on lines of a width, broken behind underscores where there are any."""
    return "\n".join(line.replace("_ ", "_") for line in textwrap.wrap(name.replace("_", "_ "), width))


def _legend(figure: Figure, handles: Sequence[Line2D | Patch]) -> None:
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)


def _case_handles() -> list[Line2D]:
    looks = {"better case": ("o", BETTER), "worse": ("o", WORSE), "tied": ("o", TIED), "beyond the edge": ("x", TIED)}
    return [
        Line2D([], [], linestyle="", markersize=4, marker=marker, color=colour, label=name)
        for name, (marker, colour) in looks.items()
    ]


def _subject(comparison: MetricComparison) -> str:
    return f"{comparison.dataset}, {comparison.class_name}" + (f", {comparison.grid}" if comparison.grid else "")


def _metric(comparison: MetricComparison) -> str:
    unit = f" in {comparison.unit}" if comparison.unit else ""
    return f"{comparison.metric}{unit} ({'higher' if comparison.higher_is_better else 'lower'} is better)"
