"""Arrays and tables of CoNIC; of the patches, the first one is spoilt."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from conic_release import COUNT_HEADER
from numpy.typing import NDArray
from releases import names, pixels

from bad_inputs.entry import CONIC, COUNTS, PATCHES, Check, Spoil, nuclei, refused, repaired
from bad_inputs.spoiling import altered, both, copied, holding, removed, text, truncated

FILES = "images.npy, labels.npy, counts.csv, patch_info.csv"
FIRST = f"FOLDER/labels.npy[0] ({PATCHES[0]})"
NO_ARRAY = "must be an array of numbers as numpy.save writes it, but is none (REASON): download it again"
NUCLEUS = np.s_[2:6, 2:6]
NUMBER, CLASS = 0, 1


def array(name: str, change: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> Spoil:
    return lambda folder: np.save(folder / name, change(np.load(folder / name)))


def first_patch(where: tuple[slice | int, ...], channel: int | slice, value: int) -> Spoil:
    def change(labels: NDArray[np.generic]) -> NDArray[np.generic]:
        changed = labels.astype(np.int32)
        changed[(0, *where, channel)] = value
        return changed

    return array("labels.npy", change)


def table(name: str, change: Callable[[list[str]], list[str]]) -> Spoil:
    """Change the lines of a table, of which the first is its header."""
    return altered(name, lambda content: "\n".join([*change(content.decode().splitlines()), ""]).encode())


def packed(folder: Path) -> None:
    with ZipFile(folder / "release.zip", "w") as archive:
        for path in sorted(folder.glob("*.*[yv]")):
            archive.write(path, f"CoNIC/{path.name}")
            path.unlink()


def with_mark(table: bytes) -> bytes:
    return b"\xef\xbb\xbf" + table + b"\n\n"


def shows(label: NDArray[np.uint16]) -> Check:
    """All patches are there, and the first one has these numbers and classes."""

    def check(folder: Path) -> None:
        assert names(folder / "labelsTr") == [f"{name}.png" for name in PATCHES]
        np.testing.assert_array_equal(pixels(folder / "instancesTr" / f"{PATCHES[0]}.png"), label[..., NUMBER])
        np.testing.assert_array_equal(pixels(folder / "labelsTr" / f"{PATCHES[0]}.png"), label[..., CLASS])

    return check


# The table

conic_refused, conic_repaired = partial(refused, release=CONIC), partial(repaired, release=CONIC)

ARRAYS = [
    conic_refused(
        "missing file",
        removed("counts.csv"),
        f"counts.csv was not found below FOLDER: expected {FILES}, got images.npy, labels.npy, patch_info.csv; "
        "download it",
    ),
    conic_refused(
        "file twice",
        both(copied("counts.csv", "a/counts.csv", "b/counts.csv"), removed("counts.csv")),
        "counts.csv was found more than once below FOLDER: FOLDER/a/counts.csv, FOLDER/b/counts.csv; keep the one that "
        "belongs to the other files",
    ),
    conic_refused(
        "release twice",
        both(*(copied(name, f"copy/{name}") for name in FILES.split(", "))),
        "source must hold the CoNIC release once, but each of FOLDER/copy, FOLDER holds it: give one of them",
    ),
    conic_repaired("all files in an archive", packed, "read without leaving copies behind", shows(nuclei())),
    # Arrays
    conic_refused(
        "images of another type",
        array("images.npy", lambda images: images / np.float64(255)),
        "FOLDER/images.npy must be of type uint8, got float64: save it with 8 bits per channel",
    ),
    conic_refused(
        "images of another shape",
        array("images.npy", lambda images: images[..., 0]),
        "FOLDER/images.npy must be of shape (patches, height, width, 3), got (5, 16, 16): download it again",
    ),
    conic_refused(
        "images with channels first",
        array("images.npy", lambda images: np.moveaxis(images, -1, 1)),
        "FOLDER/images.npy must be of shape (patches, height, width, 3), got (5, 3, 16, 16): download it again",
    ),
    conic_refused(
        "images as pickled objects",
        array("images.npy", lambda images: images.astype(object)),
        f"FOLDER/images.npy {NO_ARRAY}",
    ),
    conic_refused(
        "images of zero bytes",
        holding("images.npy", b""),
        f"FOLDER/images.npy {NO_ARRAY}",
    ),
    conic_refused(
        "truncated images",
        truncated("images.npy"),
        f"FOLDER/images.npy {NO_ARRAY}",
    ),
    conic_refused(
        "web page saved as images",
        holding("images.npy", b"<html>404</html>"),
        f"FOLDER/images.npy {NO_ARRAY}",
    ),
    conic_refused(
        "labels of another type",
        array("labels.npy", lambda labels: labels.astype(np.float32)),
        "FOLDER/labels.npy must be of an integer type, got float32: save it as uint16",
    ),
    conic_repaired(
        "labels of a wider integer type",
        array("labels.npy", lambda labels: labels.astype(np.int64)),
        "read like 16 bits",
        shows(nuclei()),
    ),
    conic_refused(
        "labels of another shape",
        array("labels.npy", lambda labels: labels[..., :1]),
        "FOLDER/labels.npy must be of shape (patches, height, width, 2), got (5, 16, 16, 1): download it again",
    ),
    conic_refused(
        "labels as pickled objects",
        array("labels.npy", lambda labels: labels.astype(object)),
        f"FOLDER/labels.npy {NO_ARRAY}",
    ),
    conic_refused(
        "labels of another size than the images",
        array("labels.npy", lambda labels: labels[:, 1:]),
        "FOLDER/labels.npy must be of the size of the images, (16, 16), got (15, 16): take both from the same release",
    ),
    conic_refused(
        "labels of other length",
        array("labels.npy", lambda labels: labels[1:]),
        f"{FILES} must hold the same patches, got 5, 4, 5, 5 of them: take all four from the same release",
    ),
    # Nuclei
    conic_refused(
        "nucleus without a class",
        first_patch(NUCLEUS, CLASS, 0),
        f"{FIRST} must give every nucleus one class, but has nuclei without a class (1: 1): download the release again",
    ),
    conic_refused(
        "class without a nucleus",
        first_patch(NUCLEUS, NUMBER, 0),
        f"{FIRST} must give every nucleus one class, but has pixels of a class without a nucleus, of class (1: 2): "
        "download the release again",
    ),
    conic_refused(
        "nucleus of two classes",
        first_patch((2, 2), CLASS, 4),
        f"{FIRST} must give every nucleus one class, but has nuclei of several classes (1: 1): download the release "
        "again",
    ),
    conic_refused(
        "unknown class",
        first_patch(NUCLEUS, CLASS, 7),
        f"{FIRST} must have classes from 0 to 6, got 0 to 7: download the release again",
    ),
    conic_refused(
        "negative number of a nucleus",
        first_patch(NUCLEUS, NUMBER, -1),
        f"{FIRST} must have nuclei numbered from 0 to 65535, got -1 to 2: download the release again",
    ),
    conic_refused(
        "number of a nucleus beyond 16 bits",
        first_patch(NUCLEUS, NUMBER, 65536),
        f"{FIRST} must have nuclei numbered from 0 to 65535, got 0 to 65536: download the release again",
    ),
    conic_repaired(
        "patch without nuclei",
        both(first_patch(np.s_[:, :], np.s_[:], 0), text("counts.csv", COUNTS, "0,0,0,0,0,0")),
        "kept",
        shows(0 * nuclei()),
    ),
    # Tables
    conic_refused(
        "counts that do not add up",
        text("counts.csv", COUNTS, "0,2,1,0,0,0"),
        f"{FIRST} must hold as many nuclei as were counted, got 1 epithelial where counts.csv says 2: take both files "
        "from the same release, or give --ignore-counts",
    ),
    conic_repaired(
        "counts that do not add up, with --ignore-counts",
        text("counts.csv", COUNTS, "0,2,1,0,0,0"),
        "kept",
        shows(nuclei()),
        says=f"patches whose nuclei are not as many as counts.csv says, ignored as asked (1: {PATCHES[0]})",
        options=("--ignore-counts",),
    ),
    conic_refused(
        "counts.csv of other length",
        table("counts.csv", lambda lines: lines[:-1]),
        f"{FILES} must hold the same patches, got 5, 5, 4, 5 of them: take all four from the same release",
    ),
    conic_refused(
        "counts.csv with another header",
        text("counts.csv", "plasma", "plasma cell"),
        f"FOLDER/counts.csv must begin with '{COUNT_HEADER}', got "
        f"'{COUNT_HEADER.replace('plasma', 'plasma cell')}': download it again",
    ),
    conic_refused(
        "counts.csv with a short row",
        text("counts.csv", COUNTS, "0,1,1"),
        "FOLDER/counts.csv must have 6 cells in line 2, got '0,1,1': download it again",
    ),
    conic_refused(
        "counts.csv with a fraction",
        text("counts.csv", COUNTS, "0,1.5,1,0,0,0"),
        "FOLDER/counts.csv must hold whole numbers, got '0,1.5,1,0,0,0' in line 2: download it again",
    ),
    conic_refused(
        "counts.csv of zero bytes",
        holding("counts.csv", b""),
        f"FOLDER/counts.csv must begin with '{COUNT_HEADER}', got '': download it again",
    ),
    conic_refused(
        "patch_info.csv of other length",
        table("patch_info.csv", lambda lines: lines[:-1]),
        f"{FILES} must hold the same patches, got 5, 5, 5, 4 of them: take all four from the same release",
    ),
    conic_refused(
        "patch_info.csv with a name of another form",
        text("patch_info.csv", "crag_1-0000", "crag"),
        "FOLDER/patch_info.csv must name patches as in consep_1-0000, but has others (1: crag): download it again",
    ),
    conic_refused(
        "patch_info.csv with a name twice",
        text("patch_info.csv", "crag_1-0000", "glas_1-0000"),
        "FOLDER/patch_info.csv must name every patch once, but has twins (2: glas_1-0000, glas_1-0000): download it "
        "again",
    ),
    conic_refused(
        "patch_info.csv with names that differ in case only",
        text("patch_info.csv", "crag_1-0000", "GLAS_1-0000"),
        "FOLDER/patch_info.csv must name every patch once, but has twins (2: GLAS_1-0000, glas_1-0000): download it "
        "again",
    ),
    conic_refused(
        "patch_info.csv that is not UTF-8",
        text("patch_info.csv", "crag_1", "cr\xe4g_1"),
        "FOLDER/patch_info.csv must be a table in UTF-8, but is none (REASON): download it again",
    ),
    conic_repaired(
        "tables with a byte order mark and empty lines at the end",
        both(altered("counts.csv", with_mark), altered("patch_info.csv", with_mark)),
        "both are skipped",
        shows(nuclei()),
    ),
]
