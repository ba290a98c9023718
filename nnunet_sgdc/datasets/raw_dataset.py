"""A data set folder in nnU-Net's raw format that appears complete or not at all.

Everything is written to a hidden folder beside the target, which nnU-Net does not see, and renamed at the end.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_sgdc.datasets.errors import ConversionError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RAW_VARIABLE = "nnUNet_raw"
# nnU-Net refuses an id that stands for two names anywhere in these.
FOLDER_VARIABLES = (RAW_VARIABLE, "nnUNet_preprocessed", "nnUNet_results")


def raw_folder(raw: Path | None) -> Path:
    """The folder of raw data sets: `raw` if given, else what the environment variable nnUNet_raw names.

    Raises:
        ConversionError: Neither is given, or the folder does not exist.
    """
    named = raw if raw is not None else os.environ.get(RAW_VARIABLE)
    if not named:
        raise ConversionError(
            "the environment variable nnUNet_raw must name the folder of raw data sets, but is not set: set it, or "
            "give --raw FOLDER"
        )
    folder = Path(named)
    if not folder.is_dir():
        raise ConversionError(
            f"the folder of raw data sets (nnUNet_raw or --raw) must exist, got {str(folder)!r}: create it"
        )
    return folder


def dataset_name(dataset_id: int, name: str) -> str:
    """The folder name nnU-Net expects, as in `Dataset116_ISIC2016`.

    Raises:
        ConversionError: The id is not within 1 to 999, or the name has characters that nnU-Net's commands stumble over.
    """
    if not 1 <= dataset_id <= 999:
        raise ConversionError(f"dataset id must be from 1 to 999, got {dataset_id}")
    if not NAME_PATTERN.fullmatch(name):
        raise ConversionError(f"name must consist of letters, digits, '_' and '-', got {name!r}")
    return f"Dataset{dataset_id:03d}_{name}"


def check_vacant(target: Path, overwrite: bool) -> None:
    """Check that the data set may be written.

    Args:
        target: The data set folder inside the folder of raw data sets.
        overwrite: Whether a data set of this very name may be replaced.

    Raises:
        ConversionError: The target exists and may not be replaced, or its id belongs to a data set of another name.
    """
    identifier = target.name.partition("_")[0]
    holders = [path for place in _known_folders(target.parent) for path in sorted(place.glob(f"{identifier}*"))]
    others = [path for path in holders if path.name != target.name]
    if others:
        raise ConversionError(f"dataset id {identifier[-3:]} already belongs to {others[0]}: choose another id")
    if target.exists() and not overwrite:
        raise ConversionError(f"{target} exists already: give --overwrite to replace it, or choose another id")
    if target.is_symlink():
        raise ConversionError(f"{target} is a link, which cannot be replaced safely: remove it, or choose another id")


@contextmanager
def staged(target: Path, overwrite: bool) -> Iterator[Path]:
    """Give a hidden empty folder that becomes `target` when the block ends well, and disappears when it does not.

    Args:
        target: The folder to appear.
        overwrite: Whether `target` may be replaced; the old one stays until the new one is complete.
    """
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    partial.mkdir()
    try:
        yield partial
        if overwrite and target.exists():
            _swap(partial, target)
        else:
            partial.rename(target)
    except BaseException:
        if partial.exists():
            shutil.rmtree(partial)
        raise


def _known_folders(raw: Path) -> list[Path]:
    return [raw, *(Path(os.environ[name]) for name in FOLDER_VARIABLES if os.environ.get(name))]


def _swap(new: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.replaced-{os.getpid()}")
    try:
        target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old)
