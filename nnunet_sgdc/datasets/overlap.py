"""Cases that another converted data set holds too: the ISIC editions share most of their images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnunet_sgdc.datasets.collection import Collection, Split
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.raw_dataset import dataset_folder
from nnunet_sgdc.datasets.record import FILE_NAME, read_record


@dataclass(frozen=True)
class Overlap:
    """The identifiers that a new data set shares with another one.

    Attributes:
        folder: The other data set.
        identifiers: What both hold.
        unknown: Why that cannot be told, if so.
    """

    folder: Path
    identifiers: frozenset[str]
    unknown: str = ""


def find_overlaps(raw: Path, collection: Collection, ignored: Path) -> tuple[Overlap, ...]:
    """Compare the identifiers with those of every converted data set.

    Args:
        raw: The folder of raw data sets.
        collection: What is about to be converted.
        ignored: The data set that it will replace.
    """
    identifiers = frozenset(case.identifier for case in collection.cases)
    folders = [
        path.parent for path in sorted(raw.glob(f"Dataset[0-9][0-9][0-9]_*/{FILE_NAME}")) if path.parent != ignored
    ]
    shared = [_overlap(folder, identifiers) for folder in folders]
    return tuple(overlap for overlap in shared if overlap.identifiers or overlap.unknown)


def without_overlaps(collection: Collection, raw: Path, dataset_ids: Sequence[int]) -> Collection:
    """The release without the cases that these data sets hold.

    Raises:
        ConversionError: A data set is not there or was not made by a converter, or no training case is left.
    """
    excluded = frozenset[str]().union(*(_identifiers(dataset_folder(raw, dataset_id)) for dataset_id in dataset_ids))
    splits = [_without(split, excluded) for split in collection.splits]
    if not splits[0].cases:
        raise ConversionError(
            f"all {len(collection.splits[0].cases)} {splits[0].name} cases are also in data set "
            f"{', '.join(map(str, dataset_ids))}: leave out fewer with --exclude-overlap-with"
        )
    return replace(collection, splits=tuple(split for split in splits if split.cases))


def _overlap(folder: Path, identifiers: frozenset[str]) -> Overlap:
    try:
        return Overlap(folder, identifiers & _identifiers(folder))
    except (ConversionError, OSError) as error:
        # The damage of another data set is to be told, but does not stand in the way of this one.
        return Overlap(folder, frozenset(), unknown=str(error))


def _identifiers(folder: Path) -> frozenset[str]:
    return frozenset(case.id for case in read_record(folder).cases)


def _without(split: Split, excluded: frozenset[str]) -> Split:
    return replace(split, cases=tuple(case for case in split.cases if case.identifier not in excluded))
