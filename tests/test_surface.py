"""Surface distances against values found by hand, the plain formulation, MONAI and surface-distance."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.surface import (
    SurfaceDistances,
    boundary_band,
    boundary_iou,
    crop_to_objects,
    default_band_width,
    surface_distances,
    surface_pixels,
)

Mask = np.ndarray
UNIT = (1.0, 1.0)


def drawing(text: str) -> Mask:
    return np.array([[character == "#" for character in line] for line in text.split()])


def canvas(*boxes: tuple[slice, slice], shape: tuple[int, int] = (32, 32)) -> Mask:
    mask = np.zeros(shape, bool)
    for box in boxes:
        mask[box] = True
    return mask


def ellipse(centre: tuple[float, float], radii: tuple[float, float], size: int = 96) -> Mask:
    rows, columns = np.ogrid[:size, :size]
    return ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1


def blobs(seed: int) -> Mask:
    return gaussian_filter(np.random.default_rng(seed).normal(size=(64, 80)), 4) > 0.04


PAIRS = {
    "shifted": (ellipse((46, 48), (30, 20)), ellipse((50, 45), (28, 24))),
    "at the border": (ellipse((10, 48), (30, 20)), ellipse((14, 45), (28, 24))),
    "nested": (ellipse((48, 48), (40, 30)), ellipse((48, 48), (20, 15))),
    "far apart": (ellipse((20, 20), (8, 6)), ellipse((75, 70), (9, 12))),
    "island": (ellipse((40, 40), (20, 20)), ellipse((40, 40), (20, 20)) | ellipse((85, 85), (3, 3))),
    "blobs": (blobs(0), blobs(1)),
    "more blobs": (blobs(2), blobs(3)),
}
EVERY_PAIR = pytest.mark.parametrize(("truth", "prediction"), PAIRS.values(), ids=PAIRS)


# Values found by hand


def test_the_surface_is_what_has_a_neighbour_outside() -> None:
    mask = drawing("..... .###. .###. .###. .....")
    assert np.array_equal(surface_pixels(mask), drawing("..... .###. .#.#. .###. ....."))


def test_a_pixel_with_only_a_diagonal_neighbour_outside_is_inside() -> None:
    mask = drawing("##### ##### ##### ##### ####.")
    assert np.array_equal(surface_pixels(mask), drawing("##### #...# #...# #...# ####."))


def test_beyond_the_image_is_outside() -> None:
    assert np.array_equal(surface_pixels(np.ones((3, 4), bool)), drawing("#### #..# ####"))


def test_two_single_pixels_are_as_far_apart_as_their_centres() -> None:
    distances = surface_distances(drawing("#.... ..... ..... ....."), drawing("..... ..... ..... ....#"))
    assert (distances.hausdorff(), distances.hausdorff(95), distances.assd()) == (5, 5, 5)
    assert (distances.nsd(4.9), distances.nsd(5)) == (0, 1)


def test_spacing_is_that_of_rows_then_columns() -> None:
    pixels = drawing("#.... ..... ..... ....."), drawing("..... ..... ..... ....#")
    assert surface_distances(*pixels, spacing=(2, 0.5)).hausdorff() == pytest.approx(math.hypot(6, 2))


def test_a_square_moved_by_three_columns() -> None:
    truth, moved = canvas((slice(8, 16), slice(8, 16))), canvas((slice(8, 16), slice(11, 19)))
    distances = surface_distances(truth, moved)
    assert (distances.hausdorff(), distances.hausdorff(95)) == (3, 3)
    # Rows 8 and 15: columns 8, 9, 10 are 3, 2, 1 away, 11 to 15 shared. Column 8, rows 9 to 14: 3 away. Column 15,
    # rows 9 to 14, lies inside the other: 1, 2, 3, 3, 2, 1 from its rows 8 and 15.
    assert distances.truth_to_prediction.sum() == 2 * 6 + 6 * 3 + 12
    assert distances.assd() == pytest.approx(42 / 28)


def test_a_line_that_is_predicted_too_long() -> None:
    distances = surface_distances(drawing("#####.."), drawing("#######"))
    assert distances.truth_to_prediction.tolist() == [0] * 5
    assert distances.prediction_to_truth.tolist() == [0] * 5 + [1, 2]
    assert distances.hausdorff(95) == pytest.approx(1.7)
    assert (distances.assd(), distances.nsd(1)) == (3 / 12, 11 / 12)


def test_a_one_sided_miss_counts_in_full_and_is_not_pooled() -> None:
    distances = surface_distances(drawing("##########"), drawing("#####....."))
    # 0.95 * 9 = 8.55 between the 9th and 10th of 0 0 0 0 0 1 2 3 4 5; pooled with five zeros it would be 4.3.
    assert distances.hausdorff(95) == pytest.approx(4.55)


def test_a_small_false_island_moves_the_maximum_but_not_the_percentile() -> None:
    truth = canvas((slice(0, 1), slice(0, 20)))
    distances = surface_distances(truth, truth | canvas((slice(10, 11), slice(5, 6))))
    assert (distances.hausdorff(), distances.hausdorff(95)) == (10, 0)
    assert (distances.assd(), distances.nsd(2)) == (10 / 41, 40 / 41)


def test_an_object_that_fills_the_image_has_its_surface_at_the_border() -> None:
    distances = surface_distances(drawing("... .#. ..."), np.ones((3, 3), bool))
    assert distances.truth_to_prediction.tolist() == [1]
    assert distances.assd() == pytest.approx((1 + 4 + 4 * math.sqrt(2)) / 9)


# Empty masks


def test_two_empty_masks_agree() -> None:
    distances = surface_distances(np.zeros((30, 40), bool), np.zeros((30, 40), bool))
    assert (distances.hausdorff(), distances.hausdorff(95), distances.assd(), distances.nsd(1)) == (0, 0, 0, 1)
    assert (distances.both_empty, distances.missed, distances.false_alarm) == (True, False, False)


def test_a_missed_object_is_the_diagonal_away() -> None:
    distances = surface_distances(canvas((slice(3, 9), slice(4, 8)), shape=(30, 40)), np.zeros((30, 40), bool))
    assert (distances.hausdorff(), distances.hausdorff(95), distances.assd()) == (50, 50, 50)
    assert (distances.both_empty, distances.missed, distances.false_alarm) == (False, True, False)


def test_a_false_alarm_is_the_diagonal_away_in_the_unit_of_the_spacing() -> None:
    distances = surface_distances(np.zeros((30, 40), bool), np.ones((30, 40), bool), spacing=(2, 2))
    assert (distances.hausdorff(), distances.assd()) == (100, 100)
    assert (distances.both_empty, distances.missed, distances.false_alarm) == (False, False, True)


@pytest.mark.parametrize("tolerance", [1, 1000])
def test_no_tolerance_forgives_a_missed_object_or_a_false_alarm(tolerance: float) -> None:
    full, empty = np.ones((3, 4), bool), np.zeros((3, 4), bool)
    assert surface_distances(full, empty).nsd(tolerance) == 0
    assert surface_distances(empty, full).nsd(tolerance) == 0


def test_two_objects_are_neither_missed_nor_false() -> None:
    distances = surface_distances(np.ones((3, 4), bool), np.ones((3, 4), bool))
    assert (distances.both_empty, distances.missed, distances.false_alarm) == (False, False, False)


# Boundary IoU


def test_bands_of_nested_squares() -> None:
    outer, inner = canvas((slice(2, 7), slice(2, 7))), canvas((slice(3, 6), slice(3, 6)))
    # Width 1: rings of 16 and 8 pixels that do not meet. Width 2: 24 pixels, and all 9 of the inner.
    assert (boundary_iou(outer, inner, 1), boundary_iou(outer, inner, 2)) == (0, 8 / 25)


def test_an_object_at_the_border_of_the_image_has_a_band_there() -> None:
    assert np.array_equal(boundary_band(np.ones((3, 4), bool), 1), drawing("#### #..# ####"))


@pytest.mark.parametrize(("shape", "width"), [((512, 512), 14), ((767, 1022), 26), ((30, 40), 1), ((10, 10), 1)])
def test_the_band_is_two_percent_of_the_diagonal_wide(shape: tuple[int, int], width: int) -> None:
    assert default_band_width(shape) == width


def test_the_width_is_that_of_the_image_and_not_of_the_object() -> None:
    truth = canvas((slice(50, 90), slice(50, 90)), shape=(150, 200))
    prediction = canvas((slice(50, 90), slice(52, 92)), shape=(150, 200))
    assert boundary_iou(truth, prediction) == boundary_iou(truth, prediction, 5)
    assert boundary_iou(truth, prediction) != boundary_iou(truth, prediction, 1)


def test_boundary_iou_of_empty_masks() -> None:
    full, empty = np.ones((6, 6), bool), np.zeros((6, 6), bool)
    assert (boundary_iou(empty, empty), boundary_iou(full, empty), boundary_iou(empty, full)) == (1, 0, 0)


@settings(deadline=None, max_examples=100)
@given(arrays(bool, (9, 12)), st.integers(1, 6))
def test_the_band_is_what_repeated_erosion_removes(mask: Mask, width: int) -> None:
    assert np.array_equal(boundary_band(mask, width), mask & ~binary_erosion(mask, np.ones((3, 3)), width))


# Other implementations


def plain_distances(source: Mask, target: Mask, spacing: tuple[float, float]) -> np.ndarray:
    """The distance transform of the whole image, read at the surface of the source."""
    source, target = (mask & ~binary_erosion(mask) for mask in (source, target))
    return distance_transform_edt(~target, sampling=spacing)[source]


def pair_of_masks(least: int = 1) -> st.SearchStrategy[tuple[Mask, Mask]]:
    shapes = st.tuples(st.integers(least, 14), st.integers(least, 14))
    return shapes.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


SPACINGS = st.tuples(st.floats(0.1, 10), st.floats(0.1, 10))


def same(one: SurfaceDistances, other: SurfaceDistances) -> bool:
    return np.allclose(one.truth_to_prediction, other.truth_to_prediction) and np.allclose(
        one.prediction_to_truth, other.prediction_to_truth
    )


@settings(deadline=None, max_examples=200)
@given(pair_of_masks(), SPACINGS)
def test_distances_are_those_of_the_plain_formulation(pair: tuple[Mask, Mask], spacing: tuple[float, float]) -> None:
    distances = surface_distances(*pair, spacing)
    if distances.both_empty or distances.missed or distances.false_alarm:
        return
    np.testing.assert_allclose(distances.truth_to_prediction, plain_distances(*pair, spacing))
    np.testing.assert_allclose(distances.prediction_to_truth, plain_distances(*pair[::-1], spacing))


@EVERY_PAIR
def test_in_pixels_distances_are_equal_to_the_last_bit(truth: Mask, prediction: Mask) -> None:
    distances = surface_distances(truth, prediction)
    assert np.array_equal(distances.truth_to_prediction, plain_distances(truth, prediction, UNIT))
    assert np.array_equal(distances.prediction_to_truth, plain_distances(prediction, truth, UNIT))


@EVERY_PAIR
@pytest.mark.parametrize("spacing", [UNIT, (2.0, 0.5)])
@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
def test_hausdorff_assd_and_nsd_are_those_of_monai(truth: Mask, prediction: Mask, spacing: tuple[float, float]) -> None:
    distances = surface_distances(truth, prediction, spacing)
    batches = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
    common = {"include_background": True, "spacing": spacing}
    for percentile in (95, 100):
        expected = compute_hausdorff_distance(*batches, percentile=percentile, **common).item()
        assert distances.hausdorff(percentile) == pytest.approx(expected)
    expected = compute_average_surface_distance(*batches, symmetric=True, **common).item()
    assert distances.assd() == pytest.approx(expected)
    for tolerance in (1, 2):
        assert distances.nsd(tolerance) == pytest.approx(compute_surface_dice(*batches, [tolerance], **common).item())


@EVERY_PAIR
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_surface_distance_of_deepmind_is_near(truth: Mask, prediction: Mask) -> None:
    deepmind = pytest.importorskip("surface_distance")
    distances, theirs = (
        surface_distances(truth, prediction),
        deepmind.compute_surface_distances(truth, prediction, UNIT),
    )
    lengths = np.concatenate((theirs["surfel_areas_gt"], theirs["surfel_areas_pred"]))
    pooled = np.concatenate((theirs["distances_gt_to_pred"], theirs["distances_pred_to_gt"]))
    # Its surface runs between the pixels, so single distances differ by up to a pixel. It weighs pieces of surface by
    # length where we count pixels, which shifts means and percentiles by a tenth on frayed outlines.
    assert distances.hausdorff() == pytest.approx(deepmind.compute_robust_hausdorff(theirs, 100), abs=1)
    assert distances.hausdorff(95) == pytest.approx(deepmind.compute_robust_hausdorff(theirs, 95), abs=1)
    assert distances.assd() == pytest.approx(np.average(pooled, weights=lengths), rel=0.15)
    assert distances.nsd(2) == pytest.approx(deepmind.compute_surface_dice_at_tolerance(theirs, 2), abs=0.1)


# Properties


@settings(deadline=None, max_examples=100)
@given(pair_of_masks())
def test_swapping_the_masks_swaps_the_directions_only(pair: tuple[Mask, Mask]) -> None:
    one, other = surface_distances(*pair), surface_distances(*pair[::-1])
    assert same(one, SurfaceDistances(other.prediction_to_truth, other.truth_to_prediction))
    assert (one.hausdorff(95), one.nsd(1)) == (other.hausdorff(95), other.nsd(1))
    assert one.assd() == pytest.approx(other.assd())
    assert boundary_iou(*pair, 2) == boundary_iou(*pair[::-1], 2)


@settings(deadline=None, max_examples=50)
@given(pair_of_masks())
def test_a_mask_agrees_with_itself(pair: tuple[Mask, Mask]) -> None:
    distances = surface_distances(pair[0], pair[0])
    assert (distances.hausdorff(), distances.assd(), distances.nsd(0), boundary_iou(pair[0], pair[0])) == (0, 0, 1, 1)


@settings(deadline=None, max_examples=100)
@given(pair_of_masks(), st.tuples(*[st.tuples(st.integers(0, 9), st.integers(0, 9))] * 2))
def test_background_around_the_masks_changes_nothing(
    pair: tuple[Mask, Mask], margins: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    framed = np.pad(pair[0], margins), np.pad(pair[1], margins)
    if pair[0].any() and pair[1].any():
        assert same(surface_distances(*pair), surface_distances(*framed))
    assert boundary_iou(*pair, 2) == boundary_iou(*framed, 2)


@settings(deadline=None, max_examples=100)
@given(pair_of_masks(), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_distances_scale_with_the_spacing(pair: tuple[Mask, Mask], scale: float) -> None:
    pixels, scaled = surface_distances(*pair), surface_distances(*pair, (scale, scale))
    assert scaled.hausdorff(95) == pytest.approx(scale * pixels.hausdorff(95))
    assert scaled.assd() == pytest.approx(scale * pixels.assd())
    assert scaled.nsd(scale) == pixels.nsd(1)


@settings(deadline=None, max_examples=100)
@given(pair_of_masks())
def test_the_maximum_bounds_the_percentile_and_the_mean(pair: tuple[Mask, Mask]) -> None:
    distances = surface_distances(*pair)
    assert distances.hausdorff() >= distances.hausdorff(95)
    assert distances.hausdorff() >= distances.assd() - 1e-9


@settings(deadline=None, max_examples=100)
@given(pair_of_masks())
def test_a_wider_tolerance_never_costs(pair: tuple[Mask, Mask]) -> None:
    distances = surface_distances(*pair)
    assert 0 <= distances.nsd(0) <= distances.nsd(1) <= distances.nsd(2) <= 1


# Cropping and checks


def test_the_crop_is_the_joint_box_of_both_objects() -> None:
    truth, prediction = canvas((slice(3, 5), slice(4, 9))), canvas((slice(4, 12), slice(2, 3)))
    cropped = crop_to_objects(truth, prediction)
    assert [mask.shape for mask in cropped] == [(9, 7), (9, 7)]
    assert [mask.sum() for mask in cropped] == [10, 8]


def test_masks_of_zeros_and_255_are_masks_too() -> None:
    truth, prediction = PAIRS["shifted"]
    as_bytes = truth.astype(np.uint8) * 255, prediction.astype(np.int64)
    assert same(surface_distances(*as_bytes), surface_distances(truth, prediction))
    assert boundary_iou(*as_bytes, 2) == boundary_iou(truth, prediction, 2)


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"prediction must have the shape of truth, \(3, 4\), got \(4, 3\)"):
        surface_distances(np.zeros((3, 4), bool), np.zeros((4, 3), bool))


def test_a_leading_axis_is_refused() -> None:
    with pytest.raises(
        EvaluationError, match=r"truth must have the shape \(rows, columns\), got \(1, 3, 4\): pass one"
    ):
        boundary_iou(np.zeros((1, 3, 4), bool), np.zeros((1, 3, 4), bool))
