"""Photographs and masks of ISIC and PH2; of ISIC, case 0 of the training split is spoilt."""

import io
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import ph2_release
import SimpleITK
from numpy.typing import NDArray
from PIL import Image
from releases import SIZE, disc, names, pixels

from bad_inputs.entry import LESIONS, PH2, Check, Spoil, refused, repaired
from bad_inputs.spoiling import altered, both, copied, holding, moved, removed, text, truncated
from nnunet_sgdc.datasets.isic import EDITIONS

Values = NDArray[np.generic] | Image.Image

IMAGES, MASKS = EDITIONS[2016].splits[0].image_folder, EDITIONS[2016].splits[0].mask_folder
IMAGE, MASK = f"{IMAGES}/0.jpg", f"{MASKS}/0_Segmentation.png"
PH2_CASE = "PH2Dataset/PH2 Dataset images/IMD001"
PH2_IMAGE = f"{PH2_CASE}/IMD001_Dermoscopic_Image/IMD001.bmp"
PH2_MASK = f"{PH2_CASE}/IMD001_lesion/IMD001_lesion.bmp"
PH2_TABLE = "PH2Dataset/PH2_dataset.txt"

DISC = disc()
SQUARE = ph2_release.square()
ROWS, COLUMNS = np.indices(DISC.shape)
FLAT = np.full((*DISC.shape, 3), (200, 150, 0), np.uint8)
# Brightens to the right in red and downwards in green, so that every turn shows.
PHOTO = np.dstack([5 * COLUMNS, 6 * ROWS, np.full(DISC.shape, 100)]).astype(np.uint8)
GREY = PHOTO[..., 0]
JPEG_TOLERANCE = 8
UNPAIRED = f"{IMAGES} and {MASKS} must hold the same cases, but have"
TWINS = "ids must differ in more than case and ending, but"


# Spoiling


def photo(values: Values, name: str = "0.jpg", **options: object) -> Spoil:
    """Put another image in the place of the good one."""
    return _in_place_of(IMAGE, f"{IMAGES}/{name}", values, options)


def mask(values: Values, name: str = "0_Segmentation.png", **options: object) -> Spoil:
    """Put another mask in the place of the good one."""
    return _in_place_of(MASK, f"{MASKS}/{name}", values, options)


def ph2_mask(values: Values, ending: str = ".bmp", **options: object) -> Spoil:
    return _in_place_of(PH2_MASK, PH2_MASK.replace(".bmp", ending), values, options)


def _in_place_of(good: str, bad: str, values: Values, options: dict[str, object]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / good).unlink()
        image = values if isinstance(values, Image.Image) else Image.fromarray(values)
        image.save(folder / bad, **options)

    return spoil


def renamed(identifier: str) -> Spoil:
    """Give case 0 another identifier."""
    return both(moved(IMAGE, f"{IMAGES}/{identifier}.jpg"), moved(MASK, f"{MASKS}/{identifier}_Segmentation.png"))


def broken_exif(folder: Path) -> None:
    """A rotation, and a width that is text instead of a number, in the TIFF format of EXIF data."""
    tags = struct.pack("<HHI4s", 0x0100, 2, 4, b"abc") + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 2) + tags + bytes(4)
    Image.fromarray(PHOTO).save(folder / IMAGE, exif=exif)


