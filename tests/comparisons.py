"""Comparisons made by hand, for the tests of plots and reports."""

from collections.abc import Mapping, Sequence

import numpy as np

from nnunet_sgdc.comparison import holm, paired_difference, ranking_stability
from nnunet_sgdc.comparison.results import MetricComparison, TrainerSummary

DATASET = "Dataset116_ISIC2016/Ts"
RESAMPLES = 200


def made_comparison(
    values: Mapping[str, Sequence[float]], metric: str = "dice", *, unit: str = "", higher_is_better: bool = True
) -> MetricComparison:
    """The comparison of trainers with the first of them, from a value for each case."""
    by_case = {
        trainer: {f"ISIC_{case:04d}": float(value) for case, value in enumerate(row)} for trainer, row in values.items()
    }
    baseline, *others = by_case
    options = {"seed": 0, "resamples": RESAMPLES, "higher_is_better": higher_is_better}
    differences = {other: paired_difference(by_case[baseline], by_case[other], **options) for other in others}
    return MetricComparison(
        dataset=DATASET,
        grid="original size",
        class_name="lesion",
        metric=metric,
        unit=unit,
        higher_is_better=higher_is_better,
        baseline=baseline,
        summaries={
            trainer: TrainerSummary(trainer, len(row), float(np.mean(row)), float(np.std(row)), None, 1, None, 0)
            for trainer, row in values.items()
        },
        differences=differences,
        adjusted=holm({other: found.p_value for other, found in differences.items()}),
        ranks=ranking_stability(by_case, **options),
        values=by_case,
    )


def made_values(trainers: int, cases: int) -> dict[str, list[float]]:
    """Values of trainers that differ by chance only."""
    table = np.random.default_rng(0).beta(9, 1, (trainers, cases))
    return {f"nnUNetTrainer_{trainer}": row.tolist() for trainer, row in enumerate(table)}
