"""The definitions of the other libraries, rebuilt from ours by changing the surface or what is made of the distances.

Where a rebuilt value is that of the library, the change is the whole difference.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from benchmarks.distance_libraries.cases import Case
from benchmarks.distance_libraries.libraries import TABLES, TOLERANCE, Metric
from nnunet_sgdc.evaluation.surface import Mask, SurfaceDistances, boundary_band, surface_pixels

FloatArray = NDArray[np.float64]
Surface = Callable[[Mask], Mask]

# MONAI computes in single precision.
SINGLE, DOUBLE = 1e-6, 1e-9


@dataclass(frozen=True)
class Change:
    """What makes ours another definition.

    Attributes:
        words: The change, as a phrase.
        metric: The changed definition, for cases with two objects.
        tolerance: Of the comparison with the library, relative and absolute.
    """

    words: str
    metric: Metric
    tolerance: float = DOUBLE


def check_changes(cases: Iterable[Case]) -> None:
    """Check on every case with two objects that each change of ours gives the value of its library.

    Raises:
        ValueError: If one does not.
    """
    for case in (case for case in cases if case.has_two_objects):
        for metric, changes in CHANGES.items():
            for library, change in changes.items():
                theirs, rebuilt = TABLES[metric][library](case), change.metric(case)
                if not math.isclose(theirs, rebuilt, rel_tol=change.tolerance, abs_tol=change.tolerance):
                    raise ValueError(
                        f"{metric} by {library} must be {rebuilt:.9g}, ours with this change: {change.words}; "
                        f"got {theirs:.9g} for {case.title}: find out what else differs"
                    )


def measured(case: Case, surface: Surface) -> SurfaceDistances:
    """Both directed sets of distances between surfaces of any definition."""
    truth, prediction = surface(case.truth), surface(case.prediction)
    return SurfaceDistances(_to(prediction, case.spacing)[truth], _to(truth, case.spacing)[prediction])


def every_pixel(mask: Mask) -> Mask:
    """What one slice of shape (1, H, W) has for a surface: above and below every pixel is outside."""
    return mask


def thick(mask: Mask) -> Mask:
    """The pixels with an 8-neighbour outside."""
    return boundary_band(mask, 1)


def corners(mask: Mask) -> Mask:
    """The corners of pixels where the object meets its outside, of shape (H + 1, W + 1)."""
    return contour_lengths(mask, (1.0, 1.0)) > 0


def contour_lengths(mask: Mask, spacing: tuple[float, float]) -> FloatArray:
    """Length of the contour at every corner of pixels, of shape (H + 1, W + 1), as marching squares draw it.

    Around a corner the contour joins the middles between neighbouring pixels of which one is outside: straight across
    where two neighbours are inside, else around each pixel that differs from both of its neighbours.
    """
    framed = np.pad(mask, 1)
    (a, b), (c, d) = ((rows[:, :-1], rows[:, 1:]) for rows in (framed[:-1], framed[1:]))
    along_columns, along_rows = (a == b) & (c == d) & (a != c), (a == c) & (b == d) & (a != b)
    cut_off = 0.5 * np.hypot(*spacing)
    odd = a ^ b ^ c ^ d
    crossing = (a == d) & (b == c) & (a != b)
    lengths: FloatArray = along_columns * spacing[1] + along_rows * spacing[0] + (odd + 2 * crossing) * cut_off
    return lengths


def _to(surface: Mask, spacing: tuple[float, float]) -> FloatArray:
    distances: FloatArray = distance_transform_edt(~surface, sampling=spacing)
    return distances


def _pooled(distances: SurfaceDistances) -> FloatArray:
    return np.concatenate((distances.truth_to_prediction, distances.prediction_to_truth))


def _pooled_hd95(surface: Surface) -> Metric:
    return lambda case: float(np.percentile(_pooled(measured(case, surface)), 95))


def _directed(case: Case) -> list[tuple[FloatArray, FloatArray]]:
    """Distances between corners and the lengths of contour that they stand for, in both directions."""
    distances = measured(case, corners)
    lengths = (contour_lengths(mask, case.spacing) for mask in (case.truth, case.prediction))
    both = zip((distances.truth_to_prediction, distances.prediction_to_truth), lengths, strict=True)
    return [(one, length[length > 0]) for one, length in both]


def _hd95_without_interpolation(case: Case) -> float:
    return max(float(np.percentile(one, 95, method="inverted_cdf")) for one, _ in _directed(case))


def _hd95_by_length(case: Case) -> float:
    directed = _directed(case)
    return max(float(np.percentile(one, 95, weights=lengths, method="inverted_cdf")) for one, lengths in directed)


def _mean_of_directed_means(case: Case) -> float:
    return float(np.mean([distances.mean() for distances, _ in _directed(case)]))


def _assd_by_length(case: Case) -> float:
    return float(np.mean([np.average(distances, weights=lengths) for distances, lengths in _directed(case)]))


def _nsd_by_length(case: Case) -> float:
    distances, lengths = (np.concatenate(arrays) for arrays in zip(*_directed(case), strict=True))
    return float(np.average(distances <= TOLERANCE, weights=lengths))


# One change after the other, from ours to surface-distance.
STEPS: Mapping[str, Mapping[str, Metric]] = {
    "HD95": {
        "ours": TABLES["HD95"]["ours"],
        "between corners": lambda case: measured(case, corners).hausdorff(95),
        "not interpolated": _hd95_without_interpolation,
        "weighed by length": _hd95_by_length,
    },
    "ASSD": {
        "ours": TABLES["ASSD"]["ours"],
        "between corners": lambda case: measured(case, corners).assd(),
        "mean of the two means": _mean_of_directed_means,
        "weighed by length": _assd_by_length,
    },
    "NSD": {
        "ours": TABLES["NSD"]["ours"],
        "between corners": lambda case: measured(case, corners).nsd(TOLERANCE),
        "weighed by length": _nsd_by_length,
    },
}

_BY_LENGTH = "corners of pixels are the surface, weighed by length"

CHANGES: Mapping[str, Mapping[str, Change]] = {
    "HD95": {
        "MONAI": Change("nothing", TABLES["HD95"]["ours"], SINGLE),
        "surface-distance": Change(f"{_BY_LENGTH}, and the percentile is not interpolated", _hd95_by_length),
        "MedPy": Change("one percentile of both directed sets together", _pooled_hd95(surface_pixels)),
        "MedPy, connectivity 2": Change(
            "one percentile of both directed sets together, and a diagonal neighbour outside makes a pixel surface",
            _pooled_hd95(thick),
        ),
        "MedPy on (1, H, W)": Change(
            "one percentile of both directed sets together, and every pixel is surface", _pooled_hd95(every_pixel)
        ),
    },
    "ASSD": {
        "MONAI": Change("nothing", TABLES["ASSD"]["ours"], SINGLE),
        "surface-distance": Change(f"{_BY_LENGTH}, and both directions count the same", _assd_by_length),
        "MedPy": Change("nothing", TABLES["ASSD"]["ours"]),
        "MedPy, connectivity 2": Change(
            "a diagonal neighbour outside makes a pixel surface",
            lambda case: measured(case, thick).assd(),
        ),
        "MedPy on (1, H, W)": Change("every pixel is surface", lambda case: measured(case, every_pixel).assd()),
    },
    "NSD": {
        "MONAI": Change("nothing", TABLES["NSD"]["ours"], SINGLE),
        "MONAI, use_subvoxels": Change(_BY_LENGTH, _nsd_by_length, SINGLE),
        "surface-distance": Change(_BY_LENGTH, _nsd_by_length),
    },
}
