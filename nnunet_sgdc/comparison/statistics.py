"""Whether one trainer is better than another on the same cases, or the difference is noise.

The effect is the mean of the paired differences. Its interval comes from a bootstrap over cases and the p value from
Wilcoxon's signed-rank test, which a few failed cases cannot sway. Cases cut from one source image are not independent:
with clusters, whole sources are resampled, and the test is over their means.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import stats

from nnunet_sgdc.comparison.errors import ComparisonError
from nnunet_sgdc.comparison.resampling import (
    CONFIDENCE,
    RESAMPLES,
    FloatArray,
    aligned,
    check_options,
    cluster_sums,
    named,
    percentile_interval,
    resampled_means,
)
from nnunet_sgdc.errors import counted

Key = TypeVar("Key", bound=Hashable)

# Far below what any metric resolves, far above the rounding of averages over seeds.
TIE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class PairedDifference:
    """How another trainer differs from the baseline on the same cases.

    Args:
        mean: Mean of other minus baseline over the cases, in units of the metric.
        interval: Lower and upper end of the confidence interval of the mean.
        confidence: Level of the interval, within 0 and 1.
        p_value: Two-sided, of the Wilcoxon signed-rank test; over the means of the clusters where there are any.
            `dataclasses.replace` puts a p value adjusted by `holm` in its place.
        wins: Number of cases on which the other is better.
        ties: Number of cases on which both are equal within the tolerance.
        losses: Number of cases on which the other is worse.
        clusters: Number of independent units: of clusters, or of cases where no clusters were given.
        higher_is_better: Whether the metric grows with quality, as Dice does and HD95 does not.
    """

    mean: float
    interval: tuple[float, float]
    confidence: float
    p_value: float
    wins: int
    ties: int
    losses: int
    clusters: int
    higher_is_better: bool

    @property
    def cases(self) -> int:
        """Number of cases."""
        return self.wins + self.ties + self.losses

    @property
    def verdict(self) -> str:
        """Whether the difference can be told from noise, in words; for that the interval and the test must agree."""
        if self.ties == self.cases:
            return f"no difference: all {self.cases} cases are tied"
        low, high = self.interval
        interval = f"the {100 * self.confidence:g} % interval from {low:.3g} to {high:.3g}"
        found = self.p_value < 1 - self.confidence
        test = f"the Wilcoxon test finds {'a' if found else 'no'} difference (p = {self.p_value:.2g})"
        if low <= 0 <= high:
            return f"cannot be told from noise: {interval} includes 0" + (f", although {test}" if found else "")
        if not found:
            return f"cannot be told from noise: {interval} excludes 0, but {test}"
        better = (low > 0) == self.higher_is_better
        if self.wins != self.losses and (self.wins > self.losses) != better:
            test += f", although it wins {self.wins} cases and loses {self.losses}"
        return (
            f"{'better' if better else 'worse'} by {abs(self.mean):.3g} on average: {interval} excludes 0, and {test}"
        )


def paired_difference(
    baseline: Mapping[str, float],
    other: Mapping[str, float],
    *,
    seed: int,
    clusters: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    higher_is_better: bool = True,
    tie_tolerance: float = TIE_TOLERANCE,
) -> PairedDifference:
    """Compare another trainer with the baseline, case by case.

    Args:
        baseline: Value of the metric of each case; averaged over seeds where there are several.
        other: The same cases scored for the other trainer.
        seed: Seed of the bootstrap.
        clusters: Source of each case, such as the image it was cut from; without it all cases count as independent.
        resamples: Number of bootstrap resamples.
        confidence: Level of the interval, within 0 and 1.
        higher_is_better: Whether the metric grows with quality.
        tie_tolerance: Differences up to this one are ties, which the Wilcoxon test takes as 0.

    Raises:
        ComparisonError: The cases differ, values are not finite, a case has no cluster, or nothing is left to resample.
    """
    check_options(resamples, confidence)
    cases, (before, after) = aligned({"the baseline": baseline, "the other trainer": other})
    differences = after - before
    sums, sizes = cluster_sums(differences, cases, clusters)
    better = differences if higher_is_better else -differences
    wins, losses = int((better > tie_tolerance).sum()), int((better < -tie_tolerance).sum())
    return PairedDifference(
        mean=float(differences.mean()),
        interval=percentile_interval(resampled_means(sums, sizes, resamples, seed), len(sizes), confidence),
        confidence=confidence,
        p_value=_wilcoxon(sums / sizes, tie_tolerance),
        wins=wins,
        ties=len(cases) - wins - losses,
        losses=losses,
        clusters=len(sizes),
        higher_is_better=higher_is_better,
    )


def mean_over_seeds(values: Mapping[Key, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each case over the seeds of one trainer.

    Args:
        values: Value of each case, for each seed.

    Raises:
        ComparisonError: There is no seed, the cases differ between seeds, or values are not finite.
    """
    cases, table = aligned(named("seed", values))
    return dict(zip(cases, table.mean(0).tolist(), strict=True))


def seed_deviation(values: Mapping[Key, Mapping[str, float]]) -> float:
    """The standard deviation over seeds (n - 1 below the line) of the mean over cases.

    Args:
        values: Value of each case, for each seed.

    Raises:
        ComparisonError: There are fewer than two seeds, the cases differ between seeds, or values are not finite.
    """
    if len(values) < 2:
        raise ComparisonError(f"values must be those of 2 seeds or more, got {len(values)}: train with another seed")
    _, table = aligned(named("seed", values))
    return float(table.mean(1).std(ddof=1))


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Adjust the p values of a family of tests so that any false claim among them is rare (Holm 1979).

    Raises:
        ComparisonError: A p value is not within 0 and 1.
    """
    invalid = [f"{key} ({value})" for key, value in p_values.items() if not 0 <= value <= 1]
    if invalid:
        raise ComparisonError(
            f"p values must lie within 0 and 1, which does not hold for {counted(invalid)}: give those of the tests"
        )
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for rank, key in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[key]))
        adjusted[key] = largest
    return {key: adjusted[key] for key in p_values}


def ranking_stability(
    values: Mapping[Key, Mapping[str, float]],
    *,
    seed: int,
    clusters: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    higher_is_better: bool = True,
) -> dict[Key, tuple[float, ...]]:
    """How often each trainer comes first, second and so on by its mean when the cases are drawn anew.

    Args:
        values: Value of each case, for each trainer.
        seed: Seed of the bootstrap.
        clusters: Source of each case; whole sources are drawn.
        resamples: Number of bootstrap resamples.
        higher_is_better: Whether the metric grows with quality.

    Returns:
        For each trainer its share of resamples on each rank, the first rank first; trainers of equal means share the
        better rank.

    Raises:
        ComparisonError: There is no trainer, the cases differ, values are not finite, or a case has no cluster.
    """
    check_options(resamples)
    cases, table = aligned(named("trainer", values))
    means = resampled_means(*cluster_sums(table, cases, clusters), resamples, seed)
    ranks = stats.rankdata(-means if higher_is_better else means, method="min", axis=0)
    shares = (ranks[:, None] == np.arange(1, len(values) + 1)[:, None]).mean(-1)
    return {trainer: tuple(row) for trainer, row in zip(values, shares.tolist(), strict=True)}


def _wilcoxon(differences: FloatArray, tie_tolerance: float) -> float:
    distinct = np.where(np.abs(differences) <= tie_tolerance, 0.0, differences)
    return float(stats.wilcoxon(distinct, zero_method="pratt").pvalue) if distinct.any() else 1.0
