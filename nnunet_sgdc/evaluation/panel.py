"""What the picture of one case shows: image, truth, prediction, errors and boundary."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.label_maps import LabelMap


class Error(IntEnum):
    """What is wrong with a predicted pixel."""

    NONE = 0
    FALSE_POSITIVE = 1
    FALSE_NEGATIVE = 2
    WRONG_CLASS = 3


@dataclass(frozen=True, eq=False)
class Panel:
    """One case.

    Attributes:
        title: Name and scores.
        image: RGB of shape (H, W, 3).
        prediction: Labels of shape (H, W).
        labels: The classes.
        truth: Labels of shape (H, W); None if unknown.
        boundary: Boundary probabilities of shape (H, W); None if unknown.
    """

    title: str
    image: NDArray[np.uint8]
    prediction: LabelMap
    labels: LabelScheme
    truth: LabelMap | None = None
    boundary: NDArray[np.float32] | None = None

    def errors(self) -> NDArray[np.uint8]:
        """The kind of `Error` of each pixel, of shape (H, W); ignored pixels and those without truth have none."""
        errors = np.zeros(self.prediction.shape, np.uint8)
        if self.truth is None:
            return errors
        wrong = (self.truth != self.prediction) & (self.truth != self.labels.ignore_label)
        errors[wrong] = Error.WRONG_CLASS
        errors[wrong & (self.truth == 0)] = Error.FALSE_POSITIVE
        errors[wrong & (self.prediction == 0)] = Error.FALSE_NEGATIVE
        return errors

    def reduced(self, longest: int) -> "Panel":
        """The same case with at most so many pixels along the longer side, the aspect ratio kept."""
        height, width = self.prediction.shape
        scale = longest / max(height, width)
        if scale >= 1:
            return self
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return replace(
            self,
            image=_resized(self.image, size, Image.Resampling.BOX),
            prediction=_resized(self.prediction, size, Image.Resampling.NEAREST),
            truth=None if self.truth is None else _resized(self.truth, size, Image.Resampling.NEAREST),
            boundary=None if self.boundary is None else _resized(self.boundary, size, Image.Resampling.BOX),
        )


def _resized(array: NDArray[Any], size: tuple[int, int], method: Image.Resampling) -> NDArray[Any]:
    # Pillow resamples neither 16-bit nor 64-bit integers; labels are small enough for 32.
    readable = array if array.dtype in (np.uint8, np.float32) else array.astype(np.int32)
    return np.asarray(Image.fromarray(readable).resize(size, method))
