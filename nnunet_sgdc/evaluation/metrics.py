"""All metrics of every class of a case, from label maps or masks.

Every metric has its definition in `DEFINITIONS`, to be written beside the numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_sgdc.evaluation.counts import Counts, count_pixels
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.label_maps import check_classes, checked_pair
from nnunet_sgdc.evaluation.surface import Mask, boundary_iou, check_shapes, diagonal, surface_distances

RATIOS = ("dice", "iou", "sensitivity", "specificity", "precision", "area_difference")
NUMBERS = ("tp", "fp", "fn", "tn", "n_ref", "n_pred")
DISTANCES = ("hd95", "hd", "assd")

_EMPTY_OVERLAP = "both masks empty: 1, one empty: 0"
_EMPTY_DISTANCE = "both masks empty: 0, one empty: the diagonal of the image"
_SURFACE = "surface: pixels of the mask with a 4-neighbour outside it, beyond the image is outside"

DEFINITIONS: Mapping[str, str] = {
    "dice": f"2 TP / (2 TP + FP + FN); {_EMPTY_OVERLAP}",
    "iou": f"TP / (TP + FP + FN); {_EMPTY_OVERLAP}",
    "sensitivity": f"TP / (TP + FN); {_EMPTY_OVERLAP}",
    "specificity": "TN / (TN + FP); NaN if the truth covers the image",
    "precision": f"TP / (TP + FP); {_EMPTY_OVERLAP}",
    "area_difference": "(predicted - true) / true area; both masks empty: 0, only the truth empty: NaN",
    "hd95": f"larger of the two directed 95th percentiles of the surface distances; {_SURFACE}; {_EMPTY_DISTANCE}",
    "hd": f"Hausdorff distance, the largest surface distance; {_SURFACE}; {_EMPTY_DISTANCE}",
    "assd": f"mean of the surface distances over all surface pixels of both masks; {_SURFACE}; {_EMPTY_DISTANCE}",
    **{f"{name}_percent": f"{name} in % of the diagonal of the image" for name in DISTANCES},
    "nsd": f"nsd@t: share of all surface pixels of both masks within t of the other; {_SURFACE}; {_EMPTY_OVERLAP}",
    "boundary_iou": "IoU of the bands that erosion by 3 x 3 squares removes (Cheng et al., CVPR 2021); width: 2 % of "
    f"the diagonal of the image unless given; {_EMPTY_OVERLAP}",
    "tp": "pixels of the class in truth and prediction",
    "fp": "pixels of the class in the prediction only",
    "fn": "pixels of the class in the truth only",
    "tn": "pixels of the class in neither",
    "n_ref": "pixels of the class in the truth",
    "n_pred": "pixels of the class in the prediction",
}

# Whether a metric grows with quality; those that are missing here, such as numbers of pixels, know no better and worse.
HIGHER_IS_BETTER: Mapping[str, bool] = {
    **dict.fromkeys(("dice", "iou", "sensitivity", "specificity", "precision", "nsd", "boundary_iou"), True),
    **{name: False for distance in DISTANCES for name in (distance, f"{distance}_percent")},
}


@dataclass(frozen=True)
class Settings:
    """What the distances are measured in and against.

    Attributes:
        spacing: Distance between rows and between columns; None measures in pixels.
        tolerances: Of the normalised surface distance, in the unit of the spacing.
        boundary_width: Of the bands of the boundary IoU, in pixels; None takes 2 % of the diagonal of the image.

    Raises:
        EvaluationError: If a value makes no sense.
    """

    spacing: tuple[float, float] | None = None
    tolerances: tuple[float, ...] = (1, 2)
    boundary_width: int | None = None

    def __post_init__(self) -> None:
        spacing = self.spacing
        if spacing is not None and not (len(spacing) == 2 and all(0 < step < math.inf for step in spacing)):
            raise EvaluationError(
                f"spacing must be two positive numbers, (row, column), got {spacing}: or leave it out"
            )
        if not all(0 <= tolerance < math.inf for tolerance in self.tolerances):
            raise EvaluationError(f"tolerances must be 0 or more, got {self.tolerances}: take 1 and 2 pixels")
        width = self.boundary_width
        if width is not None and not (isinstance(width, int | np.integer) and width >= 1):
            raise EvaluationError(f"boundary_width must be a whole number from 1 up, got {width}: or leave it out")


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class in one case; see `DEFINITIONS`.

    Attributes:
        counts: Pixels, and the ratios of them.
        hd95: 95 % Hausdorff distance.
        hd: Hausdorff distance.
        assd: Average symmetric surface distance.
        nsd: Normalised surface distance at each tolerance.
        boundary_iou: Boundary IoU.
        diagonal: Diagonal of the image, in the unit of the distances.
    """

    counts: Counts
    hd95: float
    hd: float
    assd: float
    nsd: Mapping[float, float]
    boundary_iou: float
    diagonal: float

    @property
    def missed(self) -> bool:
        """The class is in the truth, but not in the prediction."""
        return bool(self.counts.n_ref) and not self.counts.n_pred

    @property
    def false_alarm(self) -> bool:
        """The class is in the prediction, but not in the truth."""
        return bool(self.counts.n_pred) and not self.counts.n_ref

    @property
    def both_empty(self) -> bool:
        """The class is in neither, a correct absence."""
        return not (self.counts.n_ref or self.counts.n_pred)

    def values(self) -> dict[str, float]:
        """All numbers by name, those of the normalised surface distance as `nsd@1`."""
        return {
            **{name: getattr(self.counts, name) for name in RATIOS},
            **{name: getattr(self, name) for name in DISTANCES},
            **{f"{name}_percent": 100 * getattr(self, name) / self.diagonal for name in DISTANCES},
            **{f"nsd@{tolerance:g}": share for tolerance, share in self.nsd.items()},
            "boundary_iou": self.boundary_iou,
            **{name: getattr(self.counts, name) for name in NUMBERS},
        }


