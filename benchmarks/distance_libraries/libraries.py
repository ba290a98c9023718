"""HD95, ASSD and NSD of a case by ours and by each library, in the way that its documentation shows."""

from collections.abc import Callable, Iterable, Mapping
from unittest.mock import patch

import numpy as np
import surface_distance as deepmind
import torch
from medpy.metric import binary as medpy
from monai.metrics import (
    HausdorffDistanceMetric,
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
)

from benchmarks.distance_libraries.cases import Case

Metric = Callable[[Case], float]

# Of the NSD, in pixels or the unit of the spacing.
TOLERANCE = 2.0


def monai_mean(cases: Iterable[Case], percentile: float | None) -> tuple[float, int]:
    """The mean of the Hausdorff distance as MONAI's metric forms it, and the number of cases in it."""
    metric = HausdorffDistanceMetric(include_background=True, percentile=percentile, get_not_nans=True)
    for case in cases:
        metric(*_monai_batches(case))
    mean, counted = metric.aggregate()
    return mean.item(), int(counted.item())


def _monai_batches(case: Case) -> list[torch.Tensor]:
    return [torch.from_numpy(mask)[None, None] for mask in (case.prediction, case.truth)]


def _monai(compute: Callable[..., torch.Tensor], **options: object) -> Metric:
    def metric(case: Case) -> float:
        batches = _monai_batches(case)
        return compute(*batches, include_background=True, spacing=case.spacing, **options).item()

    return metric


def _deepmind(statistic: Callable[..., float]) -> Metric:
    def metric(case: Case) -> float:
        # Release 0.1 asks for np.Inf where a mask is empty, a name that NumPy 2 has no more.
        with patch.object(np, "Inf", np.inf, create=True), np.errstate(invalid="ignore"):
            return float(statistic(deepmind.compute_surface_distances(case.truth, case.prediction, case.spacing)))

    return metric


def _medpy(compute: Callable[..., float], connectivity: int = 1) -> Metric:
    return lambda case: float(compute(case.prediction, case.truth, case.spacing, connectivity))


def _medpy_in_3d(compute: Callable[..., float]) -> Metric:
    return lambda case: float(compute(case.prediction[None], case.truth[None], (1.0, *case.spacing)))


TABLES: Mapping[str, Mapping[str, Metric]] = {
    "HD95": {
        "ours": lambda case: case.distances.hausdorff(95),
        "MONAI": _monai(compute_hausdorff_distance, percentile=95),
        "surface-distance": _deepmind(lambda distances: deepmind.compute_robust_hausdorff(distances, 95)),
        "MedPy": _medpy(medpy.hd95),
        "MedPy, connectivity 2": _medpy(medpy.hd95, connectivity=2),
        "MedPy on (1, H, W)": _medpy_in_3d(medpy.hd95),
    },
    "ASSD": {
        "ours": lambda case: case.distances.assd(),
        "MONAI": _monai(compute_average_surface_distance, symmetric=True),
        "surface-distance": _deepmind(lambda distances: np.mean(deepmind.compute_average_surface_distance(distances))),
        "MedPy": _medpy(medpy.assd),
        "MedPy, connectivity 2": _medpy(medpy.assd, connectivity=2),
        "MedPy on (1, H, W)": _medpy_in_3d(medpy.assd),
    },
    "NSD": {
        "ours": lambda case: case.distances.nsd(TOLERANCE),
        "MONAI": _monai(compute_surface_dice, class_thresholds=[TOLERANCE]),
        "MONAI, use_subvoxels": _monai(compute_surface_dice, class_thresholds=[TOLERANCE], use_subvoxels=True),
        "surface-distance": _deepmind(
            lambda distances: deepmind.compute_surface_dice_at_tolerance(distances, TOLERANCE)
        ),
    },
}
