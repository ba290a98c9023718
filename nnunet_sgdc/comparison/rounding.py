"""How numbers of comparisons are rounded: shares to more decimals than distances, differences to more than means."""

from nnunet_sgdc.comparison.results import MetricComparison

SMALLEST_P = 0.001


def rounded_mean(comparison: MetricComparison, trainer: str) -> str:
    """Mean and standard deviation over the cases, as in `0.912 ± 0.081`."""
    summary, digits = comparison.summaries[trainer], 2 if comparison.unit else 3
    return f"{summary.mean:.{digits}f} ± {summary.deviation:.{digits}f}"


def rounded_difference(comparison: MetricComparison, trainer: str) -> tuple[str, str]:
    """The mean difference to the baseline and its interval, as in `+0.0121` and `[0.0040, 0.0202]`."""
    found, digits = comparison.differences[trainer], 2 if comparison.unit else 4
    low, high = found.interval
    return f"{found.mean:+.{digits}f}", f"[{low:.{digits}f}, {high:.{digits}f}]"


def rounded_deviation(comparison: MetricComparison, deviation: float | None) -> str:
    """A standard deviation of means, as fine as differences; empty if there is none."""
    return "" if deviation is None else f"{deviation:.{2 if comparison.unit else 4}f}"


def rounded_p_value(p_value: float) -> str:
    """A p value, or what it is below."""
    return f"<{SMALLEST_P}" if p_value < SMALLEST_P else f"{p_value:.3f}"