def score_case(
    truth: NDArray[np.generic],
    prediction: NDArray[np.generic],
    classes: Mapping[str, int],
    *,
    spacing: tuple[float, float] | None = None,
    tolerances: Sequence[float] = (1, 2),
    boundary_width: int | None = None,
    ignore_label: int | None = None,
) -> dict[str, ClassScores]:
    """Score every class of a predicted label map.

    Args:
        truth: True labels of shape (H, W).
        prediction: Predicted labels of the same shape.
        classes: Label of each class by name, the background's too.
        spacing: See `Settings`, as for the next two.
        tolerances: See `Settings`.
        boundary_width: See `Settings`.
        ignore_label: Pixels with this true label belong to no class and are not counted. An object that runs into
            them ends there, in truth and prediction alike.

    Raises:
        EvaluationError: If the arrays are no label maps of one shape with these classes, or a setting makes no sense.
    """
    settings = Settings(spacing, tuple(tolerances), boundary_width)
    check_classes(classes, ignore_label)
    truth, prediction = checked_pair(truth, prediction, classes.values(), ignore_label)
    counted = None if ignore_label is None else truth != ignore_label
    pairs = {name: (truth == label, prediction == label) for name, label in classes.items()}
    return {name: score_class(*pair, settings, counted) for name, pair in pairs.items()}


def score_class(
    truth: Mask, prediction: Mask, settings: Settings | None = None, counted: Mask | None = None
) -> ClassScores:
    """Score the predicted mask of one class.

    Args:
        truth: True mask of shape (H, W).
        prediction: Predicted mask of the same shape.
        settings: By default pixels, tolerances of 1 and 2 and the standard bands.
        counted: Mask of the same shape of the pixels that are not ignored; by default all of them.

    Raises:
        EvaluationError: If a mask is not 2-D or the shapes differ.
    """
    settings = settings or Settings()
    check_shapes(truth, prediction)
    truth, prediction = truth.astype(bool, copy=False), prediction.astype(bool, copy=False)
    if counted is not None:
        truth, prediction = truth & counted, prediction & counted
    spacing = settings.spacing or (1.0, 1.0)
    distances = surface_distances(truth, prediction, spacing)
    return ClassScores(
        counts=count_pixels(truth, prediction, truth.size if counted is None else int(np.count_nonzero(counted))),
        hd95=distances.hausdorff(95),
        hd=distances.hausdorff(),
        assd=distances.assd(),
        nsd={tolerance: distances.nsd(tolerance) for tolerance in settings.tolerances},
        boundary_iou=boundary_iou(truth, prediction, settings.boundary_width),
        diagonal=diagonal(truth.shape, spacing),
    )
