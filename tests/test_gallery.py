"""The picture of predictions, looked at pixel by pixel."""

from pathlib import Path

import matplotlib.image
import numpy as np

from nnunet_sgdc.evaluation import Panel, draw_gallery


def panel(size: int = 32) -> Panel:
    truth = np.zeros((size, size), bool)
    truth[: size // 2, : size // 2] = True
    black = np.zeros((size, size, 3), np.uint8)
    return Panel("case", black, truth, np.roll(truth, 8, axis=1), np.zeros((size, size), np.float32))


def has_colour(picture: np.ndarray, colour: tuple[float, float, float]) -> bool:
    return bool((np.abs(picture[..., :3] - colour).max(-1) < 0.05).any())


def test_truth_and_prediction_have_contours_of_their_own(tmp_path: Path) -> None:
    draw_gallery([panel()], tmp_path / "gallery.png")
    picture = matplotlib.image.imread(tmp_path / "gallery.png")
    middle = picture[50 : picture.shape[0] * 3 // 4, picture.shape[1] // 3 : picture.shape[1] * 2 // 3]
    assert has_colour(middle, (0.17, 0.63, 0.17))
    assert has_colour(middle, (1.0, 0.5, 0.05))


def test_every_case_has_a_row(tmp_path: Path) -> None:
    heights = []
    for count in (1, 3):
        draw_gallery([panel()] * count, tmp_path / "gallery.png")
        heights.append(matplotlib.image.imread(tmp_path / "gallery.png").shape[0])
    assert heights[1] == 3 * heights[0]


def test_an_empty_mask_has_no_contour_and_no_error(tmp_path: Path) -> None:
    empty = Panel("empty", *([np.zeros((8, 8, 3), np.uint8)]), *([np.zeros((8, 8), bool)] * 2), np.zeros((8, 8)))
    draw_gallery([empty], tmp_path / "gallery.png")
    assert not has_colour(matplotlib.image.imread(tmp_path / "gallery.png")[:250], (0.17, 0.63, 0.17))
