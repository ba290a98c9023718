"""Which few of many cases are looked at."""

from collections.abc import Mapping

import numpy as np


def from_worst_to_best(scores: Mapping[str, float], count: int) -> list[str]:
    """Cases spread evenly over the ranks, the worst first.

    Args:
        scores: A score of each case, the higher the better.
        count: How many are wanted; there may be fewer.
    """
    ranked = sorted(scores, key=lambda case: scores[case])
    ranks = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [ranked[rank] for rank in ranks]
