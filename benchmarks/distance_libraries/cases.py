"""Pairs of masks drawn by hand: shapes like lesions, and tiny ones whose distances can be counted on the fingers."""

from dataclasses import dataclass

import numpy as np

from nnunet_sgdc.evaluation.surface import Mask, SurfaceDistances, surface_distances

SIDE = 256
LESION_RADII = 60, 45


@dataclass(frozen=True, eq=False)
class Case:
    """A truth and a prediction.

    Attributes:
        title: What is wrong with the prediction.
        truth: True mask of shape (H, W).
        prediction: Predicted mask of the same shape.
        spacing: Distance between rows and between columns.
    """

    title: str
    truth: Mask
    prediction: Mask
    spacing: tuple[float, float] = (1.0, 1.0)

    @property
    def distances(self) -> SurfaceDistances:
        """Ours."""
        return surface_distances(self.truth, self.prediction, self.spacing)

    @property
    def has_two_objects(self) -> bool:
        """Neither mask is empty."""
        return bool(self.truth.any() and self.prediction.any())


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> Mask:
    """An ellipse in an image of 256 x 256 pixels; centre and radii along rows, then columns."""
    rows, columns = np.ogrid[:SIDE, :SIDE]
    inside: Mask = ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1
    return inside


def drawing(text: str) -> Mask:
    """A mask from its rows, separated by blanks: `#` is the object."""
    return np.array([[character == "#" for character in row] for row in text.split()])


def _lesions() -> list[Case]:
    lesion, shifted = ellipse((120, 128), LESION_RADII), ellipse((125, 126), LESION_RADII)
    at_border = ellipse((20, 128), LESION_RADII), ellipse((25, 126), LESION_RADII)
    empty = np.zeros_like(lesion)
    bite = ellipse((120, 165), (30, 30))
    return [
        Case("lesion shifted by 5 rows, 2 columns", lesion, shifted),
        Case("the same, and a small false island", lesion, shifted | ellipse((40, 40), (4, 4))),
        Case("a piece of one side missing", lesion, lesion & ~bite),
        Case("shifted at the image border", *at_border),
        Case("prediction fills the image", lesion, ~empty),
        Case("shifted, spacing (2, 0.5)", lesion, shifted, (2.0, 0.5)),
        Case("prediction empty", lesion, empty),
        Case("truth empty", empty, lesion),
        Case("both empty", empty, empty),
    ]


def _tiny() -> list[Case]:
    pixels = drawing("#.... ..... ..... ....."), drawing("..... ..... ..... ....#")
    return [
        Case("thin line predicted too long", drawing("#####.."), drawing("#######")),
        Case("half of a thin line missing", drawing("##########"), drawing("#####.....")),
        Case("two single pixels", *pixels),
        Case("the same, spacing (2, 0.5)", *pixels, (2.0, 0.5)),
        Case("prediction fills 3 x 3 pixels", drawing("... .#. ..."), drawing("### ### ###")),
    ]


LESIONS, TINY = _lesions(), _tiny()
CASES = LESIONS + TINY
