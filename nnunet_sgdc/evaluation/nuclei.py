"""Panoptic quality and counts of nuclei as the CoNIC challenge 2022 defines them, from predicted classes.

nnU-Net predicts classes, so a predicted nucleus is a connected component of a class, with diagonal neighbours. Nuclei
of one class that touch are one then, unless the labels were converted with `--separate-touching`; nuclei that gave way
to the lines lack those pixels afterwards, and nothing is grown back. This is the pooled panoptic quality of all nuclei
if the classes of the labels themselves are the prediction:

                            without lines    with lines    the same, lines filled    grown by one pixel
    26 patches of CoNIC         0.869           0.993              0.989                   0.715
    16 dense patches            0.673           0.962              0.951                   0.672

Lines were filled where background touches two components, with the larger one; but many nuclei are one pixel apart.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.stats.contingency import crosstab
from sklearn.metrics import r2_score

from nnunet_sgdc.datasets.conic_patches import central
from nnunet_sgdc.datasets.instances import components, object_classes
from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.label_maps import LabelMap, as_labels, check_classes, checked_pair
from nnunet_sgdc.evaluation.surface import check_shapes

# Stands beside the names of classes for nuclei of whatever class.
ALL_NUCLEI = "all nuclei"

DEFINITIONS: Mapping[str, str] = {
    "pq": "sum of the IoU of matched nuclei / (TP + FP / 2 + FN / 2), over all images at once; a true and a predicted "
    "nucleus of one class match if their IoU is above 0.5; NaN if there is none in truth and prediction, where the "
    "challenge's script has 0",
    "mpq_plus": "mean of pq over the classes in which it is defined, the challenge's mPQ+",
    "pq_all_nuclei": "pq of nuclei whatever their class",
    "pq_per_image": "mean of the pq_all_nuclei of each image in which it is defined; where it is not, the challenge's "
    "script has 0",
    "r2": "coefficient of determination of the number of nuclei that reach into the central 224 x 224 pixels; NaN if "
    "the true number is the same in all images, where scikit-learn and so the challenge's script have 1 or 0",
    "mean_r2": "mean of r2 over the classes in which it is defined, the challenge's multi-class R2",
}


@dataclass(frozen=True)
class Matching:
    """Nuclei found and missed, and the quality that follows (Kirillov et al., CVPR 2019).

    Those of several images are pooled with `+` or `sum(matchings, Matching())`.

    Attributes:
        tp: Matched pairs of a true and a predicted nucleus.
        fp: Predicted nuclei without a true one.
        fn: True nuclei without a predicted one.
        iou_sum: Sum of the IoU of the pairs.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    iou_sum: float = 0.0

    def __add__(self, other: "Matching") -> "Matching":
        return Matching(*(ours + theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def dq(self) -> float:
        """Detection quality, the F1 score of nuclei; NaN if there are none."""
        return self._share_of_nuclei(self.tp)

    @property
    def sq(self) -> float:
        """Segmentation quality, the mean IoU of the pairs; NaN if there are none."""
        return self.iou_sum / self.tp if self.tp else math.nan

    @property
    def pq(self) -> float:
        """Panoptic quality, the product of the two; 0 if there are nuclei but no pairs, NaN without nuclei."""
        return self._share_of_nuclei(self.iou_sum)

    def _share_of_nuclei(self, found: float) -> float:
        nuclei = self.tp + (self.fp + self.fn) / 2
        return found / nuclei if nuclei else math.nan


@dataclass(frozen=True)
class NucleusScores:
    """What one patch holds of one class.

    Attributes:
        matching: Of all nuclei in the patch.
        n_ref: True nuclei that the challenge counts: those with a pixel in the central 224 x 224.
        n_pred: Predicted nuclei, counted likewise.
    """

    matching: Matching
    n_ref: int
    n_pred: int


@dataclass(frozen=True)
class ConicScores:
    """Scores of a set of images; see `DEFINITIONS`.

    Attributes:
        mpq_plus: Mean of `pq`.
        pq: Panoptic quality of each class.
        pq_all_nuclei: That of all nuclei as one class.
        pq_per_image: That of all nuclei, as the mean of the images.
        mean_r2: Mean of `r2`.
        r2: Coefficient of determination of the counts of each class.
        matchings: What `pq` and `pq_all_nuclei` follow from.
        absent: Classes without nuclei in truth and prediction, left out of `mpq_plus`.
        constant: Classes with the same true count in all images, left out of `mean_r2`.
        empty: Number of images without nuclei in truth and prediction, left out of `pq_per_image`.
    """

    mpq_plus: float
    pq: Mapping[str, float]
    pq_all_nuclei: float
    pq_per_image: float
    mean_r2: float
    r2: Mapping[str, float]
    matchings: Mapping[str, Matching]
    absent: tuple[str, ...]
    constant: tuple[str, ...]
    empty: int


def match_instances(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> Matching:
    """Match the objects of two maps; a pair matches if its IoU is above 0.5, which makes it the only one of both.

    Args:
        truth: Number of the true object at every pixel, 0 for none, of shape (H, W).
        prediction: Number of the predicted object, of the same shape.

    Raises:
        EvaluationError: If the arrays are not whole numbers of one shape (H, W).
    """
    check_shapes(truth, prediction)
    truth, prediction = as_labels(truth, "truth"), as_labels(prediction, "prediction")
    # Sorting what is background in both would take most of the time.
    somewhere = (truth > 0) | (prediction > 0)
    (ours, theirs), shared = crosstab(truth[somewhere], prediction[somewhere])
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0) - shared
    overlaps = (shared / union)[np.ix_(ours > 0, theirs > 0)]
    matched = overlaps > 0.5
    tp = int(np.count_nonzero(matched))
    true, predicted = overlaps.shape
    return Matching(tp, predicted - tp, true - tp, float(overlaps[matched].sum()))


def score_nuclei(
    truth: NDArray[np.generic],
    instances: NDArray[np.generic],
    prediction: NDArray[np.generic],
    classes: Mapping[str, int],
) -> dict[str, NucleusScores]:
    """Score the nuclei of one patch.

    A true nucleus has all its published pixels, those of drawn lines too. One that the lines left without any pixel has
    no class, and counts among all nuclei only.

    Args:
        truth: True classes of shape (H, W), as in labelsTr.
        instances: Number of the true nucleus at every pixel, 0 for none, of the same shape, as in instancesTr.
        prediction: Predicted classes of the same shape.
        classes: Label of each class by name, without the background.

    Returns:
        The scores of each class and of `ALL_NUCLEI`.

    Raises:
        EvaluationError: If the arrays are not such maps of one shape, or truth and instances contradict each other.
    """
    _check_names(classes)
    truth, prediction = checked_pair(truth, prediction, {0, *classes.values()}, None)
    instances = _checked_instances(instances, truth)
    numbers, of_class = object_classes(instances, truth)
    nuclei = components(prediction)
    scores = {ALL_NUCLEI: _scores(instances, nuclei)}
    for name, label in classes.items():
        true = np.isin(instances, numbers[of_class == label])
        scores[name] = _scores(np.where(true, instances, 0), np.where(prediction == label, nuclei, 0))
    return scores


def conic_scores(cases: Sequence[Mapping[str, NucleusScores]]) -> ConicScores:
    """Score a set of images as the challenge does.

    Args:
        cases: What `score_nuclei` gave for each image.

    Raises:
        EvaluationError: If there are no images, or they have different classes.
    """
    by_name = _by_name(cases)
    matchings = {name: sum((one.matching for one in scores), Matching()) for name, scores in by_name.items()}
    names = [name for name in by_name if name != ALL_NUCLEI]
    pq = {name: matchings[name].pq for name in names}
    r2 = {name: _r2(by_name[name]) for name in names}
    per_image = [one.matching.pq for one in by_name[ALL_NUCLEI]]
    return ConicScores(
        mpq_plus=_mean(pq.values()),
        pq=pq,
        pq_all_nuclei=matchings[ALL_NUCLEI].pq,
        pq_per_image=_mean(per_image),
        mean_r2=_mean(r2.values()),
        r2=r2,
        matchings=matchings,
        absent=_undefined(pq),
        constant=_undefined(r2),
        empty=sum(map(math.isnan, per_image)),
    )


def _scores(truth: LabelMap, prediction: LabelMap) -> NucleusScores:
    return NucleusScores(match_instances(truth, prediction), _count_central(truth), _count_central(prediction))


def _count_central(instances: LabelMap) -> int:
    centre = central(instances)
    return np.unique(centre[centre > 0]).size


def _r2(scores: Sequence[NucleusScores]) -> float:
    true, predicted = [one.n_ref for one in scores], [one.n_pred for one in scores]
    return float(r2_score(true, predicted)) if len(set(true)) > 1 else math.nan


def _mean(values: Iterable[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return fmean(defined) if defined else math.nan


def _undefined(values: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(name for name, value in values.items() if math.isnan(value))


def _by_name(cases: Sequence[Mapping[str, NucleusScores]]) -> dict[str, list[NucleusScores]]:
    """The scores of all images by class."""
    if not cases:
        raise EvaluationError("cases must hold at least one image, got none: score some first")
    for case in cases:
        if set(case) != set(cases[0]):
            raise EvaluationError(
                f"cases must have the same classes, got {listed(cases[0])} and {listed(case)}: score them alike"
            )
    return {name: [case[name] for case in cases] for name in cases[0]}


def _check_names(classes: Mapping[str, int]) -> None:
    check_classes(classes, ignore_label=None)
    if min(classes.values()) < 1 or ALL_NUCLEI in classes:
        raise EvaluationError(
            f"classes must have labels from 1 up and names other than {ALL_NUCLEI!r}, got {dict(classes)}: leave the "
            "background out"
        )


def _checked_instances(instances: NDArray[np.generic], truth: LabelMap) -> LabelMap:
    """Numbers of the true nuclei that do not contradict their classes."""
    if instances.shape != truth.shape:
        raise EvaluationError(
            f"instances must have the shape of truth, {truth.shape}, got {instances.shape}: they are of the original "
            "size, so convert CoNIC at its native size"
        )
    instances = as_labels(instances, "instances")
    numbers, of_class = object_classes(instances, truth)
    labelled = numbers[of_class > 0]
    several = labelled[1:][labelled[1:] == labelled[:-1]]
    if (labelled < 1).any():
        raise EvaluationError(
            "instances must number every nucleus of truth, but some pixels of a class have no number: take both from "
            "the same conversion"
        )
    if several.size:
        raise EvaluationError(
            f"instances must hold nuclei of one class in truth, but some have several "
            f"({counted([str(number) for number in several])}): take both from the same conversion"
        )
    return instances
