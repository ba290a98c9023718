"""Scores of label maps against values found by hand, scikit-learn and nnU-Net, and the three kinds of average."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score, recall_score

from nnunet_sgdc.evaluation.averages import mean_including_background, mean_per_case, pooled_pixels
from nnunet_sgdc.evaluation.counts import Counts
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.metrics import DEFINITIONS, ClassScores, Settings, score_case, score_class

BINARY = {"background": 0, "lesion": 1}
TISSUE = {"background": 0, "epithelial": 1, "lymphocyte": 2}


def labels(text: str) -> np.ndarray:
    return np.array([[int(character) for character in line] for line in text.split()], np.uint8)


def lesion(truth: str, prediction: str) -> ClassScores:
    return score_case(labels(truth), labels(prediction), BINARY)["lesion"]


def counts(scores: dict[str, ClassScores]) -> dict[str, Counts]:
    return {name: one.counts for name, one in scores.items()}


TRUTH = "11100 11100 00000 00000"
# Four of six pixels found, one is false, 13 are rightly background.
PREDICTION = "11000 11000 00001 00000"


# One case


def test_counts_of_a_case() -> None:
    assert lesion(TRUTH, PREDICTION).counts == Counts(tp=4, fp=1, fn=2, tn=13)


def test_ratios_of_a_case() -> None:
    values = lesion(TRUTH, PREDICTION).values()
    assert (values["dice"], values["iou"]) == (8 / 11, 4 / 7)
    assert (values["sensitivity"], values["precision"], values["specificity"]) == (4 / 6, 4 / 5, 13 / 14)
    assert values["area_difference"] == -1 / 6
    assert (values["n_ref"], values["n_pred"]) == (6, 5)


def test_distances_of_a_case() -> None:
    scores = lesion("11111000 00000000", "11111110 00000000")
    assert (scores.hd, scores.hd95, scores.assd) == (2, pytest.approx(1.7), 3 / 12)
    assert scores.nsd == {1: 11 / 12, 2: 1}
    assert scores.boundary_iou == 5 / 7


def test_distances_are_also_given_in_percent_of_the_diagonal() -> None:
    # A diagonal of 10 pixels.
    values = score_class(np.eye(6, 8, dtype=bool), np.eye(6, 8, k=1, dtype=bool)).values()
    assert (values["hd"], values["hd_percent"]) == (1, 10)
    assert (values["hd95_percent"], values["assd_percent"]) == (10 * values["hd95"], 10 * values["assd"])


def test_the_percentage_is_that_of_the_diagonal_in_the_unit_of_the_spacing() -> None:
    masks = np.zeros((3, 4), bool), np.ones((3, 4), bool)
    assert score_class(*masks, Settings(spacing=(2, 0.5))).values()["assd_percent"] == pytest.approx(100)


def test_every_class_is_scored_as_a_mask_of_its_own() -> None:
    truth, prediction = labels("0112 0112"), labels("0122 0112")
    scores = score_case(truth, prediction, TISSUE)
    assert scores == {name: score_class(truth == label, prediction == label) for name, label in TISSUE.items()}
    assert [scores[name].counts.dice for name in TISSUE] == [1, 6 / 7, 4 / 5]


def test_masks_of_255_are_masks_too() -> None:
    truth, prediction = labels(TRUTH), labels(PREDICTION)
    assert score_class(truth * 255, prediction * 128) == score_class(truth == 1, prediction == 1)


def test_a_class_that_is_absent_and_not_predicted_is_scored_as_right() -> None:
    scores = score_case(labels("011 011"), labels("011 001"), TISSUE)["lymphocyte"]
    assert scores.both_empty
    assert (scores.counts.dice, scores.hd95) == (1, 0)


def test_settings_reach_the_distances() -> None:
    settings = Settings(spacing=(2, 0.5), tolerances=(0.25, 6), boundary_width=2)
    scores = score_case(labels("1000 0000 0000 0000"), labels("0000 0000 0000 1000"), BINARY, **asdict(settings))
    assert scores["lesion"].hd == 6
    assert scores["lesion"].nsd == {0.25: 0, 6: 1}


def test_the_width_of_the_bands_can_be_set() -> None:
    truth, prediction = (np.pad(np.ones((size, size), np.uint8), (9 - size) // 2) for size in (5, 3))
    widths = {width: score_case(truth, prediction, BINARY, boundary_width=width) for width in (1, 2)}
    assert (widths[1]["lesion"].boundary_iou, widths[2]["lesion"].boundary_iou) == (0, 8 / 25)


def test_spacing_leaves_counts_and_bands_alone() -> None:
    truth, prediction = labels(TRUTH), labels(PREDICTION)
    near, far = (score_case(truth, prediction, BINARY, spacing=(step, step))["lesion"] for step in (1, 3))
    assert (near.counts, near.boundary_iou) == (far.counts, far.boundary_iou)
    assert far.assd == pytest.approx(3 * near.assd)


# Empty masks

EMPTY, FULL = "00 00", "11 11"


def test_two_empty_masks_agree_in_everything() -> None:
    values = lesion(EMPTY, EMPTY).values()
    for name in ("dice", "iou", "sensitivity", "precision", "specificity", "nsd@1", "nsd@2", "boundary_iou"):
        assert values[name] == 1, name
    for name in ("hd95", "hd", "assd", "area_difference"):
        assert values[name] == 0, name


@pytest.mark.parametrize(("truth", "prediction"), [("10 00", EMPTY), (EMPTY, "10 00")])
def test_one_empty_mask_is_wrong_in_everything(truth: str, prediction: str) -> None:
    values = lesion(truth, prediction).values()
    for name in ("dice", "iou", "sensitivity", "precision", "nsd@1", "nsd@2", "boundary_iou"):
        assert values[name] == 0, name
    for name in ("hd95", "hd", "assd"):
        assert values[name] == pytest.approx(math.sqrt(8)), name


def test_the_area_of_nothing_cannot_be_exceeded_by_a_share() -> None:
    assert math.isnan(lesion(EMPTY, "10 00").values()["area_difference"])
    assert lesion("10 00", EMPTY).values()["area_difference"] == -1


@pytest.mark.parametrize("prediction", [FULL, "10 00"])
def test_specificity_is_undefined_where_the_truth_covers_the_image(prediction: str) -> None:
    assert math.isnan(lesion(FULL, prediction).values()["specificity"])


def test_missed_objects_and_false_alarms_are_told_apart() -> None:
    flags = [(one.missed, one.false_alarm, one.both_empty) for one in (lesion(FULL, EMPTY), lesion(EMPTY, FULL))]
    assert flags == [(True, False, False), (False, True, False)]
    assert not any((one := lesion(FULL, FULL), one.missed, one.false_alarm, one.both_empty)[1:])


# Pixels to ignore


def test_ignored_pixels_do_not_count() -> None:
    scores = score_case(labels("1199 0099"), labels("1010 0011"), BINARY, ignore_label=9)["lesion"]
    assert scores.counts == Counts(tp=1, fp=0, fn=1, tn=2)


def test_an_object_ends_where_pixels_are_ignored() -> None:
    scores = score_case(labels("11199 00099"), labels("11111 00000"), BINARY, ignore_label=9)["lesion"]
    assert (scores.hd, scores.boundary_iou) == (0, 1)


# Other libraries


@hypothesis_settings(deadline=None, max_examples=50)
@given(arrays(np.uint8, (6, 7), elements=st.integers(0, 1)), arrays(np.uint8, (6, 7), elements=st.integers(0, 1)))
def test_ratios_are_those_of_scikit_learn(truth: np.ndarray, prediction: np.ndarray) -> None:
    if not (truth.any() and prediction.any()):
        return
    counts = score_case(truth, prediction, BINARY)["lesion"].counts
    flat = truth.ravel(), prediction.ravel()
    assert counts.dice == pytest.approx(f1_score(*flat))
    assert counts.iou == pytest.approx(jaccard_score(*flat))
    assert (counts.sensitivity, counts.precision) == pytest.approx((recall_score(*flat), precision_score(*flat)))
    assert (counts.tp + counts.tn) / truth.size == pytest.approx(accuracy_score(*flat))


@hypothesis_settings(deadline=None, max_examples=50)
@given(arrays(np.uint8, (6, 7), elements=st.integers(0, 2)), arrays(np.uint8, (6, 7), elements=st.integers(0, 1)))
def test_counts_with_ignored_pixels_are_those_of_nnunet(truth: np.ndarray, prediction: np.ndarray) -> None:
    evaluate = pytest.importorskip("nnunetv2.evaluation.evaluate_predictions")
    masks = truth == 1, prediction == 1
    expected = evaluate.compute_tp_fp_fn_tn(*masks, truth == 2)
    counts = score_case(truth, prediction, BINARY, ignore_label=2)["lesion"].counts
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == expected


# Averages


def test_the_mean_per_case_weighs_cases_the_same() -> None:
    small, large = lesion("1000 0000", "0000 0001"), lesion("1111 1111", "1111 1111")
    assert mean_per_case([small, large]).means["dice"] == 0.5


def test_pooled_pixels_weigh_large_objects_more() -> None:
    small, large = lesion("1000 0000", "0000 0001"), lesion("1111 1111", "1111 1111")
    assert pooled_pixels([small, large]) == Counts(tp=8, fp=1, fn=1, tn=6)
    assert pooled_pixels([small, large]).dice == 16 / 18


def test_the_mean_including_the_background_is_the_macro_average_of_scikit_learn() -> None:
    pairs = [(labels(TRUTH), labels(PREDICTION)), (labels(PREDICTION), labels("11100 00000 00000 00000"))]
    means = mean_including_background([counts(score_case(*pair, BINARY)) for pair in pairs])
    flat = [(truth.ravel(), prediction.ravel()) for truth, prediction in pairs]
    assert means["iou"] == pytest.approx(np.mean([jaccard_score(*pair, average="macro") for pair in flat]))
    assert means["dice"] == pytest.approx(np.mean([f1_score(*pair, average="macro") for pair in flat]))


def test_undefined_values_are_left_out_of_the_mean_and_counted() -> None:
    summary = mean_per_case([lesion(EMPTY, "10 00"), lesion("10 00", "11 00"), lesion("10 00", "11 10")])
    assert summary.means["area_difference"] == 1.5
    assert summary.undefined == {"area_difference": 1}


def test_a_metric_that_no_case_defines_is_nan() -> None:
    assert math.isnan(mean_per_case([lesion(FULL, FULL)]).means["specificity"])


def test_a_missed_case_stays_in_the_mean() -> None:
    summary = mean_per_case([lesion("10 00", EMPTY), lesion(FULL, FULL)])
    assert summary.means["hd95"] == pytest.approx(math.sqrt(8) / 2)
    assert summary.undefined == {"specificity": 1}


def test_absences_are_counted() -> None:
    cases = [(FULL, EMPTY), (FULL, EMPTY), (FULL, EMPTY), (EMPTY, FULL), (EMPTY, FULL), (EMPTY, EMPTY), (FULL, FULL)]
    summary = mean_per_case([lesion(*case) for case in cases])
    assert (summary.cases, summary.missed, summary.false_alarms, summary.both_empty) == (7, 3, 2, 1)


@pytest.mark.parametrize("average", [mean_per_case, pooled_pixels, mean_including_background])
def test_no_cases_have_no_average(average: object) -> None:
    with pytest.raises(EvaluationError, match="at least one case to average, got none"):
        average([])  # type: ignore[operator]


def test_the_mean_including_the_background_needs_the_background() -> None:
    with pytest.raises(EvaluationError, match=r"must hold the background and a class, got \['lesion'\]"):
        mean_including_background([{"lesion": lesion(FULL, FULL).counts}])


# Definitions


def test_every_value_has_a_definition() -> None:
    names = [name.split("@")[0] for name in lesion(TRUTH, PREDICTION).values()]
    assert set(names) == set(DEFINITIONS)


# Bad inputs


def refused(message: str, truth: object, prediction: object, classes: object = BINARY, **keywords: object) -> None:
    with pytest.raises(EvaluationError, match=message):
        score_case(np.asarray(truth), np.asarray(prediction), classes, **keywords)  # type: ignore[arg-type]


def test_whole_numbers_in_floats_are_labels() -> None:
    truth, prediction = labels(TRUTH), labels(PREDICTION)
    assert score_case(truth.astype(float), prediction, BINARY) == score_case(truth, prediction.astype(np.int16), BINARY)


def test_true_and_false_are_labels() -> None:
    truth, prediction = labels(TRUTH), labels(PREDICTION)
    assert score_case(truth > 0, prediction > 0, BINARY) == score_case(truth, prediction, BINARY)


def test_other_shapes_are_refused() -> None:
    refused(r"prediction must have the shape of truth, \(2, 2\), got \(1, 2\): resize", [[0, 1], [1, 1]], [[0, 1]])


def test_a_leading_axis_is_refused() -> None:
    refused(r"truth must have the shape \(rows, columns\), got \(1, 1, 2\)", [[[0, 1]]], [[0, 1]])


def test_an_image_without_pixels_is_refused() -> None:
    refused(r"truth must have pixels, got shape \(0, 3\)", np.zeros((0, 3)), np.zeros((0, 3)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.5])
def test_what_is_no_whole_number_is_refused_with_its_place(value: float) -> None:
    refused(
        rf"prediction must hold whole numbers, got {value} at row 1, column 0", [[0, 1], [1, 1]], [[0, 1], [value, 0.7]]
    )


def test_text_is_refused() -> None:
    refused("truth must hold numbers, got <U1", [["a"]], [[0]])


@pytest.mark.parametrize("name", ["truth", "prediction"])
def test_a_label_of_no_class_is_refused_with_its_place(name: str) -> None:
    maps = {"truth": [[0, 1]], "prediction": [[0, 1]], name: [[0, 255]]}
    refused(rf"{name} must hold only the labels \[0, 1\], got 255 at row 0, column 1: name its class", **maps)


def test_the_label_to_ignore_is_refused_in_a_prediction() -> None:
    refused(r"prediction must hold only the labels \[0, 1\], got 9", [[0, 9]], [[0, 9]], ignore_label=9)


def test_two_classes_with_one_label_are_refused() -> None:
    refused("classes must give each class a label of its own", [[0]], [[0]], {"background": 0, "lesion": 0})


def test_no_classes_are_refused() -> None:
    refused(r"classes must give each class a label of its own, got \{\}", [[0]], [[0]], {})


def test_a_class_that_is_ignored_is_refused() -> None:
    refused("ignore_label must be the label of no class, got 1", [[0]], [[0]], ignore_label=1)


@pytest.mark.parametrize("spacing", [(1.0,), (0, 1), (-1, 1), (math.nan, 1), (1, math.inf)])
def test_spacing_that_is_not_two_positive_numbers_is_refused(spacing: tuple[float, ...]) -> None:
    refused(r"spacing must be two positive numbers, \(row, column\), got", [[0]], [[0]], spacing=spacing)


@pytest.mark.parametrize("tolerance", [-1, math.nan, math.inf])
def test_tolerances_below_zero_are_refused(tolerance: float) -> None:
    refused("tolerances must be 0 or more, got", [[0]], [[0]], tolerances=(1, tolerance))


@pytest.mark.parametrize("width", [0, -1, 1.5])
def test_bands_without_width_are_refused(width: float) -> None:
    refused("boundary_width must be a whole number from 1 up, got", [[0]], [[0]], boundary_width=width)
