"""Where the ISIC challenges 2016, 2017 and 2018 keep the images and masks of lesion segmentation.

The folder names are those of the archives at https://challenge.isic-archive.com/data. Only file names are looked at
here; no image is opened.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnunet_sgdc.datasets.errors import ConversionError, counted

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png"})
# 2017 lays a superpixel map beside every image.
SUPERPIXELS = "_superpixels"
# Compared without case: 2016 writes "_Segmentation", the later editions "_segmentation".
MASK_ENDING = "_segmentation.png"


@dataclass(frozen=True)
class PublishedSplit:
    """One split as published: its name, the folders of its images and masks, and its number of cases."""

    name: str
    image_folder: str
    mask_folder: str
    cases: int


@dataclass(frozen=True)
class Edition:
    """One year of the challenge; the first split is for training, the others in order of preference for testing."""

    year: int
    splits: tuple[PublishedSplit, ...]
    reference: str
    licence: str


@dataclass(frozen=True)
class Case:
    """One image and, where the ground truth has been published, its mask."""

    identifier: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class FoundSplit:
    """The cases of one published split, ordered by identifier."""

    published: PublishedSplit
    cases: tuple[Case, ...]

    @property
    def labelled(self) -> bool:
        """Whether every case has a mask; a split has all of them or none."""
        return self.cases[0].mask is not None


@dataclass(frozen=True)
class Release:
    """What was found of one edition: the training split, at most one external split, and the splits left out."""

    edition: Edition
    training: FoundSplit
    external: FoundSplit | None
    left_out: tuple[str, ...]

    @property
    def splits(self) -> tuple[FoundSplit, ...]:
        """The splits to convert, training first."""
        return (self.training,) if self.external is None else (self.training, self.external)


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


def find_release(source: Path, year: int | None = None) -> Release:
    """Find an edition and its splits by their published folder names.

    Args:
        source: The folder that holds the published folders, the one above it, or one of the published folders.
        year: 2016, 2017 or 2018; None takes the only edition that is there.

    Returns:
        The training split, and for testing the test split or, where that is missing, the validation split.

    Raises:
        ConversionError: `source` is no folder; no edition or more than one was found; a published folder was found
            twice; the training masks are missing; or images and masks do not pair up.
    """
    if not source.is_dir():
        raise ConversionError(f"source must be a folder with an ISIC release, got {str(source)!r}")
    edition = _choose_edition(source, year)
    found = [split for split in (_find_split(source, published) for published in edition.splits) if split]
    training, *others = found
    if not training.labelled:
        raise ConversionError(f"{training.published.mask_folder} with the training masks was not found below {source}")
    left_out = tuple(split.published.name for split in others[1:])
    return Release(edition, training, others[0] if others else None, left_out)


def _choose_edition(source: Path, year: int | None) -> Edition:
    """The edition asked for, or else the only one of which training images are there."""
    if year is not None and year not in EDITIONS:
        raise ConversionError(f"edition must be one of {_listed(EDITIONS)}, got {year}")
    wanted = [EDITIONS[year]] if year is not None else list(EDITIONS.values())
    found = [edition for edition in wanted if _locate(source, edition.splits[0].image_folder)]
    if len(found) > 1:
        years = _listed(edition.year for edition in found)
        raise ConversionError(f"several ISIC editions were found below {source} ({years}): choose one with --edition")
    if not found:
        names = _listed(edition.splits[0].image_folder for edition in wanted)
        present = _listed(sorted(path.name for path in source.iterdir() if path.is_dir())) or "no folders"
        raise ConversionError(f"no ISIC training images were found below {source}: looked for {names}, found {present}")
    return found[0]


def _find_split(source: Path, published: PublishedSplit) -> FoundSplit | None:
    image_folder = _locate(source, published.image_folder)
    if image_folder is None:
        return None
    images = _images_by_identifier(image_folder)
    if not images:
        raise ConversionError(f"{image_folder} must hold images named <id>.jpg, but none was found")
    mask_folder = _locate(source, published.mask_folder)
    masks = _masks_by_identifier(mask_folder) if mask_folder else {}
    if mask_folder:
        _check_pairs(published.name, images, masks)
    cases = (Case(identifier, image, masks.get(identifier)) for identifier, image in sorted(images.items()))
    return FoundSplit(published, tuple(cases))


def _locate(source: Path, name: str) -> Path | None:
    """The published folder of this name in `source`, one level deeper, or beside `source` if that is one itself."""
    top = source.resolve().parent if source.resolve().name in PUBLISHED_FOLDERS else source
    # Unpackers like to repeat a folder inside itself, and macOS archives carry a shadow tree of the same names.
    places = [path for path in (top / name, *sorted(top.glob(f"*/{name}"))) if path.is_dir()]
    places = [path for path in places if path.parent.name not in (name, "__MACOSX")]
    if len(places) > 1:
        raise ConversionError(f"{name} was found more than once: {_listed(places)}; name the folder above one of them")
    return _unwrapped(places[0]) if places else None


def _unwrapped(folder: Path) -> Path:
    """The folder itself, or the one of the same name inside it."""
    inner = folder / folder.name
    return inner if inner.is_dir() else folder


def _images_by_identifier(folder: Path) -> dict[str, Path]:
    files = [path for path in _visible_files(folder) if path.suffix.lower() in IMAGE_ENDINGS]
    return _by_identifier((path.stem, path) for path in files if not path.stem.endswith(SUPERPIXELS))


def _masks_by_identifier(folder: Path) -> dict[str, Path]:
    files = [path for path in _visible_files(folder) if path.name.lower().endswith(MASK_ENDING)]
    return _by_identifier((path.name[: -len(MASK_ENDING)], path) for path in files)


def _visible_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _by_identifier(named_files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for identifier, path in named_files:
        if identifier in files:
            raise ConversionError(f"{identifier} is there twice: {files[identifier]} and {path}; remove one of them")
        files[identifier] = path
    return files


def _check_pairs(split: str, images: dict[str, Path], masks: dict[str, Path]) -> None:
    maskless, imageless = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    faults = []
    if maskless:
        faults.append(f"images without a mask ({counted(maskless)})")
    if imageless:
        faults.append(f"masks without an image ({counted(imageless)})")
    if faults:
        raise ConversionError(f"the {split} split has {' and '.join(faults)}: unpack the release completely")


def _listed(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)
