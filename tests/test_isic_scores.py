"""The ISIC challenge's scores: thresholds by hand, our counts, and the package's own reading of files."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from isic_challenge_scoring.__main__ import cli
from isic_challenge_scoring.segmentation import SegmentationScore
from numpy.typing import NDArray
from releases import save

from nnunet_sgdc.evaluation.counts import count_pixels
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.isic import official_case_scores, official_scores

Mask = NDArray[np.bool_]
METRICS = ["accuracy", "sensitivity", "specificity", "jaccard", "threshold_jaccard", "dice"]
EMPTY, FULL = np.zeros((4, 5), bool), np.ones((4, 5), bool)


def lesion(pixels: int) -> Mask:
    """The first pixels of 10 x 10."""
    return (np.arange(100) < pixels).reshape(10, 10)


def random_cases(number: int = 4) -> list[tuple[str, Mask, Mask]]:
    generator = np.random.default_rng(0)
    truths = generator.random((number, 12, 9)) < 0.5
    # The more pixels are wrong, the worse: some cases are above the threshold, some below.
    wrong = generator.random(truths.shape) < np.linspace(0, 0.3, number)[:, None, None]
    return [(f"ISIC_{index:07d}", *pair) for index, pair in enumerate(zip(truths, truths ^ wrong, strict=True))]


def write(cases: list[tuple[str, Mask, Mask]], folder: Path) -> tuple[Path, Path]:
    """Masks as the challenge publishes and collects them."""
    truth, prediction = folder / "truth", folder / "prediction"
    for kind in (truth, prediction):
        kind.mkdir()
    for identifier, *masks in cases:
        for kind, mask in zip((truth, prediction), masks, strict=True):
            save(kind / f"{identifier}_segmentation.png", np.uint8(255) * mask)
    return truth, prediction


# One case


@pytest.mark.parametrize(("found", "counted"), [(64, 0), (65, 0.65), (66, 0.66)])
def test_a_jaccard_index_below_the_threshold_is_0(found: int, counted: float) -> None:
    scores = official_case_scores(lesion(100), lesion(found))
    assert (scores["jaccard"], scores["threshold_jaccard"]) == (found / 100, counted)


def test_all_scores_of_a_case() -> None:
    truth, prediction = lesion(50), np.roll(lesion(50), 1, axis=0)
    expected = [80 / 100, 40 / 50, 40 / 50, 40 / 60, 40 / 60, 80 / 100]
    assert official_case_scores(truth, prediction) == pytest.approx(dict(zip(METRICS, expected, strict=True)))


@settings(deadline=None, max_examples=30)
@given(*[arrays(np.bool_, (5, 6))] * 2)
def test_jaccard_and_dice_are_those_of_our_counts(truth: Mask, prediction: Mask) -> None:
    official, ours = official_case_scores(truth, prediction), count_pixels(truth, prediction, truth.size)
    assert (official["jaccard"], official["dice"]) == pytest.approx((ours.iou, ours.dice))


def test_a_correct_absence_is_perfect() -> None:
    assert official_case_scores(EMPTY, EMPTY) == dict.fromkeys(METRICS, 1)


def test_sensitivity_differs_from_ours_where_there_is_no_lesion() -> None:
    assert official_case_scores(EMPTY, FULL)["sensitivity"] == 1
    assert count_pixels(EMPTY, FULL, FULL.size).sensitivity == 0


def test_specificity_differs_from_ours_where_all_is_lesion() -> None:
    assert official_case_scores(FULL, EMPTY)["specificity"] == 1
    assert math.isnan(count_pixels(FULL, EMPTY, FULL.size).specificity)


def test_masks_of_1_and_of_255_are_masks_too() -> None:
    truth, prediction = lesion(100), lesion(70)
    numbers = official_case_scores(truth.astype(np.uint8), np.uint8(255) * prediction)
    assert numbers == official_case_scores(truth, prediction)


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"prediction must have the shape of truth, \(10, 10\), got \(4, 5\)"):
        official_case_scores(lesion(3), EMPTY)


# Many cases


def test_averages_weigh_each_case_the_same() -> None:
    scores = official_scores([("a", lesion(100), lesion(64)), ("b", lesion(10), lesion(9))])
    assert scores.macro_average["jaccard"] == pytest.approx((0.64 + 0.9) / 2)
    assert scores.macro_average["threshold_jaccard"] == pytest.approx(0.9 / 2)
    assert {name: one["threshold_jaccard"] for name, one in scores.cases.items()} == {"a": 0, "b": 0.9}


def test_cases_are_taken_one_by_one() -> None:
    assert official_scores(iter(random_cases())) == official_scores(random_cases())


def test_averages_are_those_of_the_package_for_files(tmp_path: Path) -> None:
    expected = SegmentationScore.from_dir(*write(random_cases(), tmp_path)).macro_average
    averages = official_scores(random_cases()).macro_average
    assert averages == pytest.approx(expected.to_dict())
    assert 0 < averages["threshold_jaccard"] < averages["jaccard"]


def test_averages_are_those_of_the_package_as_a_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["-o", "json", "segmentation", *map(str, write(random_cases(), tmp_path))])
    assert official_scores(random_cases()).macro_average == pytest.approx(json.loads(result.output)["macro_average"])


def test_at_least_one_case_is_needed() -> None:
    with pytest.raises(EvaluationError, match="cases must hold at least one case, got none: score some"):
        official_scores([])


def test_two_cases_of_one_identifier_are_refused() -> None:
    with pytest.raises(EvaluationError, match="cases must have identifiers of their own, got a twice: leave one out"):
        official_scores([("a", EMPTY, EMPTY), ("a", FULL, FULL)])


def test_the_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isic_challenge_scoring.segmentation", None)
    with pytest.raises(EvaluationError, match=r"need isic-challenge-scoring.*: run pip install 'nnunet_sgdc\[isic\]'$"):
        official_case_scores(EMPTY, EMPTY)
