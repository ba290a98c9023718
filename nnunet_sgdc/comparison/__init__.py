"""Comparison of trainers on the same cases."""

from nnunet_sgdc.comparison.errors import ComparisonError
from nnunet_sgdc.comparison.statistics import (
    PairedDifference,
    holm,
    mean_over_seeds,
    paired_difference,
    ranking_stability,
    seed_deviation,
)

__all__ = [
    "ComparisonError",
    "PairedDifference",
    "holm",
    "mean_over_seeds",
    "paired_difference",
    "ranking_stability",
    "seed_deviation",
]
