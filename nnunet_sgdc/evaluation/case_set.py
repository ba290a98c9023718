"""The cases that one evaluation scores, and what is known of them before it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_sgdc.errors import counted
from nnunet_sgdc.evaluation.errors import EvaluationError

BACKGROUND = "background"
IGNORE = "ignore"


@dataclass(frozen=True)
class LabelScheme:
    """The classes of a data set.

    Attributes:
        classes: Label of each class by name, without the background, whose label is 0.
        ignore_label: Label of pixels that are not scored; None if there is none.
    """

    classes: Mapping[str, int]
    ignore_label: int | None = None

    @classmethod
    def from_dataset_json(cls, content: Mapping[str, Any], name: object) -> "LabelScheme":
        """The classes that nnU-Net's `dataset.json` declares.

        Args:
            content: What the file holds.
            name: What messages call it.

        Raises:
            EvaluationError: It declares none, regions, or a background other than 0.
        """
        labels = content.get("labels")
        if not isinstance(labels, dict) or labels.get(BACKGROUND) != 0:
            raise EvaluationError(f"{name} must declare labels with background 0, got {labels}: give another one")
        regions = [label for label, value in labels.items() if not isinstance(value, int)]
        if regions:
            raise EvaluationError(
                f"{name} must declare one label for each class, got regions ({counted(regions)}): score the regions as "
                "data sets of one class each"
            )
        classes = {label: value for label, value in labels.items() if label not in (BACKGROUND, IGNORE)}
        return cls(classes, labels.get(IGNORE))


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Attributes:
        id: Its identifier.
        truth: The true label map.
        prediction: The predicted one.
        fold: The fold, or folds, whose model predicted it; empty if unknown.
        cluster: What it shares with cases that are not independent of it; by default its identifier.
        images: The image, a single file or one of each channel; empty if unknown.
        instances: The true numbers of its objects; None if there are none.
    """

    id: str
    truth: Path
    prediction: Path
    fold: str = ""
    cluster: str = ""
    images: tuple[Path, ...] = ()
    instances: Path | None = None


@dataclass(frozen=True)
class CaseSet:
    """What one evaluation scores.

    Attributes:
        name: What the set of cases is called, as in `Dataset116_ISIC2016/Ts`.
        labels: Its classes.
        grid: What the pixels are of.
        cases: Its cases, ordered by identifier.
        notes: What the reader should know of the set.
    """

    name: str
    labels: LabelScheme
    grid: str
    cases: tuple[CaseFiles, ...]
    notes: tuple[str, ...] = field(default=())


def check_pairs(truths: Mapping[str, Any], predictions: Mapping[str, Any], truth_place: object, place: object) -> None:
    """Check that truth and predictions are of the same cases.

    Args:
        truths: By case.
        predictions: By case.
        truth_place: What messages call the place of the truth.
        place: What they call that of the predictions.

    Raises:
        EvaluationError: A prediction is missing, or one has no truth.
    """
    missing, extra = sorted(truths.keys() - predictions.keys()), sorted(predictions.keys() - truths.keys())
    if missing:
        raise EvaluationError(
            f"{place} must hold a prediction of each case of {truth_place}, but lacks {counted(missing)}: predict them"
        )
    if extra:
        raise EvaluationError(
            f"{place} must hold predictions of the cases of {truth_place} only, but has others ({counted(extra)}): "
            "add their truth, or move them away"
        )
