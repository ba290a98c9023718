"""The statistics of a study: each metric of each class of each data set, and one family of tests over all of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_sgdc.comparison.errors import ComparisonError
from nnunet_sgdc.comparison.resampling import CONFIDENCE, RESAMPLES, aligned, check_options
from nnunet_sgdc.comparison.results import MEAN_OF_CLASSES, MetricComparison, TrainerSummary
from nnunet_sgdc.comparison.statistics import (
    PairedDifference,
    holm,
    mean_over_seeds,
    paired_difference,
    ranking_stability,
    seed_deviation,
)
from nnunet_sgdc.comparison.study import Study
from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.metrics import DISTANCES, HIGHER_IS_BETTER
from nnunet_sgdc.evaluation.record import EvaluationRecord

METRICS = ("dice", "hd95", "nsd@2")
_SIZES = ("n_ref", "n_pred")


@dataclass(frozen=True)
class _Bootstrap:
    """Seed and number of the resamples, and level of the intervals."""

    seed: int
    resamples: int
    confidence: float


@dataclass(frozen=True)
class _Scores:
    """The scores of one data set.

    Attributes:
        dataset: Its name.
        predictions: A row of scores (class, metric) for each prediction (trainer, seed, fold, case).
        trainers: The baseline first.
        clusters: Source of each case; None if all are independent.
        records: What is known of the evaluations.
    """

    dataset: str
    predictions: pd.DataFrame
    trainers: tuple[str, ...]
    clusters: Mapping[str, str] | None
    records: tuple[EvaluationRecord, ...]

    @property
    def classes(self) -> list[str]:
        """The classes in their order."""
        return list(self.predictions.columns.unique("class"))


def compare_study(
    study: Study,
    metrics: Sequence[str] = METRICS,
    classes: Sequence[str] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[MetricComparison, ...]:
    """Compare all trainers of a study with its baseline.

    All tests of one call, of each data set, class, metric and trainer, are the declared family over which Holm's method
    adjusts their p values.

    Args:
        study: The scores.
        metrics: Which to compare, of `HIGHER_IS_BETTER`.
        classes: Which to compare, in the data sets that have them; by default all of them, and `MEAN_OF_CLASSES` before
            them where there are several.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap resamples.
        confidence: Level of the intervals, within 0 and 1.

    Returns:
        The comparisons, ordered by data set, class and metric.

    Raises:
        ComparisonError: A metric or class is not there, values are not finite, or there are too few cases.
    """
    check_options(resamples, confidence)
    _check_classes(study, classes)
    bootstrap = _Bootstrap(seed, resamples, confidence)
    tasks = [
        (scores, class_name, metric)
        for scores in [_scores(study, dataset, metrics) for dataset in study.datasets]
        for class_name in _chosen(scores.classes, classes)
        for metric in dict.fromkeys(metrics)
    ]
    comparisons = []
    for scores, class_name, metric in tqdm(tasks, "Compare", unit="metric", leave=False, disable=None):
        try:
            comparisons.append(_compare(scores, class_name, metric, bootstrap))
        except ComparisonError as error:
            raise ComparisonError(f"{scores.dataset}, {class_name}, {metric}: {error}") from error
    return _adjusted(comparisons)


def higher_is_better(metric: str) -> bool:
    """Whether a metric grows with quality.

    Raises:
        ComparisonError: It has no better and worse, or is unknown.
    """
    # nsd@2 is nsd at a tolerance of 2.
    name = metric.partition("@")[0]
    if name not in HIGHER_IS_BETTER:
        raise ComparisonError(
            f"metrics must be of those that know better and worse ({listed(HIGHER_IS_BETTER)}), got {metric}: choose "
            "another one"
        )
    return HIGHER_IS_BETTER[name]


def _check_classes(study: Study, classes: Collection[str] | None) -> None:
    known = [*study.values["class"].unique(), MEAN_OF_CLASSES]
    unknown = [name for name in classes or () if name not in known]
    if unknown:
        raise ComparisonError(f"classes must be some of {listed(known)}, got {listed(unknown)}: correct it")


def _scores(study: Study, dataset: str, metrics: Sequence[str]) -> _Scores:
    """The scores of a data set.

    Raises:
        ComparisonError: A metric cannot be compared, or was not computed for a trainer.
    """
    rows = study.values[study.values["dataset"] == dataset]
    computed = rows.groupby("trainer")["metric"].unique()
    for metric in metrics:
        higher_is_better(metric)
        lacking = [trainer for trainer in study.trainers if metric not in computed[trainer]]
        if lacking:
            raise ComparisonError(
                f"{dataset} must have {metric} of all trainers, but lacks it for {listed(lacking)}, where there are "
                f"{listed(computed[lacking[0]])}: choose another metric, or evaluate again"
            )
    rows = rows[rows["metric"].isin([*metrics, *_SIZES])]
    table = rows.pivot(index=["trainer", "seed", "fold", "case"], columns=["class", "metric"], values="value")
    # The order of the classes has been lost.
    table = table.reindex(rows["class"].unique(), axis=1, level="class")
    return _Scores(dataset, table, study.trainers, study.clusters(dataset), study.evaluations_on(dataset))


def _chosen(known: list[str], classes: Sequence[str] | None) -> list[str]:
    everything = [MEAN_OF_CLASSES, *known] if len(known) > 1 else known
    return everything if classes is None else [name for name in dict.fromkeys(classes) if name in everything]


def _compare(scores: _Scores, class_name: str, metric: str, bootstrap: _Bootstrap) -> MetricComparison:
    """Compare one metric of one class; nothing is adjusted yet.

    Raises:
        ComparisonError: Values are not finite, or there are too few cases.
    """
    members = scores.classes if class_name == MEAN_OF_CLASSES else [class_name]
    # Without skipna a class that is not finite would vanish from the mean of the others.
    column = scores.predictions.reindex(columns=[(name, metric) for name in members]).mean(axis=1, skipna=False)
    seeds = _by_seed(column, scores.trainers)
    values = {trainer: mean_over_seeds(seeds[trainer]) for trainer in scores.trainers}
    higher = higher_is_better(metric)
    return MetricComparison(
        dataset=scores.dataset,
        grid=" and ".join(sorted({record.grid for record in scores.records})),
        class_name=class_name,
        metric=metric,
        unit=_unit(metric, scores.records),
        higher_is_better=higher,
        baseline=scores.trainers[0],
        differences=_differences(values, scores.clusters, higher, bootstrap),
        adjusted={},
        ranks=ranking_stability(
            values,
            seed=bootstrap.seed,
            clusters=scores.clusters,
            resamples=bootstrap.resamples,
            higher_is_better=higher,
        ),
        summaries={
            trainer: _summary(
                trainer, seeds[trainer], column[trainer], _failures(scores.predictions.loc[trainer], members)
            )
            for trainer in scores.trainers
        },
        values=values,
    )


def _differences(
    values: Mapping[str, Mapping[str, float]], clusters: Mapping[str, str] | None, higher: bool, bootstrap: _Bootstrap
) -> dict[str, PairedDifference]:
    """The difference of each trainer to the first."""
    baseline, *others = values
    return {
        trainer: paired_difference(
            values[baseline],
            values[trainer],
            seed=bootstrap.seed,
            clusters=clusters,
            resamples=bootstrap.resamples,
            confidence=bootstrap.confidence,
            higher_is_better=higher,
        )
        for trainer in others
    }


def _by_seed(scores: "pd.Series[float]", trainers: Sequence[str]) -> dict[str, dict[int, dict[str, float]]]:
    """The value of each case, for each seed of each trainer.

    Raises:
        ComparisonError: Values are not finite.
    """
    seeds: dict[str, dict[int, dict[str, float]]] = {trainer: {} for trainer in trainers}
    for (trainer, seed, _, case), value in scores.items():
        seeds[trainer].setdefault(seed, {})[case] = value
    aligned({f"{trainer} (seed {seed})": row for trainer in trainers for seed, row in seeds[trainer].items()})
    return seeds


def _summary(
    trainer: str, seeds: Mapping[int, Mapping[str, float]], column: "pd.Series[float]", failures: int | None
) -> TrainerSummary:
    """Sum up one trainer.

    Args:
        trainer: Its name.
        seeds: Value of each case, for each seed.
        column: Value of each prediction (seed, fold, case).
        failures: Number of failures.
    """
    values = np.fromiter(mean_over_seeds(seeds).values(), np.float64)
    folds = column.groupby(level="fold").mean()
    return TrainerSummary(
        trainer=trainer,
        cases=len(values),
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)),
        fold_deviation=float(folds.std(ddof=1)) if len(folds) > 1 else None,
        seeds=len(seeds),
        seed_deviation=seed_deviation(seeds) if len(seeds) > 1 else None,
        failures=failures,
    )


def _failures(predictions: pd.DataFrame, classes: Sequence[str]) -> int | None:
    """How often a class is in either truth or prediction only; None where a size is unknown."""
    truth, predicted = (predictions.reindex(columns=[(name, size) for name in classes]).to_numpy() for size in _SIZES)
    if np.isnan(truth).any() or np.isnan(predicted).any():
        return None
    return int(((truth > 0) != (predicted > 0)).sum())


def _unit(metric: str, records: Sequence[EvaluationRecord]) -> str:
    if metric.endswith("_percent"):
        return "% of the diagonal"
    if metric not in DISTANCES:
        return ""
    return " or ".join(sorted({"units of the spacing" if record.settings.spacing else "px" for record in records}))


def _adjusted(comparisons: Sequence[MetricComparison]) -> tuple[MetricComparison, ...]:
    family = {
        (position, trainer): difference.p_value
        for position, comparison in enumerate(comparisons)
        for trainer, difference in comparison.differences.items()
    }
    adjusted = holm(family)
    return tuple(
        replace(comparison, adjusted={trainer: adjusted[position, trainer] for trainer in comparison.differences})
        for position, comparison in enumerate(comparisons)
    )
