"""One bad input: how a good release is spoilt, what the command must say to it and what must become of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import conic_release
import numpy as np
import ph2_release
from numpy.typing import NDArray
from releases import write_release

from nnunet_sgdc.datasets import convert_conic, convert_isic, convert_ph2

Spoil = Callable[[Path], object]
Check = Callable[[Path], None]


@dataclass(frozen=True)
class Release:
    """How a good release is written and converted."""

    command: str
    main: Callable[[Sequence[str]], None]
    write: Callable[[Path], object]
    dataset: str


@dataclass(frozen=True)
class BadInput:
    """One row of docs/bad_inputs.md.

    Attributes:
        title: What is wrong with the input.
        spoil: Makes a good release, in this folder, bad.
        says: The error without the name of the command, or the lines that the report of a good release has not; FOLDER
            stands for the folder of the release, REASON for words of the operating system or of a library.
        becomes: What is done with the input.
        check: Whether the data set in this folder is right; None if the input is refused.
        release: What is spoilt.
        source: What the command is given, inside the folder of the release.
        options: More of the command line.
        unprivileged: Whether it takes a user whom file modes keep out.
    """

    title: str
    spoil: Spoil
    says: str
    becomes: str
    check: Check | None
    release: Release
    source: str
    options: tuple[str, ...]
    unprivileged: bool


LESIONS = [ph2_release.Lesion(f"IMD{number:03d}", diagnosis=number % 3) for number in range(1, 7)]
PATCHES = tuple(f"{source}-0000" for source in ("consep_1", "consep_2", "crag_1", "dpath_1", "glas_1"))
COUNTS = "0,1,1,0,0,0"
PATCH_SIDE = 16


def nuclei() -> NDArray[np.uint16]:
    """An epithelial nucleus of number 1 and a lymphocyte of number 2, shape (height, width, 2)."""
    label = np.zeros((PATCH_SIDE, PATCH_SIDE, 2), np.uint16)
    label[2:6, 2:6] = 1, 2
    label[8:11, 8:12] = 2, 3
    return label


ISIC = Release(
    convert_isic.COMMAND,
    convert_isic.main,
    # As many training cases as nnU-Net has folds.
    lambda folder: write_release(folder, counts=(5, 2)),
    "Dataset001_ISIC2016",
)
PH2 = Release(
    convert_ph2.COMMAND,
    convert_ph2.main,
    lambda folder: ph2_release.write_release(folder, LESIONS),
    "Dataset001_PH2",
)
CONIC = Release(
    convert_conic.COMMAND,
    convert_conic.main,
    lambda folder: conic_release.write_release(folder, PATCHES, nuclei(), counts=COUNTS),
    "Dataset001_CoNIC",
)


def refused(
    title: str,
    spoil: Spoil,
    says: str,
    *,
    release: Release = ISIC,
    source: str = ".",
    options: tuple[str, ...] = (),
    unprivileged: bool = False,
) -> BadInput:
    return BadInput(title, spoil, says, "refused", None, release, source, options, unprivileged)


def repaired(
    title: str,
    spoil: Spoil,
    becomes: str,
    check: Check,
    *,
    says: str = "",
    release: Release = ISIC,
    source: str = ".",
    options: tuple[str, ...] = (),
) -> BadInput:
    return BadInput(title, spoil, says, becomes, check, release, source, options, unprivileged=False)
