"""The four files of the CoNIC challenge 2022, found, checked for their form and opened.

images.npy      patches of shape (patches, 256, 256, 3), 8-bit RGB
labels.npy      of shape (patches, 256, 256, 2): number and class of the nucleus at every pixel
counts.csv      nuclei of each class in the centre of the patch
patch_info.csv  names such as consep_1-0000, the first patch of the image consep_1

The arrays are some gigabytes and are mapped into memory, so that only the patches at work are read.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.source_files import SourceFile
from nnunet_sgdc.datasets.source_tree import SourceTree

IMAGES, LABELS, COUNTS, NAMES = FILE_NAMES = ("images.npy", "labels.npy", "counts.csv", "patch_info.csv")
CHUNK = 1024**2


@dataclass(frozen=True)
class ReleaseFile:
    """A file of the release; its text is where the user knows it to be.

    Attributes:
        path: Where it lies in the source.
        location: What messages call it.
        disk: A file on disk with its content.
    """

    path: PurePosixPath
    location: str
    disk: Path

    def sha256(self) -> str:
        """SHA-256 of the content, of which little is held in memory."""
        digest = hashlib.sha256()
        with self.disk.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def __str__(self) -> str:
        return self.location


def find_files(tree: SourceTree, scratch: Path) -> dict[str, ReleaseFile]:
    """Find the four files by their published names, wherever they lie.

    Args:
        tree: The download.
        scratch: A folder for copies of files that lie in archives.

    Returns:
        The files by name.

    Raises:
        ConversionError: A file is missing, or it is not clear which one is meant.
        OSError: A copy cannot be written.
    """
    chosen = _chosen_files(tree)
    return {name: ReleaseFile(file.path, str(file), file.local(scratch)) for name, file in chosen.items()}


def open_images(file: ReleaseFile) -> NDArray[np.uint8]:
    """The images of shape (patches, height, width, 3), each read when it is used.

    Raises:
        ConversionError: The file is damaged, or of another shape or type.
    """
    array = _mapped(file, 3)
    if array.dtype != np.uint8:
        raise ConversionError(f"{file} must be of type uint8, got {array.dtype}: save it with 8 bits per channel")
    return array


def open_labels(file: ReleaseFile) -> NDArray[np.integer]:
    """Numbers and classes of shape (patches, height, width, 2), each patch read when it is used.

    Raises:
        ConversionError: The file is damaged, or of another shape or type.
    """
    array = _mapped(file, 2)
    if array.dtype.kind not in "iu":
        raise ConversionError(f"{file} must be of an integer type, got {array.dtype}: save it as uint16")
    return array


def read_table(file: ReleaseFile, header: Sequence[str]) -> list[list[str]]:
    """The rows of a table, as many cells each as the header has.

    Raises:
        ConversionError: The file is no text, or its header or a row is another.
    """
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(_lines(file))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConversionError(f"{file} must be a table in UTF-8, but is none ({error}): download it again") from error
    if not rows or rows[0] != list(header):
        found = ",".join(rows[0]) if rows else ""
        raise ConversionError(f"{file} must begin with {','.join(header)!r}, got {found!r}: download it again")
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header) or not all(row):
            expected = "cell" if len(header) == 1 else "cells"
            raise ConversionError(
                f"{file} must have {len(header)} {expected} in line {line}, got {','.join(row)!r}: download it again"
            )
    return rows[1:]


def _lines(file: ReleaseFile) -> list[str]:
    # Spreadsheets put a mark before the first line, and editors empty lines after the last.
    return file.disk.read_text(encoding="utf-8-sig").rstrip().splitlines()


def _mapped(file: ReleaseFile, channels: int) -> NDArray[Any]:
    """An array of shape (patches, height, width, channels)."""
    try:
        array = np.lib.format.open_memmap(file.disk, mode="r")
    # A damaged header fails as Python code may.
    except (ValueError, TypeError, OverflowError, EOFError, TokenError) as error:
        raise ConversionError(
            f"{file} must be an array of numbers as numpy.save writes it, but is none ({error}): download it again"
        ) from error
    if array.ndim != 4 or array.shape[-1] != channels or array.size == 0:
        raise ConversionError(
            f"{file} must be of shape (patches, height, width, {channels}), got {array.shape}: download it again"
        )
    return array


def _chosen_files(tree: SourceTree) -> dict[str, SourceFile]:
    """The files of the only folder that holds all four, else those that are there once."""
    folders: dict[PurePosixPath, dict[str, SourceFile]] = defaultdict(dict)
    for file in tree.files:
        if file.path.name in FILE_NAMES:
            folders[file.path.parent][file.path.name] = file
    complete = [folder for folder, files in folders.items() if len(files) == len(FILE_NAMES)]
    if len(complete) > 1:
        held = ", ".join(str(tree.location / folder) for folder in complete)
        raise ConversionError(f"source must hold the CoNIC release once, but each of {held} holds it: give one of them")
    if complete:
        return folders[complete[0]]
    return {
        name: _only(name, [files[name] for files in folders.values() if name in files], tree) for name in FILE_NAMES
    }


def _only(name: str, found: Sequence[SourceFile], tree: SourceTree) -> SourceFile:
    if len(found) > 1:
        raise ConversionError(
            f"{name} was found more than once below {tree.location}: {', '.join(map(str, found))}; keep the one that "
            "belongs to the other files"
        )
    if not found:
        present = ", ".join(tree.top_level_names()) or "nothing"
        raise ConversionError(
            f"{name} was not found below {tree.location}: expected {', '.join(FILE_NAMES)}, got {present}; download it"
        )
    return found[0]
