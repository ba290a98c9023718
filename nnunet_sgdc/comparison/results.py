"""What a comparison finds: the data that tables, plots and reports are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nnunet_sgdc.comparison.statistics import PairedDifference

# What stands where the name of a class does, for the mean over all classes of each case.
MEAN_OF_CLASSES = "mean of classes"


@dataclass(frozen=True)
class TrainerSummary:
    """How one trainer did on one data set, class and metric.

    Attributes:
        trainer: Its name.
        cases: Number of cases.
        mean: Mean over the cases, each of which is the mean over the seeds.
        deviation: Standard deviation over the cases (n - 1 below the line), likewise.
        fold_deviation: Standard deviation over the folds (n - 1) of the mean of each; None where one model, or one
            ensemble, predicted all cases.
        seeds: Number of trainings.
        seed_deviation: Standard deviation over the seeds (n - 1) of the mean over the cases; None for one seed.
        failures: Number of predictions, of all seeds, in which the class is missed or falsely alarmed; for the mean of
            classes the sum over them. None where the tables do not tell.
    """

    trainer: str
    cases: int
    mean: float
    deviation: float
    fold_deviation: float | None
    seeds: int
    seed_deviation: float | None
    failures: int | None


@dataclass(frozen=True)
class MetricComparison:
    """All trainers on one data set, class and metric.

    Attributes:
        dataset: The set of cases, as in `EvaluationRecord`.
        grid: What the pixels are of, as in `EvaluationRecord`; empty if unknown.
        class_name: The class, or `MEAN_OF_CLASSES`.
        metric: The metric, as in `nsd@2`.
        unit: Of the values: "px", "units of the spacing", "% of the diagonal", or empty for shares and where it is
            unknown.
        higher_is_better: Whether the metric grows with quality.
        baseline: The trainer that the others are compared with.
        summaries: Those of all trainers, the baseline first.
        differences: Of each trainer but the baseline; their p values are as tested.
        adjusted: The p value of each, adjusted by Holm's method over the whole declared family.
        ranks: For each trainer, how often it comes first, second and so on when the cases are drawn anew.
        values: For each trainer the value of each case, the mean over the seeds.
    """

    dataset: str
    grid: str
    class_name: str
    metric: str
    unit: str
    higher_is_better: bool
    baseline: str
    summaries: Mapping[str, TrainerSummary]
    differences: Mapping[str, PairedDifference]
    adjusted: Mapping[str, float]
    ranks: Mapping[str, tuple[float, ...]]
    values: Mapping[str, Mapping[str, float]]

    def verdict(self, trainer: str) -> str:
        """Whether a trainer's difference to the baseline can be told from noise, in words, by the adjusted p value."""
        return replace(self.differences[trainer], p_value=self.adjusted[trainer]).verdict
