"""Reading photographs and lesion masks: every way a release may hold them ends in RGB and in lesion or not.

Photographs become 8-bit RGB: grey, palette and CMYK images are converted and an alpha channel is dropped. Masks are
lesion from 128 up, as the ISIC challenge scores them; a mask may be stored in one channel, one bit, as a palette, in
equal colour channels or as JPEG. What cannot be meant is refused.
"""

import hashlib
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from nnunet_sgdc.datasets.collection import Sample
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.source_files import SourceFile

LESION_THRESHOLD = 128
LESION_TABLE = [int(value >= LESION_THRESHOLD) for value in range(256)]
# A mask that fills the border is inverted if its background is a larger share than this; annotators leave pinholes.
LARGEST_PINHOLE = 0.01
# Modes that Pillow turns into 8-bit RGB without clipping values; 16-bit and float modes are not among them.
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
MASK_MODES = frozenset({"1", "L", "P", "RGB"})
# Pillow reads colour PNGs of 16 bits as RGB of 8; only its raw mode tells.
SIXTEEN_BIT = ";16"

# Pillow reports broken PNG chunks, TIFF tags and EXIF data in many ways.
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error)

GREY_VALUES = f"masks with values other than 0 and 255: {LESION_THRESHOLD} and up became lesion"
NO_LESION = "masks without any lesion"
ALL_LESION = "masks that are lesion everywhere"
STORED_ORIENTATION = "images whose EXIF orientation was ignored, since the mask has the size of the stored pixels"


def load_photograph(image_file: SourceFile, mask_file: SourceFile | None) -> Sample:
    """Read an image and, where there is one, its mask.

    The image is turned upright as its EXIF orientation says, unless only the stored pixels fit the mask.

    Raises:
        ConversionError: A file cannot be decoded, is no 8-bit image or no mask, or their sizes differ.
    """
    content = image_file.read()
    sources = {str(image_file.path): _sha256(content)}
    stored = decoded(content, image_file)
    upright = _upright(stored, image_file)
    if mask_file is None:
        return Sample(_rgb(upright, image_file), None, sources)
    content = mask_file.read()
    sources[str(mask_file.path)] = _sha256(content)
    mask = decoded(content, mask_file)
    if mask.size not in (upright.size, stored.size):
        raise ConversionError(
            f"{mask_file} must have the size of its image, {_shown(upright.size)} pixels, but is {_shown(mask.size)}: "
            "take both from the same release"
        )
    image, turned = (upright, ()) if mask.size == upright.size else (stored, (STORED_ORIENTATION,))
    label, remarks = lesion_label(mask, mask_file)
    return Sample(_rgb(image, image_file), label, sources, remarks=turned + remarks)


def decoded(content: bytes, name: object) -> Image.Image:
    """The pixels of an image file.

    Args:
        content: The file.
        name: What messages call it.

    Raises:
        ConversionError: It is empty, no image, damaged, or suspiciously large.
    """
    if not content:
        raise ConversionError(f"{name} must be an image, but is empty (0 bytes): download it again")
    try:
        with Image.open(io.BytesIO(content)) as image:
            _check_extent(image, name)
            if any(SIXTEEN_BIT in str(tile) for tile in image.tile):
                raise ConversionError(f"{name} must have 8 bits per channel, got 16: save it with 8")
            image.load()
            return image
    except ConversionError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ConversionError(f"{name} {_too_large()}") from error
    except DAMAGE as error:
        raise ConversionError(f"{name} cannot be read as an image ({_reason(error)}): download it again") from error


def lesion_label(mask: Image.Image, name: object) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The mask with 1 for lesion and 0 for background, and what is worth telling of it.

    Args:
        mask: One channel of 8 bits, or several that are equal.
        name: What messages call it.

    Raises:
        ConversionError: It is no 8-bit mask, its channels differ, it would lose all it holds at the threshold as a mask
            of 0 and 1 would, or it is inverted.
    """
    grey = _one_channel(mask, name)
    counts = grey.histogram()
    background, lesion = sum(counts[:LESION_THRESHOLD]), sum(counts[LESION_THRESHOLD:])
    if not lesion and any(counts[1:]):
        largest = max(value for value, count in enumerate(counts) if count)
        raise ConversionError(
            f"{name} must hold 0 for background and 255 for lesion, but its largest value is {largest}: "
            "multiply it so that lesion is 255"
        )
    label = np.asarray(grey.point(LESION_TABLE))
    if background > LARGEST_PINHOLE * label.size and _fills_border(label):
        raise ConversionError(
            f"{name} must be lesion inside and background outside, but its background lies inside only: invert it"
        )
    told = {GREY_VALUES: any(counts[1:255]), NO_LESION: not lesion, ALL_LESION: not background}
    return label, tuple(remark for remark, applies in told.items() if applies)


def _fills_border(label: NDArray[np.uint8]) -> bool:
    return bool(label[0].all() and label[-1].all() and label[:, 0].all() and label[:, -1].all())


def _check_extent(image: Image.Image, name: object) -> None:
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise ConversionError(f"{name} {_too_large()}")


def _too_large() -> str:
    limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
    return f"must have at most {limit:.0f} million pixels, but has more, as decompression bombs do: make it smaller"


def _upright(image: Image.Image, name: object) -> Image.Image:
    """The image turned as its EXIF data say; most say nothing, and then nothing is copied."""
    try:
        return ImageOps.exif_transpose(image) if image.getexif() else image
    except DAMAGE as error:
        raise ConversionError(f"{name} has EXIF data that cannot be read ({error}): save it without") from error


def _reason(error: Exception) -> str:
    # Pillow names the bytes in memory, which tells nobody anything.
    return "no known image format" if isinstance(error, UnidentifiedImageError) else str(error)


def _rgb(image: Image.Image, name: object) -> Image.Image:
    if image.mode not in EIGHT_BIT_MODES:
        raise ConversionError(f"{name} must have 8 bits per channel, got mode {image.mode!r}: save it as RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _one_channel(mask: Image.Image, name: object) -> Image.Image:
    if mask.mode not in MASK_MODES:
        raise ConversionError(f"{name} must be an 8-bit mask of one channel, got mode {mask.mode!r}: save it as grey")
    if mask.mode in ("1", "L"):
        return mask.convert("L") if mask.mode == "1" else mask
    red, *others = mask.convert("RGB").split()
    if any(ImageChops.difference(red, other).getbbox() for other in others):
        raise ConversionError(f"{name} must be a mask of one channel, got colours that differ: save it as grey")
    return red


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
