"""Scores of all cases of a set: each case in one process, each file read once, nothing left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.case_set import BACKGROUND, CaseFiles, CaseSet, LabelScheme
from nnunet_sgdc.evaluation.counts import Counts, count_pixels
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.isic import official_case_scores
from nnunet_sgdc.evaluation.label_files import read_prediction, read_truth
from nnunet_sgdc.evaluation.label_maps import LabelMap, checked_pair
from nnunet_sgdc.evaluation.metrics import ClassScores, Settings, score_class
from nnunet_sgdc.evaluation.nuclei import NucleusScores, score_nuclei
from nnunet_sgdc.evaluation.processes import in_processes


@dataclass(frozen=True)
class ScoredCase:
    """The scores of one case.

    Attributes:
        case: What was scored.
        size: (width, height) in pixels.
        classes: Scores of each class, without the background.
        background: Counts of the background.
        nuclei: Scores of the objects of each class; empty without numbered objects.
        isic: The ISIC challenge's own scores; empty unless asked for.
    """

    case: CaseFiles
    size: tuple[int, int]
    classes: Mapping[str, ClassScores]
    background: Counts
    nuclei: Mapping[str, NucleusScores]
    isic: Mapping[str, float]

    @property
    def counts(self) -> dict[str, Counts]:
        """Counts of each class and of the background."""
        return {BACKGROUND: self.background, **{name: scores.counts for name, scores in self.classes.items()}}


def score_set(cases: CaseSet, settings: Settings, isic: bool = False, workers: int | None = None) -> list[ScoredCase]:
    """Score every case of a set.

    Args:
        cases: The cases.
        settings: What distances are measured in and against.
        isic: Whether the ISIC challenge's own scores are added, which are those of one class.
        workers: Number of processes; None takes one per processor.

    Returns:
        The scores in the order of the cases.

    Raises:
        UserError: A file is no label map of the data set, sizes of truth and prediction differ, or the ISIC challenge
            does not have these classes.
        OSError: A file cannot be read.
    """
    if isic and len(cases.labels.classes) > 1:
        raise EvaluationError(
            f"--isic scores one class, but {cases.name} has {listed(cases.labels.classes)}: leave it out"
        )
    score = partial(score_files, labels=cases.labels, settings=settings, isic=isic)
    return in_processes(score, cases.cases, workers, f"Score {cases.name}")


def score_files(case: CaseFiles, labels: LabelScheme, settings: Settings, isic: bool = False) -> ScoredCase:
    """Score one case.

    Args:
        case: Its files.
        labels: The classes.
        settings: What distances are measured in and against.
        isic: Whether the ISIC challenge's own scores are added.

    Raises:
        UserError: A file is no label map of the data set, or the sizes of truth and prediction differ.
        OSError: A file cannot be read.
    """
    truth, prediction = checked_pair(
        read_truth(case.truth),
        read_prediction(case.prediction),
        {0, *labels.classes.values()},
        labels.ignore_label,
        (str(case.truth), str(case.prediction)),
    )
    counted = None if labels.ignore_label is None else truth != labels.ignore_label
    pairs = {name: (truth == label, prediction == label) for name, label in labels.classes.items()}
    return ScoredCase(
        case=case,
        size=(truth.shape[1], truth.shape[0]),
        classes={name: score_class(*pair, settings, counted) for name, pair in pairs.items()},
        background=_count_background(truth, prediction, counted),
        nuclei=_score_nuclei(case, truth, prediction, labels),
        isic=official_case_scores(truth > 0, prediction > 0) if isic else {},
    )


def _count_background(truth: LabelMap, prediction: LabelMap, counted: NDArray[np.bool_] | None) -> Counts:
    if counted is None:
        return count_pixels(truth == 0, prediction == 0, truth.size)
    return count_pixels(truth == 0, (prediction == 0) & counted, int(np.count_nonzero(counted)))


def _score_nuclei(
    case: CaseFiles, truth: LabelMap, prediction: LabelMap, labels: LabelScheme
) -> dict[str, NucleusScores]:
    if case.instances is None:
        return {}
    return score_nuclei(truth, read_prediction(case.instances), prediction, labels.classes)
