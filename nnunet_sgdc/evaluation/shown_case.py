"""One case as pictures show it: checked files, scores, and the panel that is made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.image_files import read_image
from nnunet_sgdc.evaluation.label_files import read_prediction, read_truth
from nnunet_sgdc.evaluation.label_maps import LabelMap, as_labels, check_labels, checked_pair
from nnunet_sgdc.evaluation.metrics import ClassScores, score_class
from nnunet_sgdc.evaluation.panel import Panel

# With more classes than these, a title has room for their mean only.
NAMED_CLASSES = 3


@dataclass(frozen=True)
class ShownCase:
    """The files of one case.

    Attributes:
        id: Its identifier.
        image: A single file, or one of each channel.
        prediction: The predicted label map.
        truth: The true one; None if unknown.
    """

    id: str
    image: tuple[Path, ...]
    prediction: Path
    truth: Path | None = None

    def scores(self, labels: LabelScheme) -> dict[str, ClassScores]:
        """Check all files and score each class; without truth there are no scores.

        Raises:
            UserError: A file is no image or no label map of these classes, or their sizes differ.
            OSError: A file cannot be read.
        """
        _, prediction, truth = self._read(labels)
        if truth is None:
            return {}
        counted = None if labels.ignore_label is None else truth != labels.ignore_label
        masks = {name: (truth == label, prediction == label) for name, label in labels.classes.items()}
        return {name: score_class(*pair, counted=counted) for name, pair in masks.items()}

    def panel(
        self, labels: LabelScheme, scores: Mapping[str, ClassScores], boundary: NDArray[np.float32] | None = None
    ) -> Panel:
        """What is drawn.

        Args:
            labels: The classes.
            scores: Those that `scores` gave, for the title.
            boundary: Boundary probabilities of shape (H, W).

        Raises:
            UserError: As `scores`, as for the next.
            OSError: As well.
        """
        image, prediction, truth = self._read(labels)
        return Panel(_title(self.id, scores), image, prediction, labels, truth, boundary)

    def _read(self, labels: LabelScheme) -> tuple[NDArray[np.uint8], LabelMap, LabelMap | None]:
        image, prediction = read_image(self.image), read_prediction(self.prediction)
        if prediction.shape != image.shape[:2]:
            raise EvaluationError(
                f"{self.prediction} must have the shape of {self.image[0]}, {image.shape[:2]}, got {prediction.shape}: "
                "give the images that were predicted"
            )
        allowed, name = {0, *labels.classes.values()}, str(self.prediction)
        if self.truth is not None:
            names = (str(self.truth), name)
            truth, prediction = checked_pair(read_truth(self.truth), prediction, allowed, labels.ignore_label, names)
            return image, prediction, truth
        prediction = as_labels(prediction, name)
        check_labels(prediction, allowed, name)
        return image, prediction, None


def mean_dice(scores: Mapping[str, ClassScores]) -> float:
    """The mean Dice of the classes that truth or prediction hold; 1 if they hold none."""
    return fmean([one.counts.dice for one in _present(scores).values()] or [1.0])


def _present(scores: Mapping[str, ClassScores]) -> dict[str, ClassScores]:
    return {name: one for name, one in scores.items() if not one.both_empty}


def _title(case: str, scores: Mapping[str, ClassScores]) -> str:
    if len(scores) > NAMED_CLASSES:
        number = len(_present(scores))
        return f"{case}   mean Dice {mean_dice(scores):.3f} of {number} {'class' if number == 1 else 'classes'}"
    named = {name if len(scores) > 1 else "": one for name, one in scores.items()}
    return "   ".join(
        [case, *(f"{name} Dice {one.counts.dice:.3f}  HD95 {one.hd95:.1f} px".strip() for name, one in named.items())]
    )