def turned(orientation: int) -> Spoil:
    """The photograph as a camera held sideways stores it; its tag says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return photo(np.rot90(PHOTO).copy(), exif=exif, quality=95, subsampling=0)


def colours_of_16_bits(folder: Path) -> None:
    # Pillow does not write these.
    (folder / IMAGE).unlink()
    image = SimpleITK.GetImageFromArray(PHOTO.astype(np.uint16) * 257, isVector=True)
    SimpleITK.WriteImage(image, str(folder / IMAGES / "0.png"))


def claiming(side: int) -> bytes:
    """A small PNG whose header says that it is a large square."""
    buffer = io.BytesIO()
    Image.new("1", (1, 1)).save(buffer, "PNG")
    before, after = buffer.getvalue()[:12], buffer.getvalue()[33:]
    header = struct.pack(">4sIIBBBBB", b"IHDR", side, side, 1, 0, 0, 0, 0)
    return before + header + struct.pack(">I", zlib.crc32(header)) + after


def palette(values: NDArray[np.uint8], *colours: tuple[int, int, int]) -> Image.Image:
    """An image whose values are the numbers of colours; grey levels if none are given."""
    image = Image.fromarray(values)
    image.putpalette([part for colour in colours or [(level,) * 3 for level in range(256)] for part in colour])
    return image


def with_rim() -> NDArray[np.uint8]:
    """The disc, fading over some pixels."""
    distance = SIZE[1] / 3 - np.hypot(ROWS - SIZE[1] / 2, COLUMNS - SIZE[0] / 2)
    return np.clip(128 + 40 * distance, 0, 255).astype(np.uint8)


# What a repaired data set must hold


def shows(image: NDArray[np.uint8] = FLAT, lesion: NDArray[np.uint8] = DISC, identifier: str = "0") -> Check:
    """All cases are there, and the spoilt one has this image, within the tolerance of JPEG, and this mask."""

    def check(folder: Path) -> None:
        cases = sorted([identifier, "1", "2", "3", "4"])
        assert names(folder / "imagesTr") == [f"{case}_0000.png" for case in cases]
        assert names(folder / "labelsTr") == [f"{case}.png" for case in cases]
        found = pixels(folder / "imagesTr" / f"{identifier}_0000.png").astype(int)
        expected = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        np.testing.assert_allclose(found, expected, rtol=0, atol=JPEG_TOLERANCE)
        np.testing.assert_array_equal(pixels(folder / "labelsTr" / f"{identifier}.png"), lesion >= 128)

    return check


def ph2_shows(lesion: NDArray[np.bool_] = SQUARE) -> Check:
    def check(folder: Path) -> None:
        assert names(folder / "labelsTr") == [f"{case.name}.png" for case in LESIONS]
        np.testing.assert_array_equal(pixels(folder / "labelsTr" / "IMD001.png"), lesion)

    return check


# The table

ph2_refused, ph2_repaired = partial(refused, release=PH2), partial(repaired, release=PH2)

PHOTOGRAPHS = [
    refused(
        "missing mask",
        removed(MASK),
        f"{UNPAIRED} images without a mask (1: 0): unpack the release completely",
    ),
    refused(
        "missing image",
        removed(IMAGE),
        f"{UNPAIRED} masks without an image (1: 0): unpack the release completely",
    ),
    refused(
        "image in a format that no release uses",
        photo(PHOTO, "0.tiff"),
        f"{UNPAIRED} masks without an image (1: 0); images must end in .jpeg, .jpg, .png, got 1: 0.tiff: "
        "unpack the release completely",
    ),
    refused(
        "image without an ending",
        moved(IMAGE, f"{IMAGES}/0"),
        f"{UNPAIRED} masks without an image (1: 0); images must end in .jpeg, .jpg, .png, got 1: 0: unpack "
        "the release completely",
    ),
    refused(
        "ids that differ in case only",
        both(renamed("a"), copied(f"{IMAGES}/a.jpg", f"{IMAGES}/A.jpg")),
        f"{TWINS} a is there twice: FOLDER/{IMAGES}/A.jpg and FOLDER/{IMAGES}/a.jpg; remove one of them",
    ),
    refused(
        "image of one id as JPEG and as PNG",
        copied(IMAGE, f"{IMAGES}/0.png"),
        f"{TWINS} 0 is there twice: FOLDER/{IMAGES}/0.jpg and FOLDER/{IMAGES}/0.png; remove one of them",
    ),
    refused(
        "two masks of one image",
        copied(MASK, f"{MASKS}/0_segmentation.png"),
        f"{TWINS} 0 is there twice: FOLDER/{MASKS}/0_Segmentation.png and FOLDER/{MASKS}/0_segmentation.png; "
        "remove one of them",
    ),
    repaired("ending in capitals", moved(IMAGE, f"{IMAGES}/0.JPG"), "read like any other", shows()),
    repaired("file name with a space", renamed("a b"), "the id keeps the space", shows(identifier="a b")),
    repaired("file name beyond ASCII", renamed("l\xe4sion"), "the id keeps the letter", shows(identifier="l\xe4sion")),
    repaired(
        "file name with decomposed accents, as macOS writes them",
        both(renamed("l\xe4sion"), moved(f"{IMAGES}/l\xe4sion.jpg", f"{IMAGES}/la\u0308sion.jpg")),
        "the accents are composed",
        shows(identifier="l\xe4sion"),
    ),
    refused(
        "file name that is no text",
        both(moved(IMAGE, f"{IMAGES}/0\udce4.jpg"), moved(MASK, f"{MASKS}/0\udce4_Segmentation.png")),
        f"'FOLDER/{IMAGES}/0\\udce4.jpg' must have a name of printable letters in UTF-8: rename it",
    ),
    repaired("superpixels beside the images", copied(MASK, f"{IMAGES}/0_superpixels.png"), "ignored", shows()),
    # Damage
    refused(
        "truncated JPEG",
        truncated(IMAGE),
        f"FOLDER/{IMAGE} cannot be read as an image (REASON): download it again",
    ),
    refused(
        "truncated mask",
        truncated(MASK),
        f"FOLDER/{MASK} cannot be read as an image (REASON): download it again",
    ),
    refused(
        "image of zero bytes",
        holding(IMAGE, b""),
        f"FOLDER/{IMAGE} must be an image, but is empty (0 bytes): download it again",
    ),
    refused(
        "mask of zero bytes",
        holding(MASK, b""),
        f"FOLDER/{MASK} must be an image, but is empty (0 bytes): download it again",
    ),
    refused(
        "web page saved as an image",
        holding(IMAGE, b"<html>404</html>"),
        f"FOLDER/{IMAGE} cannot be read as an image (no known image format): download it again",
    ),
    refused(
        "decompression bomb",
        holding(IMAGE, claiming(20_000)),
        f"FOLDER/{IMAGE} must have at most 89 million pixels, but has more, as decompression bombs do: make it smaller",
    ),
    refused(
        "image of 100 million pixels",
        holding(IMAGE, claiming(10_000)),
        f"FOLDER/{IMAGE} must have at most 89 million pixels, but has more, as decompression bombs do: make it smaller",
    ),
    # Forms of images
    repaired("PNG with the ending of a JPEG", photo(PHOTO, format="PNG"), "read by its content", shows(PHOTO)),
    repaired(
        "image in CMYK",
        photo(Image.fromarray(PHOTO).convert("CMYK"), quality=95, subsampling=0),
        "converted to RGB",
        shows(PHOTO),
    ),
    repaired("grey image", photo(GREY, quality=95), "the channels become equal", shows(GREY)),
    repaired("image of 1 bit", photo(DISC > 0, "0.png"), "becomes 0 and 255", shows(DISC)),
    repaired("image with a palette", photo(palette(GREY), "0.png"), "gets the colours of its palette", shows(GREY)),
    repaired(
        "image with a palette and a transparent colour",
        photo(palette(GREY), "0.png", transparency=100),
        "transparency is dropped, the colour below stays",
        shows(GREY),
    ),
    repaired(
        "image with alpha",
        photo(np.dstack([PHOTO, 0 * GREY]), "0.png"),
        "alpha is dropped, the colour below stays",
        shows(PHOTO),
    ),
    repaired(
        "grey image with alpha",
        photo(Image.merge("LA", [Image.fromarray(GREY), Image.new("L", SIZE)]), "0.png"),
        "alpha is dropped, the channels become equal",
        shows(GREY),
    ),
    refused(
        "grey image of 16 bits",
        photo(GREY.astype(np.uint16) * 257, "0.png"),
        f"FOLDER/{IMAGES}/0.png must have 8 bits per channel, got 16: save it with 8",
    ),
    refused(
        "colour image of 16 bits",
        colours_of_16_bits,
        f"FOLDER/{IMAGES}/0.png must have 8 bits per channel, got 16: save it with 8",
    ),
    refused(
        "floating-point image",
        photo(GREY.astype(np.float32), format="TIFF"),
        f"FOLDER/{IMAGE} must have 8 bits per channel, got mode 'F': save it as RGB",
    ),
    repaired("image with an EXIF rotation", turned(6), "turned upright", shows(PHOTO)),
    refused(
        "image with broken EXIF data",
        broken_exif,
        f"FOLDER/{IMAGE} has EXIF data that cannot be read (REASON): save it without",
    ),
    repaired(
        "image with an EXIF rotation, but a mask of the stored pixels",
        both(turned(6), mask(np.rot90(DISC).copy())),
        "not turned",
        shows(np.rot90(PHOTO), np.rot90(DISC)),
        says="images whose EXIF orientation was ignored, since the mask has the size of the stored pixels (1: 0)",
    ),
    # Masks
    refused(
        "mask of another size than its image",
        mask(disc((47, 36))),
        f"FOLDER/{MASK} must have the size of its image, 48 x 36 pixels, but is 47 x 36: take both from the same "
        "release",
    ),
    repaired(
        "mask without any lesion",
        mask(0 * DISC),
        "kept",
        shows(lesion=0 * DISC),
        says="masks without any lesion (1: 0)",
    ),
    repaired(
        "mask that is lesion everywhere",
        mask(0 * DISC + 255),
        "kept",
        shows(lesion=0 * DISC + 255),
        says="masks that are lesion everywhere (1: 0)",
    ),
    repaired(
        "mask with values from 0 to 255 along the rim",
        mask(with_rim()),
        "lesion from 128 up",
        shows(lesion=with_rim()),
        says="masks with values other than 0 and 255: 128 and up became lesion (1: 0)",
    ),
    repaired(
        "mask stored as JPEG",
        mask(DISC, "0_Segmentation.jpg"),
        "lesion from 128 up, which removes the noise of the compression",
        shows(),
        says="masks with values other than 0 and 255: 128 and up became lesion (1: 0)",
    ),
    refused(
        "mask of 0 and 1",
        mask(DISC // 255),
        f"FOLDER/{MASK} must hold 0 for background and 255 for lesion, but its largest value is 1: multiply it so that "
        "lesion is 255",
    ),
    repaired("mask stored as RGB", mask(np.dstack([DISC] * 3)), "one of the equal channels is taken", shows()),
    repaired("mask of 1 bit", mask(DISC > 0), "read like one of 0 and 255", shows()),
    repaired(
        "mask with a palette",
        mask(palette((DISC == 0).astype(np.uint8), (255, 255, 255), (0, 0, 0))),
        "read by its colours, not by their numbers",
        shows(),
    ),
    refused(
        "mask in colours",
        mask(np.dstack([DISC, DISC, 0 * DISC])),
        f"FOLDER/{MASK} must be a mask of one channel, got colours that differ: save it as grey",
    ),
    refused(
        "mask with alpha",
        mask(np.dstack([DISC] * 4)),
        f"FOLDER/{MASK} must be an 8-bit mask of one channel, got mode 'RGBA': save it as grey",
    ),
    refused(
        "mask of 16 bits",
        mask(DISC.astype(np.uint16)),
        f"FOLDER/{MASK} must have 8 bits per channel, got 16: save it with 8",
    ),
    refused(
        "inverted mask",
        mask(255 - DISC),
        f"FOLDER/{MASK} must be lesion inside and background outside, but its background lies inside only: invert it",
    ),
    # PH2
    ph2_refused(
        "PH2: missing mask",
        removed(PH2_MASK),
        "every case must have an image and a mask, but IMDxxx_lesion/IMDxxx_lesion.bmp is missing (1: IMD001): unpack "
        "the release completely",
    ),
    ph2_refused(
        "PH2: missing image",
        removed(PH2_IMAGE),
        "every case must have an image and a mask, but IMDxxx_Dermoscopic_Image/IMDxxx.bmp is missing (1: IMD001): "
        "unpack the release completely",
    ),
    ph2_refused(
        "PH2: two masks of one image",
        copied(PH2_MASK, PH2_MASK.replace(".bmp", ".png")),
        f"every case must have one mask, but some have several (1: IMD001), such as FOLDER/{PH2_MASK} and "
        f"FOLDER/{PH2_MASK.replace('.bmp', '.png')}: keep one, or give one copy of the release",
    ),
    ph2_refused(
        "PH2: case twice",
        copied(PH2_CASE, "copy/IMD001"),
        f"every case must have one image, but some have several (1: IMD001), such as FOLDER/{PH2_IMAGE} and "
        "FOLDER/copy/IMD001/IMD001_Dermoscopic_Image/IMD001.bmp: keep one, or give one copy of the release",
    ),
    ph2_repaired(
        "PH2: mask stored as RGB",
        ph2_mask(np.dstack([SQUARE * np.uint8(255)] * 3)),
        "one of the equal channels is taken",
        ph2_shows(),
    ),
    ph2_repaired(
        "PH2: mask stored as JPEG",
        ph2_mask(SQUARE * np.uint8(255), ".jpg"),
        "lesion from 128 up, which removes the noise of the compression",
        ph2_shows(),
        says="masks with values other than 0 and 255: 128 and up became lesion (1: IMD001)",
    ),
    ph2_refused(
        "PH2: inverted mask",
        ph2_mask(~SQUARE),
        f"FOLDER/{PH2_MASK} must be lesion inside and background outside, but its background lies inside only: invert "
        "it",
    ),
    ph2_repaired(
        "PH2: no table",
        removed(PH2_TABLE),
        "converted without diagnoses",
        ph2_shows(),
        says="PH2_dataset.txt with the diagnoses is not there, so the folds share small and large lesions instead",
    ),
    ph2_repaired(
        "PH2: case that the table lacks",
        altered(PH2_TABLE, lambda table: b"".join(line for line in table.splitlines(True) if b"IMD001" not in line)),
        "converted without a diagnosis",
        ph2_shows(),
        says="cases that are not in PH2_dataset.txt, so without a diagnosis (1: IMD001)",
    ),
    ph2_refused(
        "PH2: case that the table lists twice",
        text(PH2_TABLE, "IMD002", "IMD001"),
        f"FOLDER/{PH2_TABLE} must be the table as published, but lists IMD001 twice: take it from the release, or "
        "remove it to convert without",
    ),
    ph2_refused(
        "PH2: unknown diagnosis",
        altered(PH2_TABLE, lambda table: table.replace(b"         1         ", b"         7         ", 1)),
        f"FOLDER/{PH2_TABLE} must be the table as published, but says '7' in column clinical_diagnosis of IMD001: take "
        "it from the release, or remove it to convert without",
    ),
    ph2_refused(
        "PH2: table with another header",
        text(PH2_TABLE, "Asymmetry", "Shape"),
        f"FOLDER/{PH2_TABLE} must be the table as published, but lacks the published header: take it from the release, "
        "or remove it to convert without",
    ),
    ph2_refused(
        "PH2: empty table",
        holding(PH2_TABLE, b""),
        f"FOLDER/{PH2_TABLE} must be the table as published, but lacks the published header: take it from the release, "
        "or remove it to convert without",
    ),
    ph2_refused(
        "PH2: two tables",
        copied(PH2_TABLE, "PH2_dataset.txt"),
        f"PH2_dataset.txt must be there once, got FOLDER/{PH2_TABLE} and FOLDER/PH2_dataset.txt: keep one of them",
    ),
]
