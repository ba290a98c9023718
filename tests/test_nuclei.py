"""Matched and counted nuclei against values found by hand, a plain formulation, MONAI and the sample patches."""

import csv
import math
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics.panoptic_quality import compute_panoptic_quality
from numpy.typing import NDArray
from releases import pixels
from scipy import ndimage
from skimage import measure

from nnunet_sgdc.datasets.conic_patches import CLASSES
from nnunet_sgdc.datasets.convert_conic import convert_conic
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.nuclei import (
    ALL_NUCLEI,
    DEFINITIONS,
    ConicScores,
    Matching,
    NucleusScores,
    conic_scores,
    match_instances,
    score_nuclei,
)

SAMPLES = Path(os.environ.get("NNUNET_SGDC_SAMPLES", Path(__file__).parents[2] / "shared" / "samples"))
TISSUE = {"epithelial": 1, "plasma": 2}


def drawn(text: str) -> NDArray[np.uint16]:
    """A map of one digit per pixel; a dot is 0."""
    return np.array([[int(pixel) for pixel in row.replace(".", "0")] for row in text.split()], np.uint16)


def matched(truth: str, prediction: str) -> Matching:
    return match_instances(drawn(truth), drawn(prediction))


def scored(truth: str, instances: str, prediction: str) -> dict[str, NucleusScores]:
    return score_nuclei(drawn(truth), drawn(instances), drawn(prediction), TISSUE)


# Matching


def test_the_same_nuclei_are_all_found() -> None:
    assert matched("11.22 11.22", "11.22 11.22") == Matching(tp=2, iou_sum=2)


def test_numbers_need_not_agree() -> None:
    truth = drawn("11.22 11.22")
    assert match_instances(truth * 20000, drawn("33.11 33.11")) == Matching(tp=2, iou_sum=2)


def test_a_shifted_nucleus_adds_its_iou() -> None:
    assert matched("1111.", ".1111") == Matching(tp=1, iou_sum=3 / 5)


def test_an_iou_of_one_half_is_no_match() -> None:
    assert matched("1111", "11..") == Matching(fp=1, fn=1)


def test_a_nucleus_predicted_in_two_halves_is_missed() -> None:
    assert matched("1111", "1122") == Matching(fp=2, fn=1)


def test_of_a_split_nucleus_the_larger_part_is_found() -> None:
    matching = matched("11111", "11122")
    assert matching == Matching(tp=1, fp=1, iou_sum=3 / 5)
    assert matching.pq == pytest.approx(0.4)


def test_of_merged_nuclei_the_larger_one_is_found() -> None:
    matching = matched("11122", "11111")
    assert matching == Matching(tp=1, fn=1, iou_sum=3 / 5)
    assert matching.pq == pytest.approx(0.4)


def test_nuclei_may_fill_the_patch() -> None:
    assert matched("1112 1112", "1122 1122") == Matching(tp=1, fp=1, fn=1, iou_sum=4 / 6)


def test_without_true_nuclei_the_predicted_ones_are_false() -> None:
    matching = matched("....", "11.2")
    assert (matching, matching.dq, matching.pq) == (Matching(fp=2), 0, 0)
    assert math.isnan(matching.sq)


def test_without_predicted_nuclei_the_true_ones_are_missed() -> None:
    matching = matched("11.2", "....")
    assert (matching, matching.dq, matching.pq) == (Matching(fn=2), 0, 0)


def test_the_quality_of_nothing_is_undefined() -> None:
    nothing = matched("....", "....")
    assert nothing == Matching()
    assert all(map(math.isnan, (nothing.dq, nothing.sq, nothing.pq)))


def test_panoptic_quality_is_detection_times_segmentation() -> None:
    matching = Matching(tp=6, fp=3, fn=1, iou_sum=4.5)
    assert (matching.dq, matching.sq, matching.pq) == (6 / 8, 4.5 / 6, 4.5 / 8)


def test_images_are_pooled_by_adding() -> None:
    images = [Matching(1, 2, 3, 0.5), Matching(10, 20, 30, 7.5)]
    assert images[0] + images[1] == sum(images, Matching()) == Matching(11, 22, 33, 8)


