import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from samples import SAMPLES, needs_samples

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.resizing import Resizing, label_from_probabilities, resized_image, resized_label

CLASSES = 7

Label = NDArray[np.uint8]

properties = settings(deadline=None, max_examples=60)
sides = st.integers(1, 64)
sizes = st.tuples(sides, sides)
wholes = st.integers(1, 16)


@st.composite
def labels(draw: st.DrawFn, classes: int = CLASSES, values: st.SearchStrategy[int] = sides) -> Label:
    """Random rectangles over a background; single pixels among them."""
    shape = (draw(values), draw(values))
    label = np.full(shape, draw(st.integers(0, classes - 1)), np.uint8)
    for _ in range(draw(st.integers(0, 12))):
        top, left = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
        label[top : top + height, left : left + width] = draw(st.integers(0, classes - 1))
    return label


def triangle(source: int, target: int) -> NDArray[np.float64]:
    """The weights of shape (target, source) of a triangle filter two target pixels wide, at least two source pixels."""
    centres = (np.arange(target)[:, None] + 0.5) * source / target
    distances = np.abs(np.arange(source) + 0.5 - centres) / max(source / target, 1)
    weights = np.maximum(0, 1 - distances)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def exact_shares(label: Label, size: tuple[int, int]) -> NDArray[np.float64]:
    rows, columns = triangle(label.shape[0], size[1]), triangle(label.shape[1], size[0])
    return np.stack([rows @ (label == index) @ columns.T for index in range(CLASSES)])


