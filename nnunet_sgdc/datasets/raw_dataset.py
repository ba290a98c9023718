"""Where data sets lie in nnU-Net's folder of raw data sets, and whether one may be written."""

import os
import re
from pathlib import Path

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.staging import check_replaceable

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RAW_VARIABLE = "nnUNet_raw"
# nnU-Net refuses an id that stands for two names anywhere in these.
PREPROCESSED_VARIABLE = "nnUNet_preprocessed"
FOLDER_VARIABLES = (RAW_VARIABLE, PREPROCESSED_VARIABLE, "nnUNet_results")
EXTERNAL_PREFIX = "external_"


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
    _check_name(name)
    return f"{_prefix(dataset_id)}_{name}"


def dataset_folder(raw: Path, dataset_id: int) -> Path:
    """The one existing data set of this id.

    Raises:
        ConversionError: There is none or more than one.
    """
    found = sorted(path for path in raw.glob(f"{_prefix(dataset_id)}_*") if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ConversionError(
            f"{raw} must hold one data set of id {dataset_id}, got {names}: convert it first, or choose another id"
        )
    return found[0]


def external_folder(host: Path, name: str) -> Path:
    """The folder of an external test set inside a data set.

    Raises:
        ConversionError: The name has characters that nnU-Net's commands stumble over.
    """
    _check_name(name)
    return host / f"{EXTERNAL_PREFIX}{name}"


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
    check_replaceable(target, overwrite)
    # With a dot those that are being written.
    tests = sorted(path.name for dot in ("", ".") for path in target.glob(f"{dot}{EXTERNAL_PREFIX}*"))
    if tests:
        raise ConversionError(
            f"{target} holds external test sets made for it ({', '.join(tests)}), which --overwrite would lose: remove "
            "them first and convert them again afterwards"
        )


def _prefix(dataset_id: int) -> str:
    if not 1 <= dataset_id <= 999:
        raise ConversionError(f"dataset id must be from 1 to 999, got {dataset_id}: choose one in between")
    return f"Dataset{dataset_id:03d}"


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise ConversionError(f"name must consist of letters, digits, '_' and '-', got {name!r}: choose another")


def _known_folders(raw: Path) -> list[Path]:
    return [raw, *(Path(os.environ[name]) for name in FOLDER_VARIABLES if os.environ.get(name))]
