"""What a comparison found, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_sgdc.comparison.results import MetricComparison

BETTER, WORSE, NOISE = "better", "worse", "noise"


@dataclass(frozen=True)
class Headline:
    """What became of one trainer by one metric.

    Attributes:
        dataset: The set of cases.
        class_name: The class.
        metric: The metric.
        trainer: The trainer.
        verdict: How it differs from the baseline, in words.
    """

    dataset: str
    class_name: str
    metric: str
    trainer: str
    verdict: str

    @property
    def kind(self) -> str:
        """`BETTER`, `WORSE`, or `NOISE` for what cannot be told from it."""
        first = self.verdict.partition(" ")[0]
        return first if first in (BETTER, WORSE) else NOISE


def headlines(comparisons: Sequence[MetricComparison]) -> list[Headline]:
    """The verdicts on all trainers, in the order of the comparisons."""
    return [
        Headline(found.dataset, found.class_name, found.metric, trainer, found.verdict(trainer))
        for found in comparisons
        for trainer in found.differences
    ]
