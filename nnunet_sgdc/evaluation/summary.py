"""`summary.json` as nnU-Net's own tools read it, with the metrics of nnU-Net under its names and ours beside them.

Where both masks are empty, nnU-Net's own file has NaN for Dice and IoU and leaves the case out of the mean; here they
are 1, as everywhere in this package.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from nnunet_sgdc.evaluation.averages import mean_per_case
from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.record import SUMMARY_NAME
from nnunet_sgdc.evaluation.scoring import ScoredCase

NNUNET_NAMES = {"dice": "Dice", "iou": "IoU", **{name: name.upper() for name in ("tp", "fp", "fn", "tn")}}


def write_summary(folder: Path, labels: LabelScheme, scored: Sequence[ScoredCase]) -> None:
    """Write `summary.json`.

    Args:
        folder: Where it goes.
        labels: The classes.
        scored: The scores of all cases.
    """
    means = {name: _renamed(mean_per_case([one.classes[name] for one in scored]).means) for name in labels.classes}
    content = {
        "foreground_mean": {metric: fmean(row[metric] for row in means.values()) for metric in _first(means)},
        "mean": _by_label(labels, means),
        "metric_per_case": [
            {
                "metrics": _by_label(labels, {name: _renamed(one.values()) for name, one in case.classes.items()}),
                "prediction_file": str(case.case.prediction),
                "reference_file": str(case.case.truth),
            }
            for case in scored
        ],
    }
    (folder / SUMMARY_NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _renamed(values: Mapping[str, float]) -> dict[str, float]:
    return {NNUNET_NAMES.get(name, name): value for name, value in values.items()}


def _by_label(labels: LabelScheme, rows: Mapping[str, Any]) -> dict[str, Any]:
    return {str(labels.classes[name]): row for name, row in rows.items()}


def _first(rows: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    return next(iter(rows.values()))
