"""Dice, IoU and HD95 of one predicted mask: the short form of `metrics`, with the same definitions."""

from dataclasses import dataclass

from nnunet_sgdc.evaluation.counts import count_pixels
from nnunet_sgdc.evaluation.surface import Mask, surface_distances


@dataclass(frozen=True)
class Scores:
    """Scores of one mask: Dice and IoU from 0 to 1, the HD95 in pixels.

    If both masks are empty, HD95 is 0 and the overlaps are 1; if one is, HD95 is the diagonal of the image and the
    overlaps are 0.
    """

    dice: float
    iou: float
    hd95: float


def score_masks(truth: Mask, prediction: Mask) -> Scores:
    """Score a predicted mask.

    Args:
        truth: True mask of shape (H, W).
        prediction: Predicted mask of the same shape.

    Raises:
        EvaluationError: If a mask is not 2-D or the shapes differ.
    """
    hd95 = surface_distances(truth, prediction).hausdorff(95)
    counts = count_pixels(truth.astype(bool), prediction.astype(bool), truth.size)
    return Scores(dice=counts.dice, iou=counts.iou, hd95=hd95)
