"""Distances between the outlines of two masks, and the overlap of their boundary bands.

Libraries differ tenfold in HD95, so here are the definitions. The surface of a mask is its pixels with a 4-neighbour
outside it, where all beyond the image is outside. Both directed sets of distances are kept, every pixel of a surface
counts once, and lengths are in pixels or, with a spacing, in its unit.

Masks are cropped to their joint bounding box, beyond which there is no surface, and a k-d tree of the surface pixels
gives the exact nearest one: a distance transform of the whole image would measure from every pixel of it. Only noise,
where most pixels are surface, takes longer so.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from nnunet_sgdc.evaluation.errors import EvaluationError

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]

# Share of the image diagonal that Cheng et al. (CVPR 2021) take as the width of the band.
BAND_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance of every surface pixel of one mask to the nearest surface pixel of the other.

    An empty mask has no surface: its own array is empty, and all distances to it are the diagonal of the image. Two
    empty masks agree perfectly, a correct absence. Both cases are flagged, for callers to count them.

    Attributes:
        truth_to_prediction: Shape (surface pixels of the truth,).
        prediction_to_truth: Shape (surface pixels of the prediction,).
    """

    truth_to_prediction: Distances
    prediction_to_truth: Distances

    @property
    def missed(self) -> bool:
        """There is an object, but none is predicted."""
        return bool(self.truth_to_prediction.size) and not self.prediction_to_truth.size

    @property
    def false_alarm(self) -> bool:
        """An object is predicted, but there is none."""
        return bool(self.prediction_to_truth.size) and not self.truth_to_prediction.size

    @property
    def both_empty(self) -> bool:
        """There is no object and none is predicted."""
        return not (self.truth_to_prediction.size or self.prediction_to_truth.size)

    def hausdorff(self, percentile: float = 100) -> float:
        """The larger of the two directed percentiles, as MONAI and surface-distance define HD95, unlike MedPy."""
        directions = (self.truth_to_prediction, self.prediction_to_truth)
        return max((float(np.percentile(one, percentile)) for one in directions if one.size), default=0.0)

    def assd(self) -> float:
        """Average symmetric surface distance: the mean over all surface pixels of both masks.

        The longer surface has the greater weight, as in MONAI; the mean of the two directed means would differ.
        """
        return 0.0 if self.both_empty else float(self._pooled.mean())

    def nsd(self, tolerance: float) -> float:
        """Normalised surface distance: share of all surface pixels within a tolerance; 0 if only one mask is empty."""
        if self.missed or self.false_alarm:
            return 0.0
        return 1.0 if self.both_empty else float((self._pooled <= tolerance).mean())

    @property
    def _pooled(self) -> Distances:
        return np.concatenate((self.truth_to_prediction, self.prediction_to_truth))


