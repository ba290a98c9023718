"""Photographs and masks in every form in which they are met, written here with Pillow."""

import io
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from releases import SIZE, disc

from nnunet_sgdc.datasets.collection import Sample
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.images import (
    ALL_LESION,
    GREY_VALUES,
    NO_LESION,
    STORED_ORIENTATION,
    decoded,
    lesion_label,
    load_photograph,
)
from nnunet_sgdc.datasets.source_files import FolderFile

NOISE = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)


def grey(values: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(values)


def lesion(mask: Image.Image) -> NDArray[np.bool_]:
    return lesion_label(mask, "mask.png")[0] == 1


def remarks(mask: Image.Image) -> tuple[str, ...]:
    return lesion_label(mask, "mask.png")[1]


def source(path: Path) -> FolderFile:
    return FolderFile(PurePosixPath(path.name), path)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def load(folder: Path, image: bytes, mask: Image.Image | None = None) -> Sample:
    (folder / "image.jpg").write_bytes(image)
    if mask is None:
        return load_photograph(source(folder / "image.jpg"), None)
    mask.save(folder / "mask.png")
    return load_photograph(source(folder / "image.jpg"), source(folder / "mask.png"))


def turned(size: tuple[int, int], orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.new("RGB", size), "JPEG", exif=exif)


# Photographs


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_image_of_any_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    sample = load(tmp_path, encoded(grey(disc()).convert(mode), "PNG"))
    np.testing.assert_array_equal(np.asarray(sample.image), np.repeat(disc()[..., None], 3, axis=2))


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    red = Image.new("RGB", SIZE, (250, 10, 10))
    image = load(tmp_path, encoded(red.convert("CMYK"), "JPEG", quality=95)).image
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image, int) - np.asarray(red, int)).max() < 12


def test_png_with_the_ending_of_a_jpeg_is_read_by_its_content(tmp_path: Path) -> None:
    np.testing.assert_array_equal(np.asarray(load(tmp_path, encoded(grey(NOISE), "PNG")).image), NOISE)


def test_alpha_is_dropped_and_colour_kept(tmp_path: Path) -> None:
    pixels = np.dstack([NOISE, np.zeros(NOISE.shape[:2], np.uint8)])
    np.testing.assert_array_equal(np.asarray(load(tmp_path, encoded(grey(pixels), "PNG")).image), NOISE)


def test_grey_image_of_16_bits_is_refused() -> None:
    content = encoded(grey(np.full((4, 4), 1000, np.uint16)), "PNG")
    with pytest.raises(ConversionError, match=r"x\.png must have 8 bits per channel, got 16: save it with 8"):
        decoded(content, "x.png")


def test_colour_image_of_16_bits_is_refused() -> None:
    # Pillow reads such files, but does not write them: one white pixel, by the PNG specification.
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" + b"\xff" * 6)) + chunk(b"IEND", b"")
    with pytest.raises(ConversionError, match="8 bits per channel, got 16"):
        decoded(png, "x.png")