def plain(truth: NDArray[np.uint16], prediction: NDArray[np.uint16]) -> Matching:
    """Every true object with every predicted one."""
    true, predicted = ([array == number for number in set(array.flat) - {0}] for array in (truth, prediction))
    ious = [(ours & theirs).sum() / (ours | theirs).sum() for ours in true for theirs in predicted]
    found = [iou for iou in ious if iou > 0.5]
    return Matching(len(found), len(predicted) - len(found), len(true) - len(found), sum(found))


@st.composite
def similar_maps(draw: st.DrawFn) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Objects that touch, and the same with some pixels of other objects."""
    blocks = draw(arrays(np.uint16, (3, 4), elements=st.integers(0, 4)))
    truth = np.kron(blocks, np.ones((3, 3), np.uint16))
    others = draw(arrays(np.uint16, truth.shape, elements=st.integers(0, 5)))
    changed = draw(arrays(np.bool_, truth.shape, elements=st.sampled_from([True, False, False])))
    return truth, np.where(changed, others, truth)


@settings(deadline=None, max_examples=100)
@given(similar_maps())
def test_matching_is_the_plain_one(maps: tuple[NDArray[np.uint16], NDArray[np.uint16]]) -> None:
    found, expected = match_instances(*maps), plain(*maps)
    assert (found.tp, found.fp, found.fn) == (expected.tp, expected.fp, expected.fn)
    assert found.iou_sum == pytest.approx(expected.iou_sum)


@settings(deadline=None, max_examples=50)
@given(similar_maps())
def test_matching_is_that_of_monai(maps: tuple[NDArray[np.uint16], NDArray[np.uint16]]) -> None:
    truth, prediction = (torch.from_numpy(array.astype(np.int64)) for array in maps)
    found, expected = match_instances(*maps), compute_panoptic_quality(prediction, truth, output_confusion_matrix=True)
    assert [found.tp, found.fp, found.fn, found.iou_sum] == pytest.approx(expected.tolist())


def test_maps_of_two_shapes_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"prediction must have the shape of truth, \(1, 2\), got \(1, 3\)"):
        matched("11", "111")


# One patch


def test_nuclei_are_matched_within_their_class() -> None:
    scores = scored("11.22", "11.22", "11.22")
    assert [scores[name].matching for name in TISSUE] == [Matching(tp=1, iou_sum=1)] * 2
    assert scores[ALL_NUCLEI].matching == Matching(tp=2, iou_sum=2)


def test_a_nucleus_of_the_wrong_class_is_found_only_among_all() -> None:
    scores = scored("11", "11", "22")
    assert (scores["epithelial"].matching, scores["plasma"].matching) == (Matching(fn=1), Matching(fp=1))
    assert scores[ALL_NUCLEI].matching == Matching(tp=1, iou_sum=1)


def test_predicted_nuclei_of_one_class_that_touch_are_one() -> None:
    assert scored("1111 ....", "1122 ....", "1111 ....")["epithelial"].matching == Matching(fp=1, fn=2)
    assert scored("11.. ..11", "11.. ..22", "11.. ..11")["epithelial"].matching == Matching(fp=1, fn=2)


def test_predicted_nuclei_of_two_classes_that_touch_are_two() -> None:
    assert scored("1122", "1122", "1122")[ALL_NUCLEI].matching == Matching(tp=2, iou_sum=2)


def test_a_true_nucleus_keeps_the_pixels_of_the_line() -> None:
    assert scored("11.111", "112222", "11.111")["epithelial"].matching == Matching(tp=2, iou_sum=1 + 3 / 4)


def test_a_nucleus_of_which_lines_left_nothing_counts_among_all() -> None:
    scores = scored("1.", "12", "1.")
    assert scores["epithelial"].matching == Matching(tp=1, iou_sum=1)
    assert scores[ALL_NUCLEI].matching == Matching(tp=1, fn=1, iou_sum=1)


def test_only_nuclei_that_reach_into_the_centre_are_counted() -> None:
    instances = np.zeros((256, 256), np.uint16)
    instances[0, :16], instances[100, 10:17], instances[:, 250] = 1, 2, 3
    truth = (instances > 0).astype(np.uint8)
    truth[:, 250] = 2
    scores = score_nuclei(truth, instances, np.where(instances == 1, 0, truth), TISSUE)
    assert {name: (one.n_ref, one.n_pred) for name, one in scores.items()} == {
        "epithelial": (1, 1),
        "plasma": (0, 0),
        ALL_NUCLEI: (1, 1),
    }
    assert scores[ALL_NUCLEI].matching == Matching(tp=2, fn=1, iou_sum=2)


@pytest.mark.parametrize(
    ("truth", "instances", "prediction", "message"),
    [
        ("11", "1", "11", r"instances must have the shape of truth, \(1, 2\), got \(1, 1\): .* at its native size"),
        ("11", "11", "1", r"prediction must have the shape of truth"),
        ("11", "11", "13", r"prediction must hold only the labels \[0, 1, 2\], got 3 at row 0, column 1"),
        ("11", "1.", "11", r"instances must number every nucleus of truth, but some pixels of a class have no number"),
        ("12", "77", "11", r"instances must hold nuclei of one class in truth, but some have several \(1: 7\)"),
    ],
)
def test_maps_that_do_not_belong_together_are_refused(
    truth: str, instances: str, prediction: str, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        scored(truth, instances, prediction)


@pytest.mark.parametrize("classes", [{"background": 0, "nucleus": 1}, {ALL_NUCLEI: 1}])
def test_classes_of_nuclei_only_are_taken(classes: dict[str, int]) -> None:
    with pytest.raises(EvaluationError, match=r"classes must have labels from 1 up and names other than 'all nuclei'"):
        score_nuclei(drawn("1"), drawn("1"), drawn("1"), classes)


# Many patches


def patch(matching: Matching, n_ref: int = 0, n_pred: int = 0) -> dict[str, NucleusScores]:
    """A patch of one class."""
    return {name: NucleusScores(matching, n_ref, n_pred) for name in ("nucleus", ALL_NUCLEI)}


def counted(true: list[int], predicted: list[int]) -> ConicScores:
    return conic_scores([patch(Matching(), *pair) for pair in zip(true, predicted, strict=True)])


GOOD, POOR = Matching(tp=1, iou_sum=0.9), Matching(tp=4, fp=4, fn=8, iou_sum=3)


def test_quality_is_pooled_over_images_not_averaged() -> None:
    scores = conic_scores([patch(GOOD), patch(POOR)])
    assert scores.mpq_plus == scores.pq["nucleus"] == scores.pq_all_nuclei == pytest.approx(3.9 / 11)
    assert scores.pq_per_image == pytest.approx((0.9 + 0.3) / 2)
    assert scores.matchings == {"nucleus": GOOD + POOR, ALL_NUCLEI: GOOD + POOR}


def test_the_mean_over_classes_weighs_each_the_same() -> None:
    scores = conic_scores([scored("11.22.2", "11.33.4", "11.22.."), scored("1..1", "1..2", "....")])
    assert scores.pq == {"epithelial": pytest.approx(1 / 2), "plasma": pytest.approx(1 / 1.5)}
    assert scores.mpq_plus == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores.pq_all_nuclei == pytest.approx(2 / 3.5)


def test_a_class_that_occurs_nowhere_is_left_out_and_named() -> None:
    scores = conic_scores([scored("11", "11", "11")])
    assert math.isnan(scores.pq["plasma"])
    assert (scores.mpq_plus, scores.absent) == (1, ("plasma",))


def test_a_class_that_is_only_predicted_counts_as_0() -> None:
    scores = conic_scores([scored("11..", "11..", "11.2")])
    assert (scores.pq["plasma"], scores.mpq_plus, scores.absent) == (0, 0.5, ())


def test_an_image_without_nuclei_is_left_out_of_the_mean_of_images() -> None:
    scores = conic_scores([patch(GOOD), patch(Matching()), patch(Matching(fp=1))])
    assert (scores.pq_per_image, scores.empty) == (0.45, 1)


def test_images_without_any_nuclei_have_no_scores() -> None:
    scores = conic_scores([scored("..", "..", "..")] * 2)
    assert all(map(math.isnan, (scores.mpq_plus, scores.pq_all_nuclei, scores.pq_per_image, scores.mean_r2)))


def test_r2_compares_the_counts_of_images() -> None:
    assert counted([1, 2, 3], [1, 2, 4]).r2 == {"nucleus": 0.5}
    assert counted([1, 2, 3], [1, 2, 3]).mean_r2 == 1
    assert counted([1, 2, 3], [3, 2, 1]).mean_r2 == -3


@pytest.mark.parametrize(("true", "predicted"), [([2, 2], [2, 2]), ([2, 2], [2, 3]), ([2], [2])])
def test_r2_is_undefined_where_the_true_counts_are_the_same(true: list[int], predicted: list[int]) -> None:
    scores = counted(true, predicted)
    assert math.isnan(scores.r2["nucleus"])
    assert math.isnan(scores.mean_r2)
    assert scores.constant == ("nucleus",)


def test_the_mean_r2_is_that_of_the_classes() -> None:
    counts = [((1, 1), (5, 5)), ((2, 2), (6, 6)), ((3, 4), (7, 7))]
    cases = [
        {name: NucleusScores(GOOD, *pair) for name, pair in zip([*TISSUE, ALL_NUCLEI], [*pairs, (9, 9)], strict=True)}
        for pairs in counts
    ]
    assert conic_scores(cases).mean_r2 == (0.5 + 1) / 2


def test_at_least_one_image_is_needed() -> None:
    with pytest.raises(EvaluationError, match="cases must hold at least one image, got none"):
        conic_scores([])


def test_images_of_other_classes_are_refused() -> None:
    with pytest.raises(EvaluationError, match="cases must have the same classes, got nucleus, all nuclei and all nuc"):
        conic_scores([patch(GOOD), scored("11", "11", "11")])


def test_every_definition_is_of_a_score() -> None:
    assert set(DEFINITIONS) < {field.name for field in fields(ConicScores)}


# The sample patches

CONIC = {name: label for label, name in enumerate(CLASSES, start=1)}
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"no sample releases at {SAMPLES}: set NNUNET_SGDC_SAMPLES"
)


def converted(separate: bool) -> list[tuple[NDArray[np.integer], NDArray[np.integer]]]:
    """Classes and numbers of all sample patches."""
    folder = convert_conic(SAMPLES / "conic", 5, separate_touching=separate).folder
    files = sorted((folder / "labelsTr").iterdir())
    return [(pixels(file), pixels(folder / "instancesTr" / file.name)) for file in files]


def overlaps(truth: NDArray[np.integer], instances: NDArray[np.integer]) -> NDArray[np.floating]:
    """IoU of every nucleus with the component that holds most of it."""
    components, labelled = measure.label(truth, connectivity=2), truth > 0
    numbers, kept = np.unique(instances[labelled], return_counts=True)
    homes = ndimage.median(components[labelled], instances[labelled], numbers).astype(int)
    sizes = np.bincount(components.ravel())[homes]
    shared = np.minimum(kept, sizes)
    return shared / (np.bincount(instances.ravel())[numbers] + sizes - shared)


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize(("separate", "quality"), [(False, 0.673), (True, 0.962)])
def test_a_perfect_prediction_is_as_good_as_components_allow(raw: Path, separate: bool, quality: float) -> None:
    patches = converted(separate)
    scores = conic_scores([score_nuclei(truth, instances, truth, CONIC) for truth, instances in patches])
    expected = np.concatenate([overlaps(*patch) for patch in patches])
    matching = scores.matchings[ALL_NUCLEI]
    assert (matching.tp, matching.fn) == ((expected > 0.5).sum(), (expected <= 0.5).sum())
    assert matching.iou_sum == pytest.approx(expected[expected > 0.5].sum())
    assert scores.pq_all_nuclei == pytest.approx(quality, abs=5e-4)


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize("separate", [False, True])
def test_true_nuclei_are_counted_as_published(raw: Path, separate: bool) -> None:
    scores = [score_nuclei(truth, instances, truth, CONIC) for truth, instances in converted(separate)]
    with (SAMPLES / "conic" / "counts.csv").open() as file:
        published = [{name: int(count) for name, count in row.items()} for row in csv.DictReader(file)]
    for name in CLASSES:
        assert sorted(one[name].n_ref for one in scores) == sorted(row[name] for row in published)