def surface_distances(truth: Mask, prediction: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> SurfaceDistances:
    """Measure once what all surface metrics of a pair of masks need.

    Args:
        truth: True mask of shape (H, W).
        prediction: Predicted mask of the same shape.
        spacing: Distance between rows and between columns.

    Raises:
        EvaluationError: If a mask is not 2-D or the shapes differ.
    """
    masks = crop_to_objects(truth, prediction)
    ours, theirs = (_positions(surface_pixels(mask)) * spacing for mask in masks)
    if not (len(ours) and len(theirs)):
        worst = diagonal(truth.shape, spacing)
        return SurfaceDistances(np.full(len(ours), worst), np.full(len(theirs), worst))
    return SurfaceDistances(_nearest(ours, theirs), _nearest(theirs, ours))


def diagonal(shape: tuple[int, ...], spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Diagonal of an image of shape (H, W) in the unit of the spacing: the distance to what is not there."""
    return math.hypot(*(extent * step for extent, step in zip(shape, spacing, strict=True)))


def surface_pixels(mask: Mask) -> Mask:
    """The pixels of a mask of shape (H, W) with a 4-neighbour outside it; all beyond the array is outside."""
    framed = np.pad(mask, 1)
    inside: Mask = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return mask & ~inside


def boundary_iou(truth: Mask, prediction: Mask, width: int | None = None) -> float:
    """IoU of the boundary bands of two masks (Cheng et al., CVPR 2021); 1 if both are empty, 0 if one is.

    Args:
        truth: True mask of shape (H, W).
        prediction: Predicted mask of the same shape.
        width: Of the bands, in pixels; by default 2 % of the diagonal of the image, as in the paper.

    Raises:
        EvaluationError: If a mask is not 2-D or the shapes differ.
    """
    width = default_band_width(truth.shape) if width is None else width
    ours, theirs = (boundary_band(mask, width) for mask in crop_to_objects(truth, prediction))
    either = np.count_nonzero(ours | theirs)
    return np.count_nonzero(ours & theirs) / either if either else 1.0


def boundary_band(mask: Mask, width: int) -> Mask:
    """The pixels of a mask of shape (H, W) that eroding it `width` times by a 3 x 3 square would remove.

    All beyond the array is outside, so that an object has a band at the border of the image.
    """
    side = 2 * width + 1
    rows_full = _all_in_windows(np.pad(mask, width), side)
    return mask & ~_all_in_windows(rows_full.T, side).T


def default_band_width(shape: tuple[int, ...]) -> int:
    """2 % of the diagonal of an image in whole pixels, at least one."""
    return max(1, round(BAND_SHARE * math.hypot(*shape)))


def crop_to_objects(truth: Mask, prediction: Mask) -> tuple[Mask, Mask]:
    """Views of both masks in their joint bounding box, of shape (0, 0) if both are empty.

    Raises:
        EvaluationError: If a mask is not 2-D or the shapes differ.
    """
    check_shapes(truth, prediction)
    truth, prediction = truth.astype(bool, copy=False), prediction.astype(bool, copy=False)
    either = truth | prediction
    box = _extent(np.any(either, axis=1)), _extent(np.any(either, axis=0))
    return truth[box], prediction[box]


def check_shapes(
    truth: NDArray[np.generic], prediction: NDArray[np.generic], names: tuple[str, str] = ("truth", "prediction")
) -> None:
    """Refuse all but two arrays of one shape (H, W); a leading axis would make every pixel a surface in 3-D.

    Args:
        truth: An array.
        prediction: Another one.
        names: What messages call the two.

    Raises:
        EvaluationError: If one is not 2-D or the shapes differ.
    """
    for name, array in zip(names, (truth, prediction), strict=True):
        if array.ndim != 2:
            raise EvaluationError(f"{name} must have the shape (rows, columns), got {array.shape}: pass one 2-D slice")
    if truth.shape != prediction.shape:
        raise EvaluationError(
            f"{names[1]} must have the shape of {names[0]}, {truth.shape}, got {prediction.shape}: "
            "resize the prediction to the grid of the truth"
        )


def _extent(line: NDArray[np.bool_]) -> slice:
    """From the first to the last true element."""
    found = np.flatnonzero(line)
    return slice(found[0], found[-1] + 1) if found.size else slice(0, 0)


def _all_in_windows(mask: Mask, length: int) -> Mask:
    """Whether all of `length` successive rows are true; shape (H - length + 1, W).

    Two windows overlap or touch to make one of up to twice the length, so that few steps do for any length.
    """
    covered = 1
    while covered < length:
        step = min(covered, length - covered)
        mask = mask[:-step] & mask[step:]
        covered += step
    return mask


def _positions(mask: Mask) -> Distances:
    """Rows and columns of the true pixels, of shape (n, 2)."""
    # Several times as fast as np.argwhere.
    return np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), axis=1).astype(np.float64)


def _nearest(sources: Distances, targets: Distances) -> Distances:
    """Distance of each source, of shape (n, 2), to its nearest target."""
    # Points on a grid have many equal coordinates, which slow the building of a balanced tree.
    tree = KDTree(targets, balanced_tree=False, compact_nodes=False)
    distances: Distances = tree.query(sources)[0]
    return distances