def test_floating_point_image_is_refused(tmp_path: Path) -> None:
    content = encoded(grey(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(ConversionError, match=r"image\.jpg must have 8 bits per channel, got mode 'F': save it as RGB"):
        load(tmp_path, content)


def test_image_is_turned_upright_after_its_exif_tag(tmp_path: Path) -> None:
    assert load(tmp_path, turned((20, 10), orientation=6)).image.size == (10, 20)


def test_mask_of_the_stored_pixels_keeps_the_image_unturned(tmp_path: Path) -> None:
    sample = load(tmp_path, turned((20, 10), orientation=6), Image.new("L", (20, 10)))
    assert sample.image.size == (20, 10)
    assert STORED_ORIENTATION in sample.remarks


def test_mask_of_the_upright_image_turns_it(tmp_path: Path) -> None:
    sample = load(tmp_path, turned((20, 10), orientation=6), Image.new("L", (10, 20)))
    assert sample.image.size == (10, 20)
    assert STORED_ORIENTATION not in sample.remarks


def test_sources_are_named_with_their_hash(tmp_path: Path) -> None:
    import hashlib

    content = encoded(grey(NOISE), "PNG")
    assert load(tmp_path, content).sources == {"image.jpg": hashlib.sha256(content).hexdigest()}


def test_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"mask\.png .* 20 x 10 pixels, but is 10 x 10: take both from the same"):
        load(tmp_path, encoded(Image.new("RGB", (20, 10)), "PNG"), Image.new("L", (10, 10)))


# Damage


def test_empty_file_is_named() -> None:
    with pytest.raises(ConversionError, match=r"x\.jpg must be an image, but is empty \(0 bytes\): download it again"):
        decoded(b"", "x.jpg")


def test_file_that_is_no_image_is_named() -> None:
    with pytest.raises(ConversionError, match=r"x\.jpg cannot be read as an image \(no known image format\)"):
        decoded(b"<html>404</html>", "x.jpg")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated_image_is_named(file_format: str, kept: float) -> None:
    content = encoded(grey(NOISE), file_format)
    with pytest.raises(ConversionError, match=r"x\.jpg cannot be read as an image \(.*\): download it again"):
        decoded(content[: int(kept * len(content))], "x.jpg")


@pytest.mark.parametrize(("intact", "broken"), [(b"IDAT", b"\xd1\x1c\x99\x9d"), (b"\rIHDR", b"\x0cIHDR")])
def test_image_with_a_broken_chunk_is_named(intact: bytes, broken: bytes) -> None:
    before, after = encoded(grey(np.tile(NOISE, (4, 4, 1))), "PNG").rsplit(intact, 1)
    with pytest.raises(ConversionError, match=r"x\.png cannot be read"):
        decoded(before + broken + after, "x.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("excess", [1.1, 2.5])
def test_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, excess: float) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(NOISE.shape[0] * NOISE.shape[1] / excess))
    with pytest.raises(ConversionError, match=r"x\.png must have at most 0 million pixels, .* decompression bombs"):
        decoded(encoded(grey(NOISE), "PNG"), "x.png")


# Masks


def test_threshold_lies_at_128() -> None:
    assert lesion(grey(np.array([[0, 127], [128, 255]], np.uint8))).tolist() == [[False, False], [True, True]]


def test_equal_colour_channels_are_one_mask() -> None:
    np.testing.assert_array_equal(lesion(grey(np.repeat(disc()[..., None], 3, axis=2))), disc() > 0)


def test_mask_of_one_bit_is_read() -> None:
    np.testing.assert_array_equal(lesion(grey(disc() > 0)), disc() > 0)


def test_palette_mask_is_read_by_its_colours() -> None:
    image = grey((disc() == 0).astype(np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    np.testing.assert_array_equal(lesion(image), disc() > 0)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_mask_stored_as_jpeg_loses_its_noise(quality: int) -> None:
    mask = decoded(encoded(grey(disc()), "JPEG", quality=quality), "mask.jpg")
    np.testing.assert_array_equal(lesion(mask), disc() > 0)
    assert remarks(mask) == (GREY_VALUES,)


def test_rim_of_all_values_is_remarked() -> None:
    assert remarks(grey(np.maximum(disc(), 3))) == (GREY_VALUES,)


def test_clean_mask_has_no_remarks() -> None:
    assert remarks(grey(disc())) == ()


def test_empty_mask_is_remarked() -> None:
    assert remarks(grey(np.zeros((9, 9), np.uint8))) == (NO_LESION,)


def test_full_mask_is_remarked() -> None:
    assert remarks(grey(np.full((9, 9), 255, np.uint8))) == (ALL_LESION,)


def test_inverted_mask_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"mask\.png must be lesion inside .* lies inside only: invert"):
        lesion(grey(255 - disc()))


def test_pinhole_in_a_full_mask_is_no_inversion() -> None:
    mask = np.full((99, 99), 255, np.uint8)
    mask[50, 50:55] = 0
    assert lesion(grey(mask)).sum() == 99 * 99 - 5


def test_colour_channels_that_differ_are_refused() -> None:
    colours = np.repeat(disc()[..., None], 3, axis=2)
    colours[0, 0, 1] = 255
    with pytest.raises(ConversionError, match=r"mask\.png must be a mask of one channel, got colours that differ"):
        lesion(grey(colours))


def test_coloured_palette_is_refused() -> None:
    image = grey(disc() // 255).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0])
    with pytest.raises(ConversionError, match="colours that differ"):
        lesion(image)


def test_mask_of_zeros_and_ones_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"largest value is 1: multiply it so that lesion is 255"):
        lesion(grey(disc() // 255))


def test_mask_with_alpha_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"8-bit mask of one channel, got mode 'RGBA': save it as grey"):
        lesion(grey(disc()).convert("RGBA"))
