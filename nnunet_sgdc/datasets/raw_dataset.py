"""A data set folder in nnU-Net's raw format that appears complete or not at all.

Everything is written to a hidden folder beside the target, which nnU-Net does not see, and renamed at the end. What a
killed conversion left behind is put right by the next one of the same data set.
"""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_sgdc.datasets.errors import ConversionError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RAW_VARIABLE = "nnUNet_raw"
# nnU-Net refuses an id that stands for two names anywhere in these.
PREPROCESSED_VARIABLE = "nnUNet_preprocessed"
FOLDER_VARIABLES = (RAW_VARIABLE, PREPROCESSED_VARIABLE, "nnUNet_results")
EXTERNAL_PREFIX = "external_"
# Hidden folders that this process is at work in.
_active: set[str] = set()


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


def check_replaceable(target: Path, overwrite: bool) -> None:
    """Check that a folder may appear under this path.

    Raises:
        ConversionError: Something is there and may not be replaced.
    """
    if target.is_symlink():
        raise ConversionError(f"{target} is a link, which cannot be replaced safely: remove it, or choose another id")
    if target.exists() and not overwrite:
        raise ConversionError(f"{target} exists already: give --overwrite to replace it, or choose another id")


@contextmanager
def staged(target: Path, overwrite: bool) -> Iterator[Path]:
    """Give a hidden empty folder that becomes `target` when the block ends well, and disappears when it does not.

    Args:
        target: The folder to appear.
        overwrite: Whether `target` may be replaced; the old one stays until the new one is complete.
    """
    recover(target)
    partial = target.with_name(f".{target.name}.partial-{_owner()}")
    partial.mkdir()
    _active.add(partial.name)
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
    finally:
        _active.discard(partial.name)


@contextmanager
def scratch(raw: Path, name: str) -> Iterator[Path]:
    """Give a hidden empty folder in the folder of raw data sets, where there is room, which disappears afterwards.

    Args:
        raw: The folder of raw data sets.
        name: What it is for; what killed processes left under this name is removed.
    """
    recover(raw / name)
    folder = raw / f".{name}.scratch-{_owner()}"
    folder.mkdir()
    _active.add(folder.name)
    try:
        yield folder
    finally:
        _active.discard(folder.name)
        # Files that are still mapped cannot be removed everywhere; the next conversion will.
        shutil.rmtree(folder, ignore_errors=True)


def recover(target: Path) -> None:
    """Put right what a killed conversion of this data set left on this computer.

    A data set that was being replaced comes back; unfinished folders go. Those of processes that run, or that ran on
    other computers which share the disk, are not touched.
    """
    pattern = re.compile(re.escape(f".{target.name}.") + r"([a-z]+)-" + re.escape(socket.gethostname()) + "-([0-9]+)")
    for leftover in sorted(target.parent.iterdir()):
        found = pattern.fullmatch(leftover.name)
        if found is None or leftover.name in _active or _is_alive(int(found[2])):
            continue
        if found[1] == "replaced" and not target.exists():
            leftover.rename(target)
        else:
            # Another conversion may be clearing it as well.
            shutil.rmtree(leftover, ignore_errors=True)


def _prefix(dataset_id: int) -> str:
    if not 1 <= dataset_id <= 999:
        raise ConversionError(f"dataset id must be from 1 to 999, got {dataset_id}: choose one in between")
    return f"Dataset{dataset_id:03d}"


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise ConversionError(f"name must consist of letters, digits, '_' and '-', got {name!r}: choose another")


def _known_folders(raw: Path) -> list[Path]:
    return [raw, *(Path(os.environ[name]) for name in FOLDER_VARIABLES if os.environ.get(name))]


def _owner() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        # It was another process of this number, as in containers.
        return False
    if os.name == "nt":
        # Windows has no signal that only asks.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _swap(new: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.replaced-{_owner()}")
    try:
        target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    # The new data set is in place, whatever becomes of the old one; the next conversion clears what cannot go now.
    shutil.rmtree(old, ignore_errors=True)
