"""What a conversion tells the user when it is done."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnunet_sgdc.datasets.collection import Collection, Split
from nnunet_sgdc.datasets.division import TRAINING, Division
from nnunet_sgdc.datasets.overlap import Overlap
from nnunet_sgdc.datasets.record import ConversionRecord
from nnunet_sgdc.errors import counted

USUAL_FOLDS = 5


@dataclass(frozen=True)
class ConversionReport:
    """What was converted; its text is the summary for the reader.

    Attributes:
        folder: The new data set.
        collection: The release without what was left out.
        record: The content of `conversion.json`.
        division: Groups and folds.
        overlaps: Identifiers shared with other data sets, before any were left out.
    """

    folder: Path
    collection: Collection
    record: ConversionRecord
    division: Division
    overlaps: tuple[Overlap, ...] = ()

    @property
    def remarks(self) -> dict[str, list[str]]:
        """What was remarked, with the identifiers of the cases it is true of."""
        cases: dict[str, list[str]] = defaultdict(list)
        for case in self.record.cases:
            for remark in case.remarks:
                cases[remark].append(case.id)
        return dict(cases)

    def __str__(self) -> str:
        lines = [
            f"{self.record.release} -> {self.folder}, size {self.record.options['size']}",
            *(_described(split) for split in self.collection.splits),
            f"pixels: {_shares(self.record.label_pixels())}",
            *self._folds(),
            *self._groups(),
            *self._overlaps(),
            *(f"{remark} ({counted(cases)})" for remark, cases in self.remarks.items()),
            *self.collection.notes,
        ]
        return "\n  ".join(lines)

    def _folds(self) -> Iterable[str]:
        if self.collection.splits[0].name != TRAINING:
            return
        if not self.division.folds:
            yield "folds: none, as all training cases belong together; train with fold all"
            return
        count, published = len(self.division.folds), self.division.published
        sizes = ", ".join(str(len(fold["val"])) for fold in self.division.folds)
        origin = "as published" if published else f"drawn with seed {self.record.options['seed']}"
        yield f"folds: {count}, {origin}, validating {sizes} cases"
        if count < USUAL_FOLDS and not published:
            yield f"folds {count} to {USUAL_FOLDS - 1} do not exist, as there are only {count} groups to divide"

    def _groups(self) -> Iterable[str]:
        if self.division.groups:
            cases = sum(map(len, self.division.groups.values()))
            yield f"groups of cases that belong together: {len(self.division.groups)} with {cases} cases"
        if self.division.leaking_groups:
            pairs = [" = ".join(record.id for record in group) for group in self.division.leaking_groups.values()]
            yield f"WARNING: the same image in several splits ({counted(pairs)})"
        if self.division.divided_groups:
            yield f"WARNING: the published folds divide groups ({counted(self.division.divided_groups)})"

    def _overlaps(self) -> Iterable[str]:
        for overlap in self.overlaps:
            if overlap.unknown:
                yield f"WARNING: cases shared with {overlap.folder.name} are unknown: {overlap.unknown}"
                continue
            dataset_id = int(overlap.folder.name[7:10])
            left_out = overlap.identifiers.isdisjoint(case.id for case in self.record.cases)
            remedy = "left out" if left_out else f"--exclude-overlap-with {dataset_id} leaves them out"
            yield f"also in {overlap.folder.name}: {counted(sorted(overlap.identifiers))}; {remedy}"


def _described(split: Split) -> str:
    found = len(split.cases)
    count = f"{found} cases" if found == split.published else f"{found} of the {split.published} published cases"
    labels = f" and labels{split.suffix}" if split.labelled else ", without ground truth"
    return f"{split.name}: {count} in images{split.suffix}{labels}"


def _shares(pixels: dict[str, int]) -> str:
    total = sum(pixels.values()) or 1
    return ", ".join(f"{name} {count / total:.2%}" for name, count in pixels.items())
