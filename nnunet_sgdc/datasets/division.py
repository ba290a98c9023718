"""Which cases belong together, and the folds that keep them so."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnunet_sgdc.datasets.collection import Collection
from nnunet_sgdc.datasets.folds import Fold, grouped_folds, published_folds
from nnunet_sgdc.datasets.look_alikes import look_alikes
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.record import CaseRecord

TRAINING = "training"
SIZE_CLASSES = 3


@dataclass(frozen=True)
class Division:
    """Groups and folds of a data set.

    Attributes:
        records: The cases with their groups.
        folds: Those of `splits_final.json`; empty if the training cases cannot be divided.
        published: Whether the folds were given and not drawn.
    """

    records: tuple[CaseRecord, ...]
    folds: tuple[Fold, ...]
    published: bool

    @property
    def groups(self) -> dict[str, list[CaseRecord]]:
        """The groups of two cases and more, by name."""
        members: dict[str, list[CaseRecord]] = defaultdict(list)
        for record in self.records:
            members[record.group].append(record)
        return {name: group for name, group in members.items() if len(group) > 1}

    @property
    def leaking_groups(self) -> dict[str, list[CaseRecord]]:
        """Groups with cases in several splits, as a test image that looks like a training image."""
        return {name: group for name, group in self.groups.items() if len({record.split for record in group}) > 1}

    @property
    def divided_groups(self) -> list[str]:
        """Groups that published folds put on both sides of a fold."""
        members = {name: {record.id for record in group} for name, group in self.groups.items()}
        return sorted(name for name, group in members.items() if any(_divides(fold, group) for fold in self.folds))


def divide(collection: Collection, records: Sequence[CaseRecord], options: Options) -> Division:
    """Group the cases and draw the folds of the training split, or take the published ones.

    Cases cut from one image are a group; other images are grouped if they look alike.

    Raises:
        ConversionError: The published folds do not fit the cases.
    """
    by_look = options.dedup and not collection.cut
    grouped = _grouped_by_look(records) if by_look else tuple(records)
    training = [record for record in grouped if record.split == TRAINING]
    groups = {record.id: record.group for record in training}
    if not training:
        return Division(grouped, (), published=False)
    if options.splits is not None:
        # Published folds of photographs were not drawn with look-alikes in mind; the report tells of those.
        indivisible = groups if collection.cut else {name: name for name in groups}
        folds = published_folds(options.splits, groups.keys(), indivisible)
        return Division(grouped, tuple(folds), published=True)
    folds = grouped_folds(groups, _strata(collection, training), seed=options.seed)
    return Division(grouped, tuple(folds), published=False)


def _grouped_by_look(records: Sequence[CaseRecord]) -> tuple[CaseRecord, ...]:
    groups = look_alikes({record.id: record.fingerprint for record in records})
    return tuple(replace(record, group=groups[record.id]) for record in records)


def _strata(collection: Collection, training: Sequence[CaseRecord]) -> dict[str, str]:
    if collection.stratify_by is not None:
        return {case.identifier: case.attributes.get(collection.stratify_by, "") for case in collection.cases}
    return _size_classes({record.id: record.foreground for record in training})


def _size_classes(shares: Mapping[str, float]) -> dict[str, str]:
    """Small, middle and large foregrounds, as many of each."""
    limits = np.quantile(list(shares.values()), np.arange(1, SIZE_CLASSES) / SIZE_CLASSES)
    return {identifier: str(np.searchsorted(limits, share)) for identifier, share in shares.items()}


def _divides(fold: Fold, group: set[str]) -> bool:
    return not group.isdisjoint(fold["train"]) and not group.isdisjoint(fold["val"])
