"""Scores against MONAI's, against masks drawn by hand, and for empty masks."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou

from nnunet_sgdc.evaluation import score_masks


def disk(centre: tuple[float, float], radius: float, size: int = 64) -> np.ndarray:
    rows, columns = np.ogrid[:size, :size]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


PAIRS = {
    "shifted": (disk((32, 32), 15), disk((34, 37), 14)),
    "small false island": (disk((32, 32), 15), disk((32, 32), 15) | disk((4, 60), 2)),
    "one-sided miss": (disk((32, 32), 20), disk((32, 32), 20) & (np.arange(64) < 40)),
    "touching the image border": (disk((5, 32), 15), disk((8, 30), 15)),
    "far apart": (disk((12, 12), 6), disk((50, 50), 8)),
}


def as_batch(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None]


@pytest.mark.parametrize(("truth", "prediction"), PAIRS.values(), ids=PAIRS)
def test_dice_and_iou_are_those_of_monai(truth: np.ndarray, prediction: np.ndarray) -> None:
    scores = score_masks(truth, prediction)
    assert scores.dice == pytest.approx(compute_dice(as_batch(prediction), as_batch(truth)).item())
    assert scores.iou == pytest.approx(compute_iou(as_batch(prediction), as_batch(truth)).item())


@pytest.mark.parametrize(("truth", "prediction"), PAIRS.values(), ids=PAIRS)
@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
def test_hd95_is_that_of_monai(truth: np.ndarray, prediction: np.ndarray) -> None:
    batches = as_batch(prediction), as_batch(truth)
    expected = compute_hausdorff_distance(*batches, include_background=True, percentile=95).item()
    assert score_masks(truth, prediction).hd95 == pytest.approx(expected)


def test_a_square_moved_by_three_pixels_is_three_pixels_away() -> None:
    truth = np.zeros((32, 32), bool)
    truth[8:16, 8:16] = True
    assert score_masks(truth, np.roll(truth, 3, axis=1)).hd95 == 3


def test_half_of_a_mask_has_two_thirds_of_dice_and_half_of_iou() -> None:
    truth = np.ones((4, 4), bool)
    scores = score_masks(truth, truth & (np.arange(4) < 2))
    assert (scores.dice, scores.iou) == (pytest.approx(2 / 3), 0.5)


def test_two_empty_masks_agree() -> None:
    scores = score_masks(np.zeros((3, 4), bool), np.zeros((3, 4), bool))
    assert (scores.dice, scores.iou, scores.hd95) == (1, 1, 0)


@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_mask_costs_the_diagonal_of_the_image(missed: bool) -> None:
    masks = np.ones((30, 40), bool), np.zeros((30, 40), bool)
    scores = score_masks(*(masks if missed else masks[::-1]))
    assert (scores.dice, scores.iou, scores.hd95) == (0, 0, 50)


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the shape of truth, \(3, 4\), got \(4, 3\)"):
        score_masks(np.zeros((3, 4), bool), np.zeros((4, 3), bool))
