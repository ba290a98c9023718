"""The pictures of predictions, looked at pixel by pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.gallery import (
    BLUE,
    CLASS_COLOURS,
    ORANGE,
    PREDICTION,
    SKY_BLUE,
    TRUTH,
    VERMILION,
    YELLOW,
    draw_case,
    draw_contact_sheet,
)
from nnunet_sgdc.evaluation.panel import Error, Panel

SIZE = 64
LESION = LabelScheme({"lesion": 1})
NUCLEI = LabelScheme({"epithelial": 1, "lymphocyte": 2})

Picture = NDArray[np.uint8]


def square(top: int, left: int, label: int = 1) -> NDArray[np.uint8]:
    label_map = np.zeros((SIZE, SIZE), np.uint8)
    label_map[top : top + 24, left : left + 24] = label
    return label_map


def panel(**other: Any) -> Panel:
    image = np.full((SIZE, SIZE, 3), 128, np.uint8)
    return Panel(**{"title": "case", "image": image, "prediction": square(8, 16), "labels": LESION, **other})


def drawn(shown: Panel, folder: Path) -> Picture:
    draw_case(shown, folder / "case.png")
    return np.asarray(Image.open(folder / "case.png").convert("RGB"))


def column(picture: Picture, number: int) -> Picture:
    """The image in a column of a picture of one square case, without what stands around it."""
    return picture[50:562, 8 + 520 * number : 520 * (number + 1)]


def coloured(picture: Picture, colour: str) -> NDArray[np.bool_]:
    return np.asarray(np.abs(picture - 255 * np.array(to_rgb(colour))).max(-1) < 12)


def extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and last row and column, in pixels of the case."""
    rows, columns = (np.flatnonzero(mask.any(axis)) * SIZE / 512 for axis in (1, 0))
    return round(rows[0]), round(rows[-1]), round(columns[0]), round(columns[-1])


# What is drawn


def test_truth_and_prediction_have_outlines_of_their_own(tmp_path: Path) -> None:
    contours = column(drawn(panel(truth=square(32, 36)), tmp_path), 1)
    assert extent(coloured(contours, PREDICTION)) == (8, 32, 16, 40)
    assert extent(coloured(contours, TRUTH)) == (32, 56, 36, 60)


def test_an_object_at_the_border_has_a_closed_outline(tmp_path: Path) -> None:
    contours = column(drawn(panel(prediction=square(0, 0)), tmp_path), 1)
    assert coloured(contours, PREDICTION)[0, 8:180].all()
    assert coloured(contours, PREDICTION)[8:180, 0].all()


def test_an_empty_mask_has_no_outline(tmp_path: Path) -> None:
    contours = column(drawn(panel(prediction=square(0, 0, label=0)), tmp_path), 1)
    np.testing.assert_array_equal(contours, 128)


def test_errors_are_coloured_where_they_are(tmp_path: Path) -> None:
    errors = column(drawn(panel(truth=square(8, 20)), tmp_path), 2)
    assert extent(coloured(errors, BLUE)) == (8, 32, 40, 44)
    assert extent(coloured(errors, VERMILION)) == (8, 32, 16, 20)
    assert not coloured(errors, YELLOW).any()


def test_errors_are_drawn_on_the_image_in_grey(tmp_path: Path) -> None:
    image = np.broadcast_to(np.uint8([200, 100, 0]), (SIZE, SIZE, 3))
    errors = column(drawn(panel(image=image, truth=square(8, 16)), tmp_path), 2)
    np.testing.assert_array_equal(errors, 100)


