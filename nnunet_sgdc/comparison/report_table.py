"""The tables of the report: rounded for the eye, sorted by the full values."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nnunet_sgdc.comparison.results import MetricComparison
from nnunet_sgdc.comparison.rounding import rounded_deviation, rounded_difference, rounded_mean, rounded_p_value

# Columns whose values rows can be chosen by.
CHOSEN = ("Data set", "Class", "Metric", "Trainer")
# What the columns of the cost table are called, and the units of its numbers.
COSTS = {
    "dataset": ("Data set", None),
    "trainer": ("Trainer", None),
    "plans": ("Plans", None),
    "parameters": ("Parameters (M)", 1e6),
    "training_hours": ("Training (h)", 1),
    "activation_bytes": ("Activations (GB)", 1e9),
}


@dataclass(frozen=True)
class Cell:
    """A value.

    Attributes:
        text: What is shown.
        value: What is sorted by: a number, or text; None if there is none.
    """

    text: str
    value: float | str | None

    @property
    def key(self) -> str:
        """The value for the script; empty if there is none."""
        if self.value is None or isinstance(self.value, str):
            return self.value or ""
        return "" if math.isnan(self.value) else json.dumps(float(self.value))


EMPTY, UNKNOWN = Cell("", None), Cell("?", None)


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        rows: The cells of each row by their column; one row at least has all of them.
    """

    rows: Sequence[Mapping[str, Cell]]

    @property
    def columns(self) -> dict[str, bool]:
        """The columns in which rows differ, and whether they are of numbers."""
        return {name: _is_numeric(cells) for name, cells in self._cells.items() if not _is_constant(cells)}

    @property
    def constants(self) -> dict[str, str]:
        """What is the same in all rows, by its column."""
        return {name: cells[0].text for name, cells in self._cells.items() if _is_constant(cells) and cells[0].text}

    @property
    def chosen(self) -> list[dict[str, str]]:
        """What each row can be chosen by."""
        return [{name: row[name].text for name in CHOSEN if name in row} for row in self.rows]

    @property
    def _cells(self) -> dict[str, list[Cell]]:
        return {name: [row.get(name, EMPTY) for row in self.rows] for name in max(self.rows, key=len)}


def choices(items: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The values to choose from, where there are several, of items that can be chosen by the same names."""
    values = {name: list(dict.fromkeys(item[name] for item in items)) for name in items[0]}
    return {name: texts for name, texts in values.items() if len(texts) > 1}


def results_table(comparisons: Sequence[MetricComparison]) -> Table:
    """A row for each data set, class, metric and trainer."""
    return Table([_row(comparison, trainer) for comparison in comparisons for trainer in comparison.summaries])


def costs_table(costs: pd.DataFrame) -> Table:
    """What `cost_table` gives, in units for the eye."""
    return Table(
        [{heading: _cost(row[name], unit) for name, (heading, unit) in COSTS.items()} for _, row in costs.iterrows()]
    )


def _is_numeric(cells: Sequence[Cell]) -> bool:
    return not any(isinstance(cell.value, str) for cell in cells)


def _is_constant(cells: Sequence[Cell]) -> bool:
    return len(set(cells)) == 1


def _row(comparison: MetricComparison, trainer: str) -> dict[str, Cell]:
    summary = comparison.summaries[trainer]
    unit = f" ({comparison.unit})" if comparison.unit else ""
    metric = f"{comparison.metric}{unit} {'↑' if comparison.higher_is_better else '↓'}"
    names = (comparison.dataset, comparison.class_name, metric, trainer)
    seed_deviation = rounded_deviation(comparison, summary.seed_deviation)
    return {
        **{column: Cell(name, name) for column, name in zip(CHOSEN, names, strict=True)},
        "Mean ± SD": Cell(rounded_mean(comparison, trainer), summary.mean),
        **_difference(comparison, trainer),
        "Cases": _whole(summary.cases),
        "Folds": Cell(rounded_deviation(comparison, summary.fold_deviation), summary.fold_deviation),
        "Seeds": Cell(f"{seed_deviation} ({summary.seeds})".strip(), summary.seed_deviation),
        "Failed": _whole(summary.failures),
    }


def _difference(comparison: MetricComparison, trainer: str) -> dict[str, Cell]:
    if trainer == comparison.baseline:
        return {"Verdict": Cell("baseline", "baseline")}
    found, adjusted = comparison.differences[trainer], comparison.adjusted[trainer]
    mean, interval = rounded_difference(comparison, trainer)
    verdict = comparison.verdict(trainer).partition(":")[0]
    return {
        "Difference": Cell(mean, found.mean),
        f"{100 * found.confidence:g} % CI": Cell(interval, found.interval[0]),
        "p": Cell(rounded_p_value(adjusted), adjusted),
        "Verdict": Cell(verdict, verdict),
        "W/T/L": Cell(f"{found.wins}/{found.ties}/{found.losses}", found.wins),
        # Said only where cases are not independent.
        "Sources": EMPTY if found.clusters == found.cases else _whole(found.clusters),
        "p as tested": Cell(rounded_p_value(found.p_value), found.p_value),
    }


def _whole(number: int | None) -> Cell:
    return EMPTY if number is None else Cell(str(number), number)


def _cost(value: Any, unit: float | None) -> Cell:
    if pd.isna(value):
        return UNKNOWN
    return Cell(str(value), str(value)) if unit is None else Cell(f"{value / unit:.2f}", float(value))
