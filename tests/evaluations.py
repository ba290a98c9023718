"""Made-up evaluations of made-up scores: folders as `nnunet_sgdc-evaluate` leaves them, for tests of comparisons."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nnunet_sgdc.evaluation.metrics import DEFINITIONS, Settings
from nnunet_sgdc.evaluation.record import (
    CASES_COLUMNS,
    CASES_NAME,
    TRAINING_GRID,
    EvaluatedCase,
    EvaluationRecord,
    TrainingCost,
)

DATASET = "Dataset116_ISIC2016"
COST = TrainingCost(parameters=33_000_000, seconds=7200.0, activation_bytes=1_500_000_000)

# Value of each metric, for each case.
Values = Mapping[str, Mapping[str, float]]


def scores(dice: Iterable[float]) -> dict[str, dict[str, float]]:
    """Cases `case_0000`, `case_0001`, ... of these Dice scores, with equal NSD, and HD95 that shrinks as they grow."""
    return {
        f"case_{position:04d}": {"dice": float(value), "hd95": 100 * (1 - float(value)), "nsd@2": float(value)}
        for position, value in enumerate(dice)
    }


def write_evaluation(
    folder: Path,
    *,
    values: Values,
    trainer: str = "nnUNetTrainer",
    dataset: str = DATASET,
    seed: int = 0,
    folds: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
    other_classes: Mapping[str, Values] | None = None,
    **changes: Any,
) -> Path:
    """Write an evaluation of one trainer.

    Args:
        folder: Where it goes; made if it is missing.
        values: Scores of the class `lesion`. Cases without `n_ref` and `n_pred` get 100 pixels of each.
        trainer: What the trainer is called.
        dataset: What the set of cases is called.
        seed: Which training of the trainer it is.
        folds: Fold of each case; by default 0, 1, ..., 4, 0, 1, ... in the order of the cases.
        clusters: Source of each case; by default each case is one of its own.
        other_classes: Scores of further classes in the same cases.
        changes: Other content of the record, as in `grid="original size"`.

    Returns:
        The folder.
    """
    classes = {"lesion": values, **(other_classes or {})}
    folds = folds or {case: str(position % 5) for position, case in enumerate(values)}
    cases = tuple(
        EvaluatedCase(case, folds[case], (clusters or {}).get(case, case), (256, 256), f"{case}.png", f"{case}.png")
        for case in sorted(values)
    )
    content: dict[str, Any] = {
        "grid": TRAINING_GRID,
        "settings": Settings(),
        "classes": {name: label for label, name in enumerate(classes, 1)},
        "averages": {},
        "definitions": DEFINITIONS,
        "configuration": "2d",
        "plans": "nnUNetPlans",
        "hashes": {"plans": "a" * 64, "splits": "b" * 64},
        "cost": COST,
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    EvaluationRecord(dataset=dataset, trainer=trainer, seed=seed, cases=cases, **content).write(folder)
    rows = [
        [dataset, folds[case], seed, trainer, case, name, metric, value]
        for name, rows_of_class in classes.items()
        for case, row in rows_of_class.items()
        for metric, value in {**row, "n_ref": row.get("n_ref", 100), "n_pred": row.get("n_pred", 100)}.items()
    ]
    write_rows(folder / CASES_NAME, rows)
    return folder


def write_rows(path: Path, rows: Iterable[Iterable[object]], columns: Iterable[str] = CASES_COLUMNS) -> Path:
    """Write a per-case table as it is."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return path
