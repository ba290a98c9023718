"""The CoNIC challenge 2022 as a collection: patches of stained colon tissue with numbered nuclei of six classes.

The tables are checked here, and that the four files belong together; the patches are when they are loaded.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import partial

from nnunet_sgdc.datasets.collection import Case, Collection, Split
from nnunet_sgdc.datasets.conic_files import (
    COUNTS,
    FILE_NAMES,
    IMAGES,
    LABELS,
    NAMES,
    ReleaseFile,
    open_images,
    open_labels,
    read_table,
)
from nnunet_sgdc.datasets.conic_patches import BINARY_LABELS, CLASS_LABELS, CLASSES, Patches, Reading
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.errors import counted

PUBLISHED_PATCHES = 4981
# The institute, the number of its image, and the number of the patch in that.
PATCH_NAME = re.compile(r"[A-Za-z0-9]+_[A-Za-z0-9_-]+-[0-9]{4}")
COUNT = re.compile(r"[0-9]{1,9}")
DESCRIPTION = "Nuclei in colon tissue stained with haematoxylin and eosin, CoNIC challenge 2022"
REFERENCE = (
    "Graham et al., CoNIC: Colon Nuclei Identification and Counting Challenge 2022, arXiv:2111.14485; "
    "Graham et al., Lizard: A Large-Scale Dataset for Colonic Nuclear Instance Segmentation and Classification "
    "(ICCVW 2021), arXiv:2108.11195"
)


def read_conic(files: Mapping[str, ReleaseFile], reading: Reading) -> Collection:
    """The release as a collection; no patch is read yet.

    Args:
        files: The four files by their published names.
        reading: How the patches are to be read.

    Raises:
        ConversionError: A file is not as it must be, or they do not belong together.
    """
    patches = Patches(
        names=_patch_names(files[NAMES]),
        images=open_images(files[IMAGES]),
        labels=open_labels(files[LABELS]),
        counts=_counts(files[COUNTS]),
        image_file=files[IMAGES],
        label_file=files[LABELS],
        reading=reading,
    )
    _check_agreement(patches)
    order = sorted(range(len(patches.names)), key=lambda index: patches.names[index])
    return Collection(
        name="CoNIC",
        description=DESCRIPTION,
        reference=REFERENCE,
        licence="CC BY-NC-SA 4.0",
        labels=BINARY_LABELS if reading.binary else CLASS_LABELS,
        splits=(Split("training", "Tr", tuple(_case(patches, index) for index in order), PUBLISHED_PATCHES),),
        default_size=Resizing.native(),
        stratify_by="institute",
    )


def _case(patches: Patches, index: int) -> Case:
    name = patches.names[index]
    source = name.rpartition("-")[0]
    counts = {label: str(count) for label, count in zip(CLASSES, patches.counts[index], strict=True)}
    attributes = {"source": source, "institute": source.partition("_")[0], **counts}
    return Case(name, partial(patches.load, index), labelled=True, source=source, attributes=attributes)


def _patch_names(file: ReleaseFile) -> list[str]:
    names = [name for (name,) in read_table(file, ["patch_info"])]
    strange = [name for name in names if not PATCH_NAME.fullmatch(name)]
    if strange:
        raise ConversionError(
            f"{file} must name patches as in consep_1-0000, but has others ({counted(strange)}): download it again"
        )
    # Names that differ in case alone would be one file on some disks.
    folded = Counter(name.casefold() for name in names)
    twice = [name for name in names if folded[name.casefold()] > 1]
    if twice:
        raise ConversionError(f"{file} must name every patch once, but has twins ({counted(twice)}): download it again")
    return names


def _counts(file: ReleaseFile) -> list[list[int]]:
    rows = read_table(file, CLASSES)
    for line, row in enumerate(rows, start=2):
        if not all(COUNT.fullmatch(cell) for cell in row):
            raise ConversionError(
                f"{file} must hold whole numbers, got {','.join(row)!r} in line {line}: download it again"
            )
    return [[int(cell) for cell in row] for row in rows]


def _check_agreement(patches: Patches) -> None:
    numbers = [len(content) for content in (patches.images, patches.labels, patches.counts, patches.names)]
    if len(set(numbers)) > 1:
        raise ConversionError(
            f"{', '.join(FILE_NAMES)} must hold the same patches, got {', '.join(map(str, numbers))} of them: take all "
            "four from the same release"
        )
    if patches.images.shape[:3] != patches.labels.shape[:3]:
        raise ConversionError(
            f"{patches.label_file} must be of the size of the images, {patches.images.shape[1:3]}, got "
            f"{patches.labels.shape[1:3]}: take both from the same release"
        )
