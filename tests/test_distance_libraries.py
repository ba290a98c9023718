"""docs/distances.md says what the libraries compute, and what makes them differ."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import surface_distance as deepmind
import torch
from matplotlib.image import imread
from scipy.ndimage import gaussian_filter

from benchmarks.distance_libraries import definitions
from benchmarks.distance_libraries.cases import CASES, LESIONS, TINY, Case, drawing
from benchmarks.distance_libraries.definitions import CHANGES, STEPS, Change, check_changes, contour_lengths, thick
from benchmarks.distance_libraries.document import VERSIONS, document
from benchmarks.distance_libraries.libraries import TABLES, monai_mean
from benchmarks.distance_libraries.picture import draw, outline
from nnunet_sgdc.evaluation.surface import surface_distances, surface_pixels

# Of empty masks, and of names that SciPy will drop.
pytestmark = [pytest.mark.filterwarnings("ignore:::monai"), pytest.mark.filterwarnings("ignore:::surface_distance")]

DOCS = Path(__file__).parents[1] / "docs"
ISLAND, PIECE_MISSING, MISSED, FALSE_ALARM, BOTH_EMPTY = (LESIONS[index] for index in (1, 2, 6, 7, 8))
LONG_LINE, HALF_LINE, TWO_PIXELS, TWO_PIXELS_SPACED, FULL = TINY
CONNECTIVITY_2, IN_3D = "MedPy, connectivity 2", "MedPy on (1, H, W)"


def blobs(seed: int) -> np.ndarray:
    """Several objects with holes, some cut off by the image."""
    return gaussian_filter(np.random.default_rng(seed).normal(size=(40, 56)), 3) > 0.04


# The document


def without_versions(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(VERSIONS)]


def test_document_is_up_to_date() -> None:
    written = (DOCS / "distances.md").read_text(encoding="utf-8")
    assert without_versions(written) == without_versions(document()), "run: python -m benchmarks.distance_libraries"


def test_the_picture_shows_both_masks(tmp_path: Path) -> None:
    draw(tmp_path / "distances.png")
    pixels = imread(tmp_path / "distances.png")[..., :3].reshape(-1, 3)
    redness = pixels[:, 0] - pixels[:, 2]
    assert (redness > 0.5).sum() > 1000
    assert (redness < -0.5).sum() > 1000


def test_the_outline_of_a_pixel_are_its_four_edges() -> None:
    edges = {frozenset(map(tuple, edge)) for edge in outline(drawing("... ..#")).tolist()}
    corners = [(2, 1), (3, 1), (3, 2), (2, 2)]
    assert edges == {frozenset(pair) for pair in zip(corners, corners[1:] + corners[:1], strict=True)}


def test_the_picture_of_the_document_is_small() -> None:
    assert (DOCS / "distances.png").stat().st_size < 60_000


# Every difference is explained


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 0.5)])
@pytest.mark.parametrize("seed", range(8))
def test_the_changes_explain_masks_like_noise_as_well(seed: int, spacing: tuple[float, float]) -> None:
    check_changes([Case("blobs", blobs(2 * seed), blobs(2 * seed + 1), spacing)])


@pytest.mark.parametrize("metric", TABLES)
def test_every_library_has_its_change(metric: str) -> None:
    assert ["ours", *CHANGES[metric]] == list(TABLES[metric])


def test_a_difference_without_explanation_stops_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"HD95": {"MedPy": Change("nothing", TABLES["HD95"]["ours"])}}
    monkeypatch.setattr(definitions, "CHANGES", wrong)
    expected = r"HD95 by MedPy must be 64\.6\d+, ours with this change: nothing; got 5\.38\d+ for the same, and a small"
    with pytest.raises(ValueError, match=expected):
        document()


@pytest.mark.parametrize("metric", STEPS)
def test_the_last_step_is_the_change_to_surface_distance(metric: str) -> None:
    assert list(STEPS[metric].values())[-1] is CHANGES[metric]["surface-distance"].metric


def test_medpy_sees_an_island_only_where_it_is_a_twentieth_of_both_surfaces() -> None:
    truth, prediction = (surface_pixels(mask).sum() for mask in (ISLAND.truth, ISLAND.prediction))
    island = prediction - surface_pixels(LESIONS[0].prediction).sum()
    assert island > 0.05 * prediction
    assert island < 0.05 * (truth + prediction)


def test_a_slanted_outline_has_one_surface_pixel_for_every_diagonal_or_two_if_thick() -> None:
    triangle = np.tril(np.ones((20, 20), bool))
    # Far from the ends of the slanted side.
    part = slice(5, 15)
    assert np.array_equal(surface_pixels(triangle)[part, part], np.eye(10, dtype=bool))
    assert np.array_equal(thick(triangle)[part, part], np.eye(10, dtype=bool) | np.eye(10, k=-1, dtype=bool))


@pytest.mark.parametrize(
    ("mask", "straight", "corners"),
    [("#", 0, 4), ("### ###", 6, 4), ("#. .#", 0, 8), (".# #.", 0, 8), ("## #.", 2, 6)],
)
def test_contour_lengths_by_hand(mask: str, straight: int, corners: int) -> None:
    expected = straight + corners * math.sqrt(0.5)
    assert contour_lengths(drawing(mask), (1, 1)).sum() == pytest.approx(expected)


def test_straight_contours_have_the_spacing_of_their_direction() -> None:
    assert contour_lengths(drawing("###"), (2, 0.5)).sum() == pytest.approx(4 * 0.5 + 4 * 0.5 * math.hypot(2, 0.5))


# Values found by hand


@pytest.mark.parametrize(
    ("metric", "library", "case", "expected"),
    [
        ("HD95", "ours", LONG_LINE, 1.7),
        ("HD95", "MedPy", LONG_LINE, 1.45),
        ("HD95", "surface-distance", LONG_LINE, 2),
        ("HD95", "ours", HALF_LINE, 4.55),
        ("HD95", "MedPy", HALF_LINE, 4.3),
        ("HD95", "ours", TWO_PIXELS, 5),
        ("ASSD", "surface-distance", TWO_PIXELS, (math.hypot(2, 3) + math.hypot(3, 3) + math.hypot(2, 4) + 5) / 4),
        ("HD95", "ours", TWO_PIXELS_SPACED, math.sqrt(40)),
        ("ASSD", "ours", FULL, (5 + 4 * math.sqrt(2)) / 9),
        # Flat, the pixel in the middle of the full image is no surface; as a slice it is, at the distance 0 both ways.
        ("ASSD", IN_3D, FULL, (4 + 4 * math.sqrt(2)) / 10),
    ],
)
def test_values_of_small_cases(metric: str, library: str, case: Case, expected: float) -> None:
    assert TABLES[metric][library](case) == pytest.approx(expected)


# Empty masks


@pytest.mark.parametrize("case", [MISSED, FALSE_ALARM, BOTH_EMPTY], ids=lambda case: case.title)
@pytest.mark.parametrize("library", ["MedPy", CONNECTIVITY_2, IN_3D])
def test_medpy_raises_where_a_mask_is_empty(library: str, case: Case) -> None:
    with pytest.raises(RuntimeError, match="supplied array does not contain any binary object"):
        TABLES["HD95"][library](case)


def test_a_percentile_of_infinite_distances_is_nan_in_torch() -> None:
    infinite = torch.full((3,), math.inf)
    assert infinite.max() == math.inf
    assert torch.quantile(infinite, 0.95).isnan()


@pytest.mark.parametrize("case", [MISSED, FALSE_ALARM, BOTH_EMPTY], ids=lambda case: case.title)
def test_surface_distance_is_infinite_where_a_mask_is_empty(case: Case) -> None:
    assert TABLES["HD95"]["surface-distance"](case) == math.inf
    assert math.isnan(TABLES["ASSD"]["surface-distance"](case))


@pytest.mark.skipif(hasattr(np, "Inf"), reason="NumPy 1 has the name")
def test_surface_distance_as_released_ends_with_an_error_on_empty_masks() -> None:
    with pytest.raises(AttributeError, match=r"np\.Inf"):
        deepmind.compute_surface_distances(MISSED.truth, MISSED.prediction, MISSED.spacing)


def test_only_we_call_two_empty_masks_a_perfect_nsd() -> None:
    ours, *others = (metric(BOTH_EMPTY) for metric in TABLES["NSD"].values())
    assert ours == 1
    assert all(math.isnan(other) for other in others)


@pytest.mark.parametrize("missed", [MISSED, FALSE_ALARM], ids=lambda case: case.title)
def test_a_missed_lesion_improves_the_mean_of_monai_and_worsens_ours(missed: Case) -> None:
    found, lost = [LESIONS[0], PIECE_MISSING], [LESIONS[0], missed]
    assert monai_mean(lost, 95)[0] < monai_mean(found, 95)[0]
    assert [monai_mean(cases, 95)[1] for cases in (found, lost)] == [2, 1]
    ours_found, ours_lost = (np.mean([TABLES["HD95"]["ours"](case) for case in cases]) for cases in (found, lost))
    assert ours_lost > ours_found


def test_without_a_percentile_the_mean_of_monai_is_infinite() -> None:
    assert monai_mean([LESIONS[0], MISSED], None) == (math.inf, 2)


# What the document says of all cases


def test_no_distance_within_an_image_reaches_the_diagonal() -> None:
    opposite = np.zeros((2, 256, 256), bool)
    opposite[0, 0, 0] = opposite[1, -1, -1] = True
    assert surface_distances(*opposite).hausdorff() < TABLES["HD95"]["ours"](MISSED)


def test_swapping_truth_and_prediction_changes_no_library() -> None:
    for case in CASES:
        if case.has_two_objects:
            swapped = replace(case, truth=case.prediction, prediction=case.truth)
            for metric in TABLES["HD95"].values():
                assert metric(swapped) == pytest.approx(metric(case))