def decided(label: Label, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where one class leads by more than what rounding to 8 bits may change."""
    second, first = np.sort(exact_shares(label, size), axis=0)[-2:]
    return np.asarray(first - second > (CLASSES + 1) / 255)


def common(result: Label) -> NDArray[np.bool_]:
    """Pixels of classes with more than one: none of those given to a class that would have vanished."""
    return np.asarray(np.bincount(result.ravel())[result] > 1)


def lesion_by_threshold(lesion: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    share = Image.fromarray(lesion.astype(np.uint8) * np.uint8(255)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(share) >= 128


# Sizes


@pytest.mark.parametrize(
    ("resizing", "size", "expected"),
    [
        (Resizing.native(), (1022, 767), (1022, 767)),
        (Resizing.square(256), (1022, 767), (256, 256)),
        (Resizing.exact(512, 384), (767, 1022), (512, 384)),
        (Resizing.longest(512), (1024, 768), (512, 384)),
        (Resizing.longest(512), (768, 1024), (384, 512)),
        (Resizing.longest(512), (1022, 767), (512, 384)),
        (Resizing.longest(512), (100, 50), (512, 256)),
        (Resizing.longest(8), (1000, 3), (8, 1)),
    ],
)
def test_target_is_width_and_height(resizing: Resizing, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resizing.target(size) == expected


@given(sizes, st.integers(1, 16384))
@properties
def test_longest_side_keeps_the_aspect_ratio_to_half_a_pixel(size: tuple[int, int], side: int) -> None:
    target = Resizing.longest(side).target(size)
    scale = side / max(size)
    assert max(target) == side
    assert all(abs(new - old * scale) <= 0.5 or new == 1 for new, old in zip(target, size, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("native", Resizing.native()),
        ("256", Resizing.square(256)),
        (" 512X384 ", Resizing.exact(512, 384)),
        ("1x16384", Resizing.exact(1, 16384)),
        ("longest side 512", Resizing.longest(512)),
    ],
)
def test_text_is_parsed(text: str, expected: Resizing) -> None:
    assert Resizing.parse(text) == expected


@pytest.mark.parametrize(
    ("resizing", "text"),
    [
        (Resizing.native(), "native"),
        (Resizing.square(256), "256x256"),
        (Resizing.exact(512, 384), "512x384"),
        (Resizing.longest(512), "longest side 512"),
    ],
)
def test_text_of_a_size_is_read_back(resizing: Resizing, text: str) -> None:
    assert str(resizing) == text
    assert Resizing.parse(text) == resizing


@pytest.mark.parametrize("text", ["", "big", "256.5", "256x", "x256", "1x2x3", "longest side 5x5", "٢٥٦", "9" * 5000])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ConversionError, match=rf"^--size must be .*WIDTHxHEIGHT or native, got '{text}': give"):
        Resizing.parse(text)


@pytest.mark.parametrize("text", ["0", "-5", "256x0", "16385", "16385x1", "1x16385"])
def test_sizes_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(ConversionError, match=r"^--size must be from 1 to 16384 pixels, got (0|-5|16385): choose"):
        Resizing.parse(text)


@pytest.mark.parametrize("side", [0, 16385])
def test_longest_sides_out_of_range_are_refused(side: int) -> None:
    with pytest.raises(ConversionError, match=rf"^--longest-side must be from 1 to 16384 pixels, got {side}: choose"):
        Resizing.longest(side)


# Images


@pytest.mark.parametrize("size", [(7, 5), (60, 40), (90, 31)])
def test_image_gets_width_and_height(size: tuple[int, int]) -> None:
    assert resized_image(Image.new("RGB", (60, 40)), size).size == size


def test_grey_stays_grey_at_every_size() -> None:
    image = Image.new("RGB", (601, 403), (90, 120, 150))
    assert resized_image(image, (37, 23)).getcolors() == [(37 * 23, (90, 120, 150))]


def test_stripes_too_fine_to_show_become_grey() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (300, 150)))
    assert set(np.unique(np.asarray(resized_image(stripes, (30, 30)))[:, 2:-2])) <= {127, 128}


def test_image_of_the_same_size_is_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert (np.asarray(resized_image(Image.fromarray(pixels), (30, 20))) == pixels).all()


# Labels


@given(labels(), sizes)
@properties
def test_label_gets_width_and_height_and_invents_nothing(label: Label, size: tuple[int, int]) -> None:
    result = resized_label(label, size)
    assert result.shape == size[::-1]
    assert result.dtype == np.uint8
    assert set(result.flat) <= set(label.flat)


@given(labels(), sizes)
@properties
def test_no_class_vanishes_while_there_are_pixels_for_all(label: Label, size: tuple[int, int]) -> None:
    kept = len(np.unique(resized_label(label, size)))
    assert kept == len(np.unique(label)) or kept == size[0] * size[1]


@given(st.integers(0, 255), sizes, sizes)
@properties
def test_constant_label_stays_constant(index: int, before: tuple[int, int], after: tuple[int, int]) -> None:
    assert (resized_label(np.full(before, index, np.uint8), after) == index).all()


@given(labels())
@properties
def test_label_of_the_same_size_is_unchanged(label: Label) -> None:
    before = label.copy()
    assert resized_label(label, label.shape[::-1]) is label
    assert (label == before).all()


@given(labels(), sizes)
@properties
def test_each_pixel_gets_the_class_it_sees_most_of(label: Label, size: tuple[int, int]) -> None:
    result = resized_label(label, size)
    winners = exact_shares(label, size).argmax(axis=0)
    checked = decided(label, size) & common(result)
    assert (result == winners)[checked].all()


@given(labels(classes=2), sizes)
@properties
def test_two_classes_split_where_the_lesion_fills_half(label: Label, size: tuple[int, int]) -> None:
    expected = lesion_by_threshold(label == 1, size)
    if np.unique(expected).size == np.unique(label).size:
        assert (resized_label(label, size) == expected).all()


@given(labels(), sizes, st.sampled_from([0, 1]))
@properties
def test_mirrored_label_gives_the_mirrored_result(label: Label, size: tuple[int, int], axis: int) -> None:
    result, mirrored = resized_label(label, size), np.flip(resized_label(np.flip(label, axis), size), axis)
    checked = decided(label, size) & common(result) & common(mirrored)
    assert (result == mirrored)[checked].all()


@given(st.integers(2, 300), st.data())
@properties
def test_bar_wider_than_an_output_pixel_survives_along_its_whole_length(width: int, data: st.DataObject) -> None:
    target = data.draw(st.integers(1, width))
    bar = min(width, width // target + 1)
    left = data.draw(st.integers(0, width - bar))
    label = np.zeros((9, width), np.uint8)
    label[:, left : left + bar] = 1
    assert resized_label(label, (target, 4)).any(axis=1).all()


@pytest.mark.parametrize("factor", range(1, 14))
def test_bar_as_wide_as_an_output_pixel_survives_wherever_it_lies(factor: int) -> None:
    for left in range(7 * factor + 1):
        label = np.zeros((9, 8 * factor), np.uint8)
        label[:, left : left + factor] = 1
        assert resized_label(label, (8, 4)).any(axis=1).all()


@given(labels(values=wholes), wholes, wholes)
@properties
def test_label_of_repeated_pixels_is_reduced_to_the_single_ones(label: Label, rows: int, columns: int) -> None:
    repeated = np.kron(label, np.ones((rows, columns), np.uint8))
    assert (resized_label(repeated, label.shape[::-1]) == label).all()


@given(labels())
@properties
def test_label_of_twice_the_size_repeats_pixels(label: Label) -> None:
    height, width = label.shape
    assert (resized_label(label, (2 * width, 2 * height)) == np.kron(label, np.ones((2, 2), np.uint8))).all()


@given(labels(values=wholes), st.sampled_from([3, 5, 7]))
@properties
def test_enlarged_label_keeps_its_pixels_in_the_middle_of_blocks(label: Label, factor: int) -> None:
    height, width = label.shape
    enlarged = resized_label(label, (factor * width, factor * height))
    assert (enlarged[factor // 2 :: factor, factor // 2 :: factor] == label).all()


@given(labels(values=wholes), st.integers(2, 8))
@properties
def test_label_of_coarse_blocks_is_the_same_there_and_back(coarse: Label, factor: int) -> None:
    label = np.kron(coarse, np.ones((2, 2), np.uint8))
    height, width = label.shape
    enlarged = resized_label(label, (factor * width, factor * height))
    assert (resized_label(enlarged, (width, height)) == label).all()


@pytest.mark.parametrize("row", [[0, 1], [1, 0], [0, 3], [3, 1], [2, 5]])
def test_of_equal_shares_the_higher_label_wins(row: list[int]) -> None:
    assert resized_label(np.array([row], np.uint8), (1, 1)).item() == max(row)


# Classes that would vanish


def test_dot_keeps_the_pixel_that_sees_most_of_it() -> None:
    label = np.zeros((4000, 4000), np.uint8)
    label[2510, 3990] = 4
    assert np.argwhere(resized_label(label, (40, 40))).tolist() == [[25, 39]]


def test_last_background_pixel_is_kept() -> None:
    label = np.ones((400, 400), np.uint8)
    label[210, 70] = 0
    assert np.argwhere(resized_label(label, (10, 10)) == 0).tolist() == [[5, 1]]


def test_dots_in_one_output_pixel_get_pixels_side_by_side() -> None:
    label = np.zeros((400, 400), np.uint8)
    label[[2, 3, 4], [1, 2, 3]] = [1, 2, 3]
    result = resized_label(label, (10, 10))
    assert sorted(result[:2, :2].ravel().tolist()) == [0, 1, 2, 3]
    assert np.count_nonzero(result) == 3


def test_dot_leaves_the_only_pixel_of_another_class_alone() -> None:
    label = np.zeros((90, 90), np.uint8)
    label[30:60, 30:60] = 5
    label[44, 44] = 2
    result = resized_label(label, (3, 3))
    assert result[1, 1] == 5
    assert np.count_nonzero(result == 2) == 1


def test_dots_crowded_out_stay_in_pixels_that_see_them() -> None:
    label = np.zeros((400, 400), np.uint8)
    # Both lie right of the middle of the output pixel (5, 5) and a little below it.
    label[226, 230], label[227, 231] = 1, 2
    assert np.argwhere(resized_label(label, (10, 10))).tolist() == [[5, 5], [5, 6]]


def test_classes_outnumbering_the_pixels_give_way_to_larger_ones() -> None:
    assert resized_label(np.array([[0, 0, 0, 1, 2]], np.uint8), (1, 1)).item() == 0


# Probabilities


@given(labels(), sizes)
@properties
def test_certain_probabilities_give_the_resized_label(label: Label, size: tuple[int, int]) -> None:
    certain = (label == np.arange(CLASSES)[:, None, None]).astype(np.float32)
    result = resized_label(label, size)
    checked = decided(label, size) & common(result)
    assert (label_from_probabilities(certain, size) == result)[checked].all()


@given(arrays(np.float32, (3, 6, 5), elements=st.floats(0, 1, width=32)))
@properties
def test_probabilities_of_the_same_size_are_only_compared(probabilities: NDArray[np.float32]) -> None:
    expected = 2 - probabilities[::-1].argmax(axis=0)
    assert (label_from_probabilities(probabilities, (5, 6)) == expected).all()


def test_probabilities_are_interpolated_before_the_class_is_chosen() -> None:
    lesion = np.array([[0.0, 0.9]], np.float32)
    # Four times as wide the lesion has 0, 0, 0.1125, 0.3375, 0.5625, 0.7875, 0.9 and 0.9.
    assert label_from_probabilities(np.stack([1 - lesion, lesion]), (8, 1)).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
    lesion[0, 0] = 0.4
    # Now 0.4, 0.4, 0.4625, 0.5875, ...: the outline moves by a pixel, which label maps could not tell.
    assert label_from_probabilities(np.stack([1 - lesion, lesion]), (8, 1)).tolist() == [[0, 0, 0, 1, 1, 1, 1, 1]]


def test_of_equal_probabilities_the_higher_label_wins() -> None:
    assert (label_from_probabilities(np.full((4, 3, 3), 0.25, np.float32), (5, 7)) == 3).all()


def test_probabilities_of_many_classes_take_the_memory_of_few() -> None:
    probabilities = np.random.default_rng(0).random((30, 16, 16), np.float32)
    tracemalloc.start()
    label_from_probabilities(probabilities, (500, 500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 500 * 500 * 4


# The sample releases; with -s the numbers in the module's docstring are printed


def sample_files(isic: str, ph2: str) -> list[Path]:
    """The files of all releases, those that several share only once."""
    found = {path.name.lower(): path for year in (2016, 2017, 2018) for path in (SAMPLES / f"isic{year}").rglob(isic)}
    return [*found.values(), *(SAMPLES / "ph2" / "PH2Dataset").rglob(ph2)]


def decibels(first: Image.Image, second: Image.Image) -> float:
    """Peak signal-to-noise ratio; equal images get 99."""
    error = np.square(np.asarray(first, np.float32) - np.asarray(second, np.float32)).mean()
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize("side", [256, 512])
def test_labels_of_samples_lose_little_on_the_way_there_and_back(side: int) -> None:
    dice = []
    for path in sample_files("ISIC_*_[sS]egmentation.png", "*_lesion.bmp"):
        truth = (np.asarray(Image.open(path).convert("L")) >= 128).astype(np.uint8)
        back = resized_label(resized_label(truth, (side, side)), truth.shape[::-1])
        dice.append(2 * (truth & back).sum() / (truth.sum() + back.sum()))
    print(f"\n{len(dice)} masks, {side}: Dice mean {np.mean(dice):.4f}, min {min(dice):.4f}")
    assert len(dice) >= 40
    assert np.mean(dice) > 0.99
    assert min(dice) > 0.98


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize("side", [256, 512])
def test_images_of_samples_are_close_to_plain_lanczos_resampling(side: int) -> None:
    ratios, largest = [], 0
    for path in sample_files("ISIC_*.jpg", "IMD???.bmp"):
        image = Image.open(path).convert("RGB")
        plain, result = image.resize((side, side), Image.Resampling.LANCZOS), resized_image(image, (side, side))
        ratios.append(decibels(plain, result))
        # Blocks that stick out over the last row and column count for more there.
        inner = np.abs(np.asarray(plain, np.int16) - np.asarray(result, np.int16))[2:-2, 2:-2]
        largest = max(largest, int(inner.max()))
    changed = [ratio for ratio in ratios if ratio < 99]
    print(f"\n{len(ratios)} images, {side}: {len(changed)} changed, PSNR mean {np.mean(changed):.1f} dB, ", end="")
    print(f"min {min(changed):.1f} dB, largest difference {largest} of 255 but for the two outer rows and columns")
    assert len(ratios) >= 40
    assert min(ratios) > 40
    assert largest <= 8
