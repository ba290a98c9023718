"""Images in nnU-Net's raw format: which files belong to a case, and their pixels."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.image_files import image_files, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def save(values: NDArray[np.generic], path: Path) -> Path:
    Image.fromarray(values).save(path)
    return path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_files_of_all_channels_belong_to_a_case(tmp_path: Path) -> None:
    touch(tmp_path, "b_0000.png", "a_1_0001.tif", "a_1_0000.tif")
    files = {case: [path.name for path in paths] for case, paths in image_files(tmp_path, "IMAGES").items()}
    assert files == {"a_1": ["a_1_0000.tif", "a_1_0001.tif"], "b": ["b_0000.png"]}


def test_other_files_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "a_0000.png", "a.png", ".b_0000.png", "c_000.png", "d_0000.nii.gz", "dataset.json")
    assert image_files(tmp_path, "IMAGES").keys() == {"a"}


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"IMAGES must be a folder, got '.*nowhere': give the one"):
        image_files(tmp_path / "nowhere", "IMAGES")


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    with pytest.raises(EvaluationError, match=r"IMAGES must hold 2-D images named <case>_0000 .*, but .* holds none"):
        image_files(tmp_path, "IMAGES")


def test_a_colour_image_is_read_as_it_is(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image([save(NOISE, tmp_path / "a_0000.png")]), NOISE)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_an_image_of_any_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(NOISE).convert(mode)
    image.save(tmp_path / "a_0000.png")
    np.testing.assert_array_equal(read_image([tmp_path / "a_0000.png"]), np.asarray(image.convert("RGB")))


def test_the_first_three_channels_become_red_green_and_blue(tmp_path: Path) -> None:
    files = [save(NOISE[..., channel % 3], tmp_path / f"a_000{channel}.png") for channel in range(4)]
    np.testing.assert_array_equal(read_image(files), NOISE)


def test_of_two_channels_the_first_is_shown_in_grey(tmp_path: Path) -> None:
    files = [save(NOISE[..., channel], tmp_path / f"a_000{channel}.png") for channel in range(2)]
    np.testing.assert_array_equal(read_image(files), np.repeat(NOISE[..., :1], 3, axis=-1))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_values_of_more_than_8_bits_are_stretched(tmp_path: Path, dtype: type[np.generic]) -> None:
    levels = save(np.array([[1000, 2000, 3000]], dtype), tmp_path / "a_0000.tif")
    np.testing.assert_array_equal(read_image([levels])[0, :, 0], [0, 127, 255])


def test_an_image_of_one_value_is_black(tmp_path: Path) -> None:
    assert not read_image([save(np.full((2, 2), 700, np.uint16), tmp_path / "a_0000.png")]).any()


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    levels = save(np.float32([[0, np.nan]]), tmp_path / "a_0000.tif")
    with pytest.raises(EvaluationError, match=r"a_0000\.tif must hold finite values, got NaN or infinity: convert"):
        read_image([levels])


@pytest.mark.parametrize("content", [b"", b"<html>", Path(__file__).read_bytes()])
def test_a_file_that_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a_0000.png").write_bytes(content)
    with pytest.raises(EvaluationError, match=r"a_0000\.png must be an image, got .*: convert the data again"):
        read_image([tmp_path / "a_0000.png"])


def test_a_truncated_image_is_refused(tmp_path: Path) -> None:
    content = save(NOISE, tmp_path / "a_0000.png").read_bytes()
    (tmp_path / "a_0000.png").write_bytes(content[:-60])
    with pytest.raises(EvaluationError, match=r"a_0000\.png must be an image"):
        read_image([tmp_path / "a_0000.png"])


def test_channels_of_other_sizes_are_refused(tmp_path: Path) -> None:
    shapes = [(4, 4), (4, 4), (4, 5)]
    files = [save(np.zeros(shape, np.uint8), tmp_path / f"a_000{n}.png") for n, shape in enumerate(shapes)]
    with pytest.raises(EvaluationError, match=r"a_0002\.png must have the size of a_0000\.png, .*4\), got \(4, 5\)"):
        read_image(files)
