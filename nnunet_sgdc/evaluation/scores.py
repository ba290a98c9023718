"""Scores of one predicted mask against its truth.

Libraries differ tenfold in HD95, so here is the definition. The surface of a mask is its pixels with a 4-neighbour
outside it, where all beyond the image is outside; HD95 is the larger of the two directed 95th percentiles of the
distances between surfaces, in pixels of the grid of the masks. If both masks are empty, HD95 is 0 and the overlaps are
1; if one is, HD95 is the diagonal of the image and the overlaps are 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Scores of one mask: Dice and IoU from 0 to 1, the HD95 in pixels."""

    dice: float
    iou: float
    hd95: float


def score_masks(truth: Mask, prediction: Mask) -> Scores:
    """Score a predicted mask.

    Args:
        truth: True mask of shape (H, W).
        prediction: Predicted mask of the same shape.

    Raises:
        ValueError: If the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"prediction must have the shape of truth, {truth.shape}, got {prediction.shape}")
    truth, prediction = truth.astype(bool), prediction.astype(bool)
    if not (truth.any() or prediction.any()):
        return Scores(dice=1.0, iou=1.0, hd95=0.0)
    shared, either = (truth & prediction).sum(), (truth | prediction).sum()
    return Scores(dice=float(2 * shared / (shared + either)), iou=float(shared / either), hd95=_hd95(truth, prediction))


def _hd95(truth: Mask, prediction: Mask) -> float:
    if not (truth.any() and prediction.any()):
        return float(np.hypot(*truth.shape))
    surfaces = _surface(truth), _surface(prediction)
    return max(_directed_percentile(*surfaces), _directed_percentile(*reversed(surfaces)))


def _surface(mask: Mask) -> Mask:
    inner: Mask = binary_erosion(mask)
    return mask & ~inner


def _directed_percentile(source: Mask, target: Mask) -> float:
    """95th percentile of the distances from the pixels of one surface to the other surface."""
    return float(np.percentile(distance_transform_edt(~target)[source], 95))
