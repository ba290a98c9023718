"""Where the ISIC challenges 2016, 2017 and 2018 keep the images and masks of lesion segmentation.

The folder names are those of the archives at https://challenge.isic-archive.com/data. Only file names are looked at
here; no image is opened.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from nnunet_sgdc.datasets.collection import Case, Collection, Split
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.images import load_photograph
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.datasets.source_files import SourceFile
from nnunet_sgdc.datasets.source_tree import SourceTree
from nnunet_sgdc.errors import counted, listed

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png"})
MASK_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
# 2017 lays a superpixel map beside every image.
SUPERPIXELS = "_superpixels"
# Compared without case: 2016 writes "_Segmentation", the later editions "_segmentation".
MASK_SUFFIX = "_segmentation"
# nnU-Net's folders for the splits, as in imagesTr; it looks at Tr, and Val is for the user.
SUFFIXES = {"training": "Tr", "test": "Ts", "validation": "Val"}
LABELS = {"background": 0, "lesion": 1}
DEFAULT_SIZE = Resizing.square(256)


@dataclass(frozen=True)
class PublishedSplit:
    """One split as published: its name, the folders of its images and masks, and its number of cases."""

    name: str
    image_folder: str
    mask_folder: str
    cases: int


@dataclass(frozen=True)
class Edition:
    """One year of the challenge; the first split is for training."""

    year: int
    splits: tuple[PublishedSplit, ...]
    reference: str
    licence: str


EDITIONS = {
    2016: Edition(
        2016,
        (
            PublishedSplit(
                "training", "ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Training_GroundTruth", 900
            ),
            PublishedSplit("test", "ISBI2016_ISIC_Part1_Test_Data", "ISBI2016_ISIC_Part1_Test_GroundTruth", 379),
        ),
        "Gutman et al., Skin Lesion Analysis toward Melanoma Detection (ISBI 2016), arXiv:1605.01397",
        "CC-0",
    ),
    2017: Edition(
        2017,
        (
            PublishedSplit("training", "ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth", 2000),
            PublishedSplit("test", "ISIC-2017_Test_v2_Data", "ISIC-2017_Test_v2_Part1_GroundTruth", 600),
            PublishedSplit("validation", "ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth", 150),
        ),
        "Codella et al., Skin Lesion Analysis Toward Melanoma Detection (ISBI 2017), arXiv:1710.05006",
        "CC-0",
    ),
    2018: Edition(
        2018,
        (
            PublishedSplit("training", "ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth", 2594),
            PublishedSplit("test", "ISIC2018_Task1-2_Test_Input", "ISIC2018_Task1_Test_GroundTruth", 1000),
            PublishedSplit(
                "validation", "ISIC2018_Task1-2_Validation_Input", "ISIC2018_Task1_Validation_GroundTruth", 100
            ),
        ),
        "Codella et al., Skin Lesion Analysis Toward Melanoma Detection 2018, arXiv:1902.03368; "
        "Tschandl et al., The HAM10000 dataset, doi:10.1038/sdata.2018.161",
        "CC-BY-NC 4.0",
    ),
}

PUBLISHED_FOLDERS = frozenset(
    folder
    for edition in EDITIONS.values()
    for split in edition.splits
    for folder in (split.image_folder, split.mask_folder)
)


def find_isic(tree: SourceTree, year: int | None = None) -> Collection:
    """Find an edition and its splits by their published folder names.

    Args:
        tree: The download.
        year: 2016, 2017 or 2018; None takes the only edition that is there.

    Returns:
        All splits of the edition that are there.

    Raises:
        ConversionError: No edition or more than one was found; a published folder was found twice; the training masks
            are missing; or images and masks do not pair up.
    """
    edition = _choose_edition(tree, year)
    splits = tuple(split for split in (_find_split(tree, published) for published in edition.splits) if split)
    if not splits[0].labelled:
        raise ConversionError(
            f"{edition.splits[0].mask_folder} with the training masks was not found below {tree.location}: download it"
        )
    return Collection(
        name=f"ISIC{edition.year}",
        description=f"Skin lesion segmentation in dermoscopy, ISIC challenge {edition.year}",
        reference=edition.reference,
        licence=edition.licence,
        labels=LABELS,
        splits=splits,
        default_size=DEFAULT_SIZE,
    )


def _choose_edition(tree: SourceTree, year: int | None) -> Edition:
    """The edition asked for, or else the only one of which training images are there."""
    if year is not None and year not in EDITIONS:
        raise ConversionError(f"edition must be one of {listed(EDITIONS)}, got {year}")
    found = [edition for edition in EDITIONS.values() if tree.folders_named(edition.splits[0].image_folder)]
    years = [edition.year for edition in found]
    if year is None and len(found) == 1:
        return found[0]
    if year in years:
        return EDITIONS[year]
    if year is not None and found:
        raise ConversionError(
            f"edition {year} was asked for, but {tree.location} holds ISIC {listed(years)}: give that with --edition"
        )
    if found:
        raise ConversionError(f"several ISIC editions lie below {tree.location} ({listed(years)}): give --edition")
    names = listed(edition.splits[0].image_folder for edition in EDITIONS.values())
    present = listed(tree.top_level_names()) or "nothing"
    raise ConversionError(
        f"no ISIC training images were found below {tree.location}: expected a folder {names}, got {present}; "
        "keep the published folder names"
    )


def _find_split(tree: SourceTree, published: PublishedSplit) -> Split | None:
    image_folder = _locate(tree, published.image_folder)
    if image_folder is None:
        return None
    files = tree.files_in(image_folder)
    images = _images_by_identifier(files)
    if not images:
        raise ConversionError(
            f"{image_folder} in {tree.location} must hold images named <id>.jpg, but holds none: unpack the release "
            "completely"
        )
    mask_folder = _locate(tree, published.mask_folder)
    masks = _masks_by_identifier(tree.files_in(mask_folder)) if mask_folder else {}
    if mask_folder:
        _check_pairs(f"{image_folder} and {mask_folder}", images, masks, files)
    cases = tuple(_case(identifier, image, masks.get(identifier)) for identifier, image in sorted(images.items()))
    return Split(published.name, SUFFIXES[published.name], cases, published.cases)


def _case(identifier: str, image: SourceFile, mask: SourceFile | None) -> Case:
    return Case(identifier, partial(load_photograph, image, mask), labelled=mask is not None)


def _locate(tree: SourceTree, name: str) -> PurePosixPath | None:
    folders = tree.folders_named(name)
    if len(folders) > 1:
        raise ConversionError(
            f"{name} was found more than once below {tree.location}: {listed(folders)}; keep one of them"
        )
    return folders[0] if folders else None


def _images_by_identifier(files: Iterable[SourceFile]) -> dict[str, SourceFile]:
    images = [file for file in files if file.path.suffix.lower() in IMAGE_ENDINGS]
    return _by_identifier((file.path.stem, file) for file in images if not file.path.stem.endswith(SUPERPIXELS))


def _masks_by_identifier(files: Iterable[SourceFile]) -> dict[str, SourceFile]:
    masks = [file for file in files if file.path.suffix.lower() in MASK_ENDINGS]
    return _by_identifier(
        (file.path.stem[: -len(MASK_SUFFIX)], file) for file in masks if file.path.stem.lower().endswith(MASK_SUFFIX)
    )


def _by_identifier(named_files: Iterable[tuple[str, SourceFile]]) -> dict[str, SourceFile]:
    """Files by identifier; two that differ in case alone would be one file on some disks."""
    files: dict[str, SourceFile] = {}
    written: dict[str, SourceFile] = {}
    for name, file in named_files:
        # macOS decomposes accents in the archives it makes.
        identifier = unicodedata.normalize("NFC", name)
        if not identifier.isprintable():
            raise ConversionError(f"{str(file)!r} must have a name of printable letters in UTF-8: rename it")
        if identifier.casefold() in written:
            twin = written[identifier.casefold()]
            raise ConversionError(
                f"ids must differ in more than case and ending, but {identifier} is there twice: {twin} and {file}; "
                "remove one of them"
            )
        files[identifier] = written[identifier.casefold()] = file
    return files


def _check_pairs(
    folders: str, images: dict[str, SourceFile], masks: dict[str, SourceFile], files: Iterable[SourceFile]
) -> None:
    maskless, imageless = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    faults = []
    if maskless:
        faults.append(f"images without a mask ({counted(maskless)})")
    if imageless:
        faults.append(f"masks without an image ({counted(imageless)})")
    if not faults:
        return
    strange = [file.path.name for file in files if file.path.stem in imageless]
    endings = f"; images must end in {listed(sorted(IMAGE_ENDINGS))}, got {counted(strange)}" if strange else ""
    raise ConversionError(
        f"{folders} must hold the same cases, but have {' and '.join(faults)}{endings}: unpack the release completely"
    )
