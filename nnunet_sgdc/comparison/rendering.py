"""The tables of a comparison to be read: on the screen, in Markdown and in LaTeX, with the verdicts in words."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_sgdc.comparison.results import MetricComparison
from nnunet_sgdc.comparison.study import Study
from nnunet_sgdc.comparison.table import cost_table, main_table

TABLE_NAME = "table.csv"
COSTS_NAME = "costs.csv"
MARKDOWN_NAME = "table.md"
LATEX_NAME = "table.tex"

WIDTH = 120

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        # At the start of a row they would be an argument of the \\ before.
        "[": "{[}",
        "*": "{*}",
    }
)


@dataclass(frozen=True)
class _Section:
    """A table of texts, what stands above it, and sentences below it."""

    title: str
    table: pd.DataFrame
    sentences: tuple[str, ...] = ()


def as_text(study: Study, comparisons: Sequence[MetricComparison]) -> str:
    """The tables for a screen of 120 columns."""
    parts = []
    for section in _sections(study, comparisons):
        parts += [section.title, _fitting(section.table), *section.sentences, ""]
    lines = [*parts, *remarks(study, comparisons)]
    return "\n".join(line if "\n" in line else textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def write_tables(folder: Path, study: Study, comparisons: Sequence[MetricComparison]) -> None:
    """Write `table.csv` and `costs.csv` in full precision, and `table.md` and `table.tex` to be read.

    Args:
        folder: Where they go.
        study: What was compared.
        comparisons: What `compare_study` found.
    """
    main_table(comparisons).to_csv(folder / TABLE_NAME, index=False)
    cost_table(study).to_csv(folder / COSTS_NAME, index=False)
    (folder / MARKDOWN_NAME).write_text(_markdown(study, comparisons), encoding="utf-8")
    (folder / LATEX_NAME).write_text(_latex(study, comparisons), encoding="utf-8")


def _markdown(study: Study, comparisons: Sequence[MetricComparison]) -> str:
    parts = []
    for section in _sections(study, comparisons):
        # A bar in a name would end the cell.
        table = section.table.map(lambda cell: cell.replace("|", r"\|"))
        parts += [f"### {section.title}", _grid(table, "pipe"), *section.sentences]
    return "\n\n".join([*parts, *remarks(study, comparisons)]) + "\n"


def _latex(study: Study, comparisons: Sequence[MetricComparison]) -> str:
    """Table environments for the package booktabs; sentences are comments."""
    parts = ["% Needs \\usepackage{booktabs}."]
    for section in _sections(study, comparisons):
        escaped = section.table.map(_escaped).rename(columns=_escaped)
        layout = "l" + "r" * (len(escaped.columns) - 1)
        parts.append(escaped.to_latex(index=False, caption=_escaped(section.title), column_format=layout))
        parts += [f"% {sentence}" for sentence in section.sentences]
    return "\n".join([*parts, *(f"% {remark}" for remark in remarks(study, comparisons))]) + "\n"


def _escaped(text: str) -> str:
    # A hyphen before a number is a minus.
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", text.translate(_LATEX))


def _fitting(table: pd.DataFrame) -> str:
    """A table for the screen, in which names that are too long go on in the next line."""
    text = _grid(table, "simple")
    excess = len(text.splitlines()[1]) - WIDTH
    if excess <= 0:
        return text
    name_width = max(1, table["Trainer"].str.len().max() - excess)
    return _grid(table, "simple", maxcolwidths=[name_width, *[None] * (len(table.columns) - 1)])


def _grid(table: pd.DataFrame, style: str, **options: Any) -> str:
    # Texts stay as they are written.
    return str(table.to_markdown(index=False, tablefmt=style, disable_numparse=True, **options))


def _sections(study: Study, comparisons: Sequence[MetricComparison]) -> list[_Section]:
    return [*map(_section, comparisons), *_cost_sections(study)]


def _section(comparison: MetricComparison) -> _Section:
    return _Section(
        _title(comparison),
        pd.DataFrame([_row(comparison, trainer) for trainer in comparison.summaries]),
        tuple(
            f"{trainer} against {comparison.baseline}: {comparison.verdict(trainer)}."
            for trainer in comparison.differences
        ),
    )


def _title(comparison: MetricComparison) -> str:
    cases = comparison.summaries[comparison.baseline].cases
    units = next(iter(comparison.differences.values())).clusters
    return (
        f"{comparison.dataset}{f' ({comparison.grid})' if comparison.grid else ''}, {comparison.class_name}: "
        f"{comparison.metric}{f' in {comparison.unit}' if comparison.unit else ''}, "
        f"{'higher' if comparison.higher_is_better else 'lower'} is better, {cases} cases"
        f"{f' of {units} sources' if units < cases else ''}"
    )


def _row(comparison: MetricComparison, trainer: str) -> dict[str, str]:
    summary, digits = comparison.summaries[trainer], 2 if comparison.unit else 3
    return {
        "Trainer": trainer,
        "Mean ± SD": f"{summary.mean:.{digits}f} ± {summary.deviation:.{digits}f}",
        "Folds": _optional(summary.fold_deviation, digits),
        "Seeds": f"{_optional(summary.seed_deviation, digits)} ({summary.seeds})".strip(),
        **_difference(comparison, trainer),
        "Failed": "?" if summary.failures is None else str(summary.failures),
    }


def _difference(comparison: MetricComparison, trainer: str) -> dict[str, str]:
    confidence = next(iter(comparison.differences.values())).confidence
    names = (f"Difference [{100 * confidence:g} % CI]", "p", "W/T/L")
    found = comparison.differences.get(trainer)
    if found is None:
        return dict.fromkeys(names, "")
    digits = 2 if comparison.unit else 4
    low, high = (f"{end:.{digits}f}" for end in found.interval)
    p_value = comparison.adjusted[trainer]
    cells = (
        f"{found.mean:+.{digits}f} [{low}, {high}]",
        "<0.001" if p_value < 0.001 else f"{p_value:.3f}",
        f"{found.wins}/{found.ties}/{found.losses}",
    )
    return dict(zip(names, cells, strict=True))


def _optional(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _cost_sections(study: Study) -> list[_Section]:
    known = cost_table(study).dropna(subset=["parameters"])
    return [
        _Section(f"{dataset}: cost of training", _readable(rows))
        for dataset, rows in known.groupby("dataset", sort=False)
    ]


def _readable(costs: pd.DataFrame) -> pd.DataFrame:
    def scaled(column: str, unit: float, digits: int) -> "pd.Series[str]":
        return (costs[column] / unit).map(lambda value: "?" if pd.isna(value) else f"{value:.{digits}f}")

    return pd.DataFrame(
        {
            "Trainer": costs["trainer"],
            "Plans": costs["plans"],
            "Parameters (M)": scaled("parameters", 1e6, 2),
            "Training (h)": scaled("training_hours", 1, 2),
            "Activations (GB)": scaled("activation_bytes", 1e9, 2),
        }
    )


def remarks(study: Study, comparisons: Sequence[MetricComparison]) -> list[str]:
    """What the columns mean, how was tested, and the notes of the study, in sentences."""
    tests = sum(len(comparison.differences) for comparison in comparisons)
    return [
        "Mean and SD are over cases, each of which is the mean over the seeds. Folds and Seeds are the SD of the means "
        "of folds and of seeds, with the number of seeds in brackets. Differences are those to "
        f"{study.baseline}, with paired bootstrap intervals. W/T/L are cases won, tied and lost. Failed are the "
        "predictions, of all seeds, that miss the class or see it where it is not.",
        "The p values, in the sentences too, are of two-sided Wilcoxon signed-rank tests, adjusted by Holm's method "
        f"for the declared family of {tests} test{'s' if tests > 1 else ''}, all of them in these tables.",
        *study.notes,
    ]
