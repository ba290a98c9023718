"""Images in nnU-Net's raw format, `<case>_0000.png` and so on: which files are a case, and its pixels to look at."""

import io
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.datasets.images import DAMAGE
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.label_files import ENDINGS

IMAGE_NAME = re.compile(r"(?P<case>.+)_\d{4}")
# One channel of more than 8 bits.
DEEP_MODES = frozenset({"I", "I;16", "F"})


def image_files(folder: Path, argument: str) -> dict[str, tuple[Path, ...]]:
    """The image files of a folder by case: a single one, or one of each channel.

    Args:
        folder: The folder.
        argument: What messages call it.

    Raises:
        EvaluationError: It is no folder or holds no such image.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{argument} must be a folder, got {str(folder)!r}: give the one with the images")
    files: dict[str, tuple[Path, ...]] = defaultdict(tuple)
    for path in sorted(folder.iterdir()):
        named = IMAGE_NAME.fullmatch(path.stem)
        if named and path.suffix.lower() in ENDINGS and not path.name.startswith("."):
            files[named["case"]] += (path,)
    if not files:
        raise EvaluationError(
            f"{argument} must hold 2-D images named <case>_0000 ({', '.join(sorted(ENDINGS))}), but {folder} holds "
            "none: give nnU-Net's folder of the images that were predicted"
        )
    return dict(files)


def read_image(files: Sequence[Path]) -> NDArray[np.uint8]:
    """An image as it is looked at, of shape (H, W, 3): its first three channels, or one in grey.

    Values of more than 8 bits are stretched from the least to the greatest.

    Args:
        files: The single file, or one of each channel.

    Raises:
        EvaluationError: A file is no image, holds values that are not finite, or channels differ in size.
        OSError: A file cannot be opened.
    """
    if len(files) < 3:
        return _read_rgb(files[0])
    channels = [_read_rgb(file)[..., 0] for file in files[:3]]
    for file, channel in zip(files[1:3], channels[1:], strict=True):
        if channel.shape != channels[0].shape:
            raise EvaluationError(
                f"{file} must have the size of {files[0].name}, (rows, columns) = {channels[0].shape}, "
                f"got {channel.shape}: convert the data again"
            )
    return np.stack(channels, axis=-1)


def _read_rgb(file: Path) -> NDArray[np.uint8]:
    content = file.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode in DEEP_MODES:
                return np.repeat(_stretched(np.asarray(image), file)[..., None], 3, axis=-1)
            return np.asarray(image.convert("RGB"))
    except EvaluationError:
        raise
    except (*DAMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EvaluationError(f"{file} must be an image, got {error}: convert the data again") from error


def _stretched(values: NDArray[np.generic], file: Path) -> NDArray[np.uint8]:
    levels = values.astype(np.float64)
    if not np.isfinite(levels).all():
        raise EvaluationError(f"{file} must hold finite values, got NaN or infinity: convert the data again")
    least, greatest = levels.min(), levels.max()
    stretched: NDArray[np.float64] = 255 * (levels - least) / max(greatest - least, np.finfo(float).tiny)
    return stretched.astype(np.uint8)
