"""The numbers of a comparison as tables for other programs: a row for each data set, class, metric and trainer."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from nnunet_sgdc.comparison.results import MetricComparison
from nnunet_sgdc.comparison.study import Study
from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.record import EvaluationRecord

# Without values in the rows of the baseline.
_PAIRED = (
    *("difference", "confidence", "ci_low", "ci_high", "p", "p_holm"),
    *("wins", "ties", "losses", "clusters", "verdict"),
)
_WHOLE = dict.fromkeys(("failures", "wins", "ties", "losses", "clusters"), "Int64")


def main_table(comparisons: Sequence[MetricComparison]) -> pd.DataFrame:
    """All numbers of the comparisons.

    The rows of the baseline have no difference. `p` is as tested, `p_holm` adjusted over all rows, and `clusters` the
    number of independent units, as in `PairedDifference`.
    """
    rows = [_row(comparison, trainer) for comparison in comparisons for trainer in comparison.summaries]
    return pd.DataFrame(rows).astype(_WHOLE)


def cost_table(study: Study) -> pd.DataFrame:
    """What training cost, as far as it is known: a row for each data set and trainer, hours as the mean over seeds.

    Test sets are named after the data set that was trained on and have no costs of their own.
    """
    rows = [
        {"dataset": dataset, "trainer": trainer, **_costs(study, dataset, trainer)}
        for dataset in dict.fromkeys(map(_trained_on, study.datasets))
        for trainer in study.trainers
    ]
    return pd.DataFrame(rows).astype({"parameters": "Int64", "training_hours": "Float64", "activation_bytes": "Int64"})


def _row(comparison: MetricComparison, trainer: str) -> dict[str, Any]:
    summary = comparison.summaries[trainer]
    return {
        "dataset": comparison.dataset,
        "grid": comparison.grid,
        "class": comparison.class_name,
        "metric": comparison.metric,
        "unit": comparison.unit,
        "higher_is_better": comparison.higher_is_better,
        "baseline": comparison.baseline,
        "trainer": trainer,
        "cases": summary.cases,
        "mean": summary.mean,
        "sd": summary.deviation,
        "fold_sd": summary.fold_deviation,
        "seeds": summary.seeds,
        "seed_sd": summary.seed_deviation,
        "failures": summary.failures,
        **_paired(comparison, trainer),
    }


def _paired(comparison: MetricComparison, trainer: str) -> dict[str, Any]:
    if trainer == comparison.baseline:
        return dict.fromkeys(_PAIRED)
    found = comparison.differences[trainer]
    values = (
        found.mean,
        found.confidence,
        *found.interval,
        found.p_value,
        comparison.adjusted[trainer],
        found.wins,
        found.ties,
        found.losses,
        found.clusters,
        comparison.verdict(trainer),
    )
    return dict(zip(_PAIRED, values, strict=True))


def _costs(study: Study, dataset: str, trainer: str) -> dict[str, Any]:
    records = [one for one in study.evaluations if one.trainer == trainer and _trained_on(one.dataset) == dataset]
    costs = [record.cost for record in records if record.cost]
    hours = [cost.seconds / 3600 for cost in costs if cost.seconds is not None]
    return {
        "plans": listed(dict.fromkeys(filter(None, map(_plans, records)))),
        "parameters": costs[0].parameters if costs else None,
        "training_hours": fmean(hours) if hours else None,
        "activation_bytes": costs[0].activation_bytes if costs else None,
    }


def _trained_on(dataset: str) -> str:
    """Whose training cases a model has seen that is tested on `Dataset116_ISIC2016/Ts`."""
    return dataset.partition("/")[0]


def _plans(record: EvaluationRecord) -> str:
    return " ".join(filter(None, (record.plans, record.configuration)))