def test_the_boundary_goes_from_black_to_almost_white(tmp_path: Path) -> None:
    boundary = np.zeros((SIZE, SIZE), np.float32)
    boundary[:, SIZE // 2 :] = 1
    shown = column(drawn(panel(boundary=boundary), tmp_path), 2)
    assert shown[:, :240].max() < 10
    np.testing.assert_allclose(shown[256, 400], [252, 253, 191], atol=2)


def test_classes_have_outlines_of_their_own_colours(tmp_path: Path) -> None:
    prediction = square(4, 4) + square(36, 36, label=2)
    shown = column(drawn(panel(prediction=prediction, labels=NUCLEI), tmp_path), 1)
    assert extent(coloured(shown, SKY_BLUE)) == (4, 28, 4, 28)
    assert extent(coloured(shown, ORANGE)) == (36, 60, 36, 60)


def test_truth_and_prediction_of_several_classes_have_columns_of_their_own(tmp_path: Path) -> None:
    shown = drawn(panel(truth=square(32, 36, label=2), labels=NUCLEI), tmp_path)
    assert extent(coloured(column(shown, 1), ORANGE)) == (32, 56, 36, 60)
    assert extent(coloured(column(shown, 2), SKY_BLUE)) == (8, 32, 16, 40)
    assert not coloured(column(shown, 2), ORANGE).any()


def test_a_wrong_class_is_an_error(tmp_path: Path) -> None:
    errors = column(drawn(panel(truth=square(8, 16, label=2), labels=NUCLEI), tmp_path), 3)
    assert extent(coloured(errors, YELLOW)) == (8, 32, 16, 40)
    assert not coloured(errors, BLUE).any()


@pytest.mark.parametrize("count", [2, 8, 9, 40])
def test_any_number_of_classes_is_drawn(tmp_path: Path, count: int) -> None:
    labels = LabelScheme({f"class {number}": number for number in range(1, count + 1)})
    shown = drawn(panel(labels=labels, prediction=square(8, 16, label=count)), tmp_path)
    assert not np.array_equal(column(shown, 1), np.full((512, 512, 3), 64))


def test_colours_of_classes_differ() -> None:
    assert len(set(CLASS_COLOURS)) == len(CLASS_COLOURS)


# Errors


def test_every_kind_of_error_is_told_apart() -> None:
    truth, prediction = np.uint8([[0, 0, 1, 1, 1, 3]]), np.uint8([[0, 1, 0, 1, 2, 2]])
    shown = panel(truth=truth, prediction=prediction, labels=LabelScheme({"a": 1, "b": 2}, ignore_label=3))
    none, false_positive, false_negative, wrong_class = Error
    expected = [[none, false_positive, false_negative, none, wrong_class, none]]
    np.testing.assert_array_equal(shown.errors(), expected)


# Sizes


@pytest.mark.parametrize(
    ("shape", "shown"), [((60, 80), (384, 512)), ((300, 100), (512, 171)), ((768, 1024), (384, 512))]
)
def test_no_image_is_distorted(tmp_path: Path, shape: tuple[int, int], shown: tuple[int, int]) -> None:
    image = np.broadcast_to(np.uint8([10, 200, 100]), (*shape, 3))
    green = coloured(drawn(panel(image=image, prediction=np.zeros(shape, np.uint8)), tmp_path), "#0ac864")
    assert (green.sum(0).max(), green.sum(1).max()) == (shown[0], 2 * shown[1])


def test_a_large_image_is_reduced_with_everything_on_it() -> None:
    large = np.kron(square(8, 16), np.ones((20, 20), np.uint8))
    image, boundary = np.repeat(large[..., None] * np.uint8(200), 3, axis=-1), large.astype(np.float32)
    reduced = panel(image=image, prediction=large, truth=large.astype(np.int64), boundary=boundary).reduced(SIZE)
    np.testing.assert_array_equal(reduced.prediction, square(8, 16))
    np.testing.assert_array_equal(reduced.truth, square(8, 16))
    np.testing.assert_array_equal(reduced.image[..., 0], square(8, 16) * 200)
    np.testing.assert_allclose(reduced.boundary, square(8, 16))


def test_a_small_image_is_shown_as_it_is() -> None:
    shown = panel()
    assert shown.reduced(SIZE) is shown


# Sheets


def sheet_size(panels: list[Panel], folder: Path) -> tuple[int, int]:
    draw_contact_sheet(panels, folder / "sheet.png")
    with Image.open(folder / "sheet.png") as image:
        return image.size


def test_every_case_has_a_row(tmp_path: Path) -> None:
    (width, one), (_, three) = (sheet_size([panel()] * count, tmp_path) for count in (1, 3))
    assert width == 2 * (384 + 8) + 8
    assert three - one == 2 * (384 + 26)


def test_what_is_known_of_no_case_has_no_column(tmp_path: Path) -> None:
    known = [{}, {"truth": square(0, 0)}, {"truth": square(0, 0), "boundary": np.zeros((SIZE, SIZE), np.float32)}]
    widths = [sheet_size([panel(**attributes), panel()], tmp_path)[0] for attributes in known]
    assert widths == [columns * (384 + 8) + 8 for columns in (2, 3, 4)]


def test_cases_of_other_shapes_share_a_sheet(tmp_path: Path) -> None:
    flat = panel(image=np.zeros((32, SIZE, 3), np.uint8), prediction=np.zeros((32, SIZE), np.uint8))
    assert sheet_size([panel(), flat], tmp_path)[1] == sheet_size([panel()], tmp_path)[1] + 192 + 26


@pytest.mark.parametrize("count", [0, 101])
def test_a_sheet_of_no_cases_or_too_many_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(EvaluationError, match=rf"a contact sheet must have 1 to 100 cases, got {count}: choose some"):
        draw_contact_sheet([panel()] * count, tmp_path / "sheet.png")


def test_a_long_legend_gets_more_lines(tmp_path: Path) -> None:
    many = LabelScheme({f"class of a long name {number}": number for number in range(1, 10)})
    assert sheet_size([panel(labels=many)], tmp_path)[1] > sheet_size([panel(labels=NUCLEI)], tmp_path)[1]


def test_dollars_in_a_title_are_dollars(tmp_path: Path) -> None:
    assert sheet_size([panel(title="$x_{$")], tmp_path) == sheet_size([panel()], tmp_path)
