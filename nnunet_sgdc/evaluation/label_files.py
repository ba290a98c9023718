"""Label maps in files: those of nnU-Net, and masks as challenges publish and collect them.

A file named `<id>_segmentation` holds a mask of 0 and 255, any other one the labels themselves.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.datasets.images import DAMAGE, lesion_label
from nnunet_sgdc.errors import counted
from nnunet_sgdc.evaluation.errors import EvaluationError

ENDINGS = frozenset({".png", ".bmp", ".tif", ".tiff"})
# Modes of one channel whose values are labels.
LABEL_MODES = frozenset({"1", "L", "P", "I", "I;16", "F"})
MASK_SUFFIX = "_segmentation"


def label_files(folder: Path, argument: str) -> dict[str, Path]:
    """The label files of a folder by case.

    Args:
        folder: The folder.
        argument: What messages call it.

    Raises:
        EvaluationError: It is no folder, holds no label file, or two of one case.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{argument} must be a folder, got {str(folder)!r}: give the one with the label maps")
    paths = [path for path in sorted(folder.iterdir()) if _is_label_file(path)]
    files = {case_of(path): path for path in paths}
    if not files:
        raise EvaluationError(
            f"{argument} must hold 2-D label maps ({', '.join(sorted(ENDINGS))}), but {folder} holds none: "
            "give the folder they lie in"
        )
    if len(files) < len(paths):
        twice = sorted(path.name for path in paths if path not in files.values())
        raise EvaluationError(
            f"{folder} must hold one file of each case, but two of some ({counted(twice)}): move them"
        )
    return files


def case_of(path: Path) -> str:
    """The case that a file belongs to."""
    return path.stem[: -len(MASK_SUFFIX)] if is_mask(path) else path.stem


def is_mask(path: Path) -> bool:
    """Whether a file is named as a mask of 0 and 255."""
    return path.stem.lower().endswith(MASK_SUFFIX)


def read_truth(path: Path) -> NDArray[np.generic]:
    """The true labels of a file, of shape (H, W).

    Raises:
        ConversionError: It is no mask where its name says so.
        EvaluationError: It is no image, or has several channels.
        OSError: It cannot be opened.
    """
    image = _decoded(path)
    return lesion_label(image, path)[0] if is_mask(path) else _labels(image, path)


def read_prediction(path: Path) -> NDArray[np.generic]:
    """The predicted labels of a file, of shape (H, W).

    Raises:
        EvaluationError: It is no image, has several channels, or has values other than 0 and 255 where its name says
            that it is a mask.
        OSError: It cannot be opened.
    """
    values = _labels(_decoded(path), path)
    if not is_mask(path):
        return values
    strange = np.setdiff1d(values, (0, 255))
    if strange.size:
        raise EvaluationError(
            f"{path} must hold 0 and 255 only, as masks named <id>{MASK_SUFFIX} do, got {strange[0]}: name label maps "
            "<id>"
        )
    mask: NDArray[np.bool_] = values == 255
    return mask


def _is_label_file(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def _labels(image: Image.Image, path: Path) -> NDArray[np.generic]:
    if image.mode not in LABEL_MODES:
        raise EvaluationError(
            f"{path} must be a label map of one channel, got mode {image.mode!r}: give labels, not a picture of them"
        )
    return np.asarray(image)


def _decoded(path: Path) -> Image.Image:
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return image
    except (*DAMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EvaluationError(f"{path} must be an image, got {error}: write it again") from error
