"""Counts of pixels and the ratios that follow from them, of one case or pooled over many.

If both masks are empty, overlaps are 1 (a correct absence); if one is, they are 0. That settles the ratios 0 / 0 of
sensitivity and precision; the two that stay undefined are NaN.
"""

import math
from dataclasses import dataclass

import numpy as np

from nnunet_sgdc.evaluation.surface import Mask


@dataclass(frozen=True)
class Counts:
    """Pixels of one class: true and false positives, false and true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n_ref(self) -> int:
        """Pixels of the class in the truth."""
        return self.tp + self.fn

    @property
    def n_pred(self) -> int:
        """Pixels of the class in the prediction."""
        return self.tp + self.fp

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return self._overlap(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN)."""
        return self._overlap(self.tp, self.tp + self.fp + self.fn)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN)."""
        return self._overlap(self.tp, self.n_ref)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return self._overlap(self.tp, self.n_pred)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP); NaN if no pixel is negative."""
        negatives = self.tn + self.fp
        return self.tn / negatives if negatives else math.nan

    @property
    def area_difference(self) -> float:
        """(predicted - true) / true area; 0 if both are empty, NaN if only the truth is."""
        if self.n_ref:
            return (self.n_pred - self.n_ref) / self.n_ref
        return math.nan if self.n_pred else 0.0

    def _overlap(self, shared: int, total: int) -> float:
        if total:
            return shared / total
        return 0.0 if self.n_ref or self.n_pred else 1.0


def count_pixels(truth: Mask, prediction: Mask, counted: int) -> Counts:
    """Compare two masks of shape (H, W) of which `counted` pixels count, the rest being in neither mask."""
    tp, n_ref, n_pred = (int(np.count_nonzero(mask)) for mask in (truth & prediction, truth, prediction))
    return Counts(tp=tp, fp=n_pred - tp, fn=n_ref - tp, tn=counted - n_ref - n_pred + tp)
