"""`cases.csv`: one row for each case, class and metric, as statistics tools like it."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from nnunet_sgdc.evaluation.record import CASES_COLUMNS, CASES_NAME
from nnunet_sgdc.evaluation.scoring import ScoredCase


def write_case_table(folder: Path, dataset: str, trainer: str, seed: int, scored: Iterable[ScoredCase]) -> None:
    """Write `cases.csv` with full precision.

    Args:
        folder: Where it goes.
        dataset: Name of the set of cases.
        trainer: What the trainer is called.
        seed: Which of several equal trainings this is.
        scored: The scores.
    """
    with (folder / CASES_NAME).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(CASES_COLUMNS)
        for one in scored:
            case = one.case
            for name, metric, value in _values(one):
                writer.writerow([dataset, case.fold, seed, trainer, case.id, name, metric, value])


def _values(scored: ScoredCase) -> Iterator[tuple[str, str, float]]:
    """Class, metric and value."""
    for name, scores in scored.classes.items():
        for metric, value in scores.values().items():
            yield name, metric, value
