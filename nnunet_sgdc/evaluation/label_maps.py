"""Checks of label maps before they are scored: a wrong label would otherwise count as background."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.surface import check_shapes

LabelMap = NDArray[np.integer]


def check_classes(classes: Mapping[str, int], ignore_label: int | None) -> None:
    """Refuse classes of which two could not be told apart.

    Raises:
        EvaluationError: If there is no class, two have one label, or a class has the ignore label.
    """
    labels = list(classes.values())
    if not labels or len(set(labels)) < len(labels):
        raise EvaluationError(f"classes must give each class a label of its own, got {dict(classes)}: number them anew")
    if ignore_label in labels:
        raise EvaluationError(f"ignore_label must be the label of no class, got {ignore_label}: take it out of classes")


def checked_pair(
    truth: NDArray[np.generic],
    prediction: NDArray[np.generic],
    labels: Collection[int],
    ignore_label: int | None,
    names: tuple[str, str] = ("truth", "prediction"),
) -> tuple[LabelMap, LabelMap]:
    """Two label maps that can be compared, from arrays of any numeric type.

    Args:
        truth: True labels of shape (H, W).
        prediction: Predicted labels of the same shape.
        labels: Those of the classes, the background's too.
        ignore_label: A further label that only the truth may have.
        names: What messages call the two.

    Raises:
        EvaluationError: If the arrays are no label maps of one shape with these labels.
    """
    check_shapes(truth, prediction, names)
    truth, prediction = as_labels(truth, names[0]), as_labels(prediction, names[1])
    check_labels(prediction, labels, names[1])
    check_labels(truth, labels if ignore_label is None else {*labels, ignore_label}, names[0])
    return truth, prediction


def as_labels(label_map: NDArray[np.generic], name: str) -> LabelMap:
    """Whole numbers, from an array of any numeric type.

    Args:
        label_map: Labels of shape (H, W).
        name: What messages call it.

    Raises:
        EvaluationError: If there are no pixels, or not all of them are whole numbers.
    """
    if not label_map.size:
        raise EvaluationError(f"{name} must have pixels, got shape {label_map.shape}: leave the case out")
    if label_map.dtype.kind in "bui":
        return label_map.astype(np.uint8 if label_map.dtype.kind == "b" else label_map.dtype, copy=False)
    if label_map.dtype.kind != "f":
        raise EvaluationError(f"{name} must hold numbers, got {label_map.dtype}: convert it to integers")
    # NaN is not below infinity, and infinity is whole to NumPy.
    whole = (np.abs(label_map) < np.inf) & (np.trunc(label_map) == label_map)
    if not whole.all():
        raise EvaluationError(
            f"{name} must hold whole numbers, got {_first(label_map, ~whole)}: pass labels, not probabilities"
        )
    return label_map.astype(np.int64)


def check_labels(label_map: LabelMap, allowed: Iterable[int], name: str) -> None:
    """Refuse labels that belong to no class.

    Raises:
        EvaluationError: If there is one.
    """
    labels = sorted(allowed)
    known = np.isin(label_map, labels)
    if not known.all():
        raise EvaluationError(
            f"{name} must hold only the labels {labels}, got {_first(label_map, ~known)}: "
            "name its class in classes, the background too, or map it to one of them"
        )


def _first(label_map: NDArray[np.generic], wrong: NDArray[np.bool_]) -> str:
    row, column = np.argwhere(wrong)[0]
    return f"{label_map[row, column]} at row {row}, column {column}"
