"""All metrics of a case against the plain SciPy formulation, on masks like lesions and like nuclei.

The plain formulation takes the distance transform of the whole image, as most scripts do, once for each direction and
not once for each metric; its boundary bands come from repeated erosion.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

from benchmarks.measure import print_header, print_row, times_in_turn
from nnunet_sgdc.evaluation.metrics import score_class
from nnunet_sgdc.evaluation.surface import Mask, default_band_width

PAIRS = 7
CASES = 3
NUCLEI = 150
Pair = tuple[Mask, Mask]


def main() -> None:
    """Print a table."""
    print(f"All metrics of one mask; medians of {PAIRS} pairs of runs over {CASES} cases\n")
    print_header("masks", "size", "surface pixels", "plain", "ours", "faster")
    for name, size, share in (("lesion", 512, 0.12), ("lesion", 512, 0.35), ("lesion", 2048, 0.12)):
        _print_comparison(f"{name}, {share:.0%} of the image", size, partial(lesion_pair, share=share))
    _print_comparison(f"{NUCLEI} nuclei", 512, nuclei_pair)
    _print_comparison("one nucleus", 512, partial(lesion_pair, share=0.001))
    _print_comparison("noise", 512, lambda rng, size: (rng.random((size, size)) < 0.5, rng.random((size, size)) < 0.5))
    print()


def lesion_pair(rng: Generator, size: int, share: float) -> Pair:
    """An ellipse with a wavy outline that takes a share of the image, and its prediction with an outline of its own."""
    centre, stretch, turn = rng.uniform(0.4, 0.6, 2) * size, rng.uniform(0.8, 1.25), rng.uniform(0, np.pi)
    rows, columns = np.ogrid[:size, :size]
    down, right = rows - centre[0], columns - centre[1]
    along, across = down * np.cos(turn) + right * np.sin(turn), right * np.cos(turn) - down * np.sin(turn)
    radii = np.hypot(along * stretch, across / stretch) / np.sqrt(share * size**2 / np.pi)
    wave = gaussian_filter(rng.normal(size=(2, size, size)), (0, size / 40, size / 40)) * size / 40 * 0.2
    return radii + wave[0] < 1, radii + wave[1] < 1


def nuclei_pair(rng: Generator, size: int) -> Pair:
    """Many small ellipses, each predicted shifted and of another size, some not at all."""
    truth, prediction = np.zeros((2, size, size), bool)
    rows, columns = np.ogrid[:size, :size]
    for _ in range(NUCLEI):
        centre, radii = rng.uniform(0, size, 2), rng.uniform(5, 11, 2)
        truth |= np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]) < 1
        if rng.random() < 0.85:
            centre, radii = centre + rng.normal(size=2), radii * rng.uniform(0.85, 1.15, 2)
            prediction |= np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]) < 1
    return truth, prediction


def plain_metrics(truth: Mask, prediction: Mask) -> dict[str, float]:
    """The same numbers by whole-image operations; both masks must hold an object."""
    directed = _plain_distances(truth, prediction), _plain_distances(prediction, truth)
    pooled = np.concatenate(directed)
    width = default_band_width(truth.shape)
    bands = [mask & ~binary_erosion(mask, np.ones((3, 3)), width) for mask in (truth, prediction)]
    tp, fn, fp, tn = ((a & b).sum() for a in (truth, ~truth) for b in (prediction, ~prediction))
    return {
        **{"dice": 2 * tp / (2 * tp + fp + fn), "iou": tp / (tp + fp + fn), "sensitivity": tp / (tp + fn)},
        **{"specificity": tn / (tn + fp), "precision": tp / (tp + fp), "area_difference": (fp - fn) / (tp + fn)},
        **{"hd95": max(np.percentile(one, 95) for one in directed), "hd": max(one.max() for one in directed)},
        **{"assd": pooled.mean(), "nsd@1": (pooled <= 1).mean(), "nsd@2": (pooled <= 2).mean()},
        "boundary_iou": (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum(),
    }


def _plain_distances(source: Mask, target: Mask) -> NDArray[np.float64]:
    source, target = (mask & ~binary_erosion(mask) for mask in (source, target))
    distances: NDArray[np.float64] = distance_transform_edt(~target)[source]
    return distances


def _print_comparison(name: str, size: int, make_pair: Callable[[Generator, int], Pair]) -> None:
    rng = default_rng(0)
    cases = [make_pair(rng, size) for _ in range(CASES)]
    for case in cases:
        _check_agreement(case)
    plain, ours, faster = times_in_turn(
        lambda: [plain_metrics(*case) for case in cases], lambda: [score_class(*case) for case in cases], PAIRS
    )
    surface = np.mean([(mask & ~binary_erosion(mask)).sum() for case in cases for mask in case])
    milliseconds = (f"{seconds / CASES * 1e3:.1f} ms" for seconds in (plain, ours))
    print_row(name, f"{size} x {size}", f"{surface:.0f}", *milliseconds, f"{faster:.1f} x")


def _check_agreement(case: Pair) -> None:
    ours = score_class(*case).values()
    for name, value in plain_metrics(*case).items():
        if not np.isclose(ours[name], value, rtol=1e-12):
            raise ValueError(f"{name} must be that of the plain formulation, {value}, got {ours[name]}")


if __name__ == "__main__":
    main()
