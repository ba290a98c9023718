"""Three kinds of average over cases, which must never share a table.

On the same predictions, the mean per case, the ratio of pooled pixels and the mean including the background differ by
several points.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import fmean

from nnunet_sgdc.evaluation.counts import Counts
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.metrics import ClassScores

# What the kinds are called wherever numbers stand.
MEAN_PER_CASE, POOLED_PIXELS, WITH_BACKGROUND = "mean per case", "pooled pixels", "mean including background"

# Ratios that mean the same for the background as for an object.
OVERLAPS = ("dice", "iou", "sensitivity", "precision")


@dataclass(frozen=True)
class CaseMean:
    """Means over cases, and the cases behind them.

    Attributes:
        means: Mean of each metric over the cases in which it is defined, NaN if there are none.
        undefined: Number of cases in which a metric is NaN, for those metrics where there are some.
        cases: Number of cases.
        missed: Cases with an object where none is predicted: their distances are the diagonal of the image.
        false_alarms: Cases without an object where one is predicted: likewise.
        both_empty: Cases without an object where none is predicted: distances 0, overlaps 1.
    """

    means: Mapping[str, float]
    undefined: Mapping[str, int]
    cases: int
    missed: int
    false_alarms: int
    both_empty: int


def mean_per_case(scores: Sequence[ClassScores]) -> CaseMean:
    """The mean of each metric over cases, each case weighing the same: the ISIC challenge's and nnU-Net's kind.

    nnU-Net leaves out cases where both masks are empty; here their overlaps are 1, and `both_empty` counts them.

    Raises:
        EvaluationError: If there are no cases.
    """
    _check_some(scores)
    table = [one.values() for one in scores]
    columns = {name: [row[name] for row in table] for name in table[0]}
    undefined = {name: sum(map(math.isnan, column)) for name, column in columns.items()}
    return CaseMean(
        means={name: _mean_of_defined(column) for name, column in columns.items()},
        undefined={name: number for name, number in undefined.items() if number},
        cases=len(scores),
        missed=sum(one.missed for one in scores),
        false_alarms=sum(one.false_alarm for one in scores),
        both_empty=sum(one.both_empty for one in scores),
    )


def pooled_pixels(scores: Sequence[ClassScores]) -> Counts:
    """The counts of all cases as of one image, whose ratios are EGE-UNet's kind: large objects weigh more.

    Raises:
        EvaluationError: If there are no cases.
    """
    _check_some(scores)
    tp, fp, fn, tn = (sum(column) for column in zip(*(astuple(one.counts) for one in scores), strict=True))
    return Counts(tp, fp, fn, tn)


def mean_including_background(cases: Sequence[Mapping[str, Counts]]) -> dict[str, float]:
    """The mean over cases of the mean over all classes of a case, the background too: MedISeg's "miou".

    MedISeg leaves out cases whose truth is empty; here they count, unless the caller leaves them out.

    Args:
        cases: Counts of each class of each case, with the background among the classes.

    Raises:
        EvaluationError: If there are no cases, or one has a single class.
    """
    _check_some(cases)
    for case in cases:
        if len(case) < 2:
            raise EvaluationError(f"cases must hold the background and a class, got {list(case)}: score both")
    return {name: fmean(fmean(getattr(one, name) for one in case.values()) for case in cases) for name in OVERLAPS}


def _mean_of_defined(column: Sequence[float]) -> float:
    defined = [value for value in column if not math.isnan(value)]
    return fmean(defined) if defined else math.nan


def _check_some(cases: Sequence[object]) -> None:
    if not cases:
        raise EvaluationError("there must be at least one case to average, got none: score some first")
