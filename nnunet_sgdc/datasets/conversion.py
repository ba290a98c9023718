"""From a release to a data set in nnU-Net's raw format: what all converters share.

Beside the images and labels are written: dataset.json and splits_final.json, which nnU-Net reads; conversion.json,
which says where everything comes from; and cases.csv, a table of the cases.
"""

import csv
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nnunet_sgdc.datasets.case_writer import write_cases
from nnunet_sgdc.datasets.collection import Collection
from nnunet_sgdc.datasets.division import Division, divide
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.overlap import find_overlaps, without_overlaps
from nnunet_sgdc.datasets.raw_dataset import PREPROCESSED_VARIABLE, check_vacant, dataset_name, raw_folder
from nnunet_sgdc.datasets.record import ConversionRecord, tool_name
from nnunet_sgdc.datasets.report import ConversionReport
from nnunet_sgdc.staging import staged

CHANNELS = {"0": "R", "1": "G", "2": "B"}
CASE_TABLE = "cases.csv"


def convert(collection: Collection, dataset_id: int, options: Options, **details: object) -> ConversionReport:
    """Write a release as a new data set; nothing is left behind if it fails or is interrupted.

    Args:
        collection: The release.
        dataset_id: nnU-Net's number of the data set, 1 to 999.
        options: The options all converters share.
        details: Options of this converter, for `conversion.json`.

    Raises:
        ConversionError: The release, a file or an option is not as it must be.
        OSError: The data set cannot be written.
    """
    raw = raw_folder(options.raw)
    target = raw / dataset_name(dataset_id, collection.name if options.name is None else options.name)
    check_vacant(target, options.overwrite)
    overlaps = find_overlaps(raw, collection, ignored=target)
    kept = without_overlaps(collection, raw, options.exclude_overlap_with)
    with staged(target, options.overwrite) as folder:
        record, division = fill(folder, kept, options, details)
        _write_json(folder / "dataset.json", _description(kept, target.name))
        if division.folds:
            _write_json(folder / "splits_final.json", division.folds)
        # Another conversion may have taken the id, or made an external test set, in the meantime.
        check_vacant(target, options.overwrite)
    noted = replace(kept, notes=kept.notes + _stale_folds(target.name, division))
    return ConversionReport(target, noted, record, division, overlaps=overlaps)


def fill(
    folder: Path, collection: Collection, options: Options, details: Mapping[str, object]
) -> tuple[ConversionRecord, Division]:
    """Write images, labels, `conversion.json` and `cases.csv` into a folder.

    Raises:
        ConversionError: A case or the published folds are not as they must be.
        OSError: Something cannot be written.
    """
    size = options.size or collection.default_size
    fingerprinted = options.dedup and not collection.cut
    records = write_cases(folder, collection.splits, size, fingerprinted=fingerprinted, workers=options.workers)
    division = divide(collection, records, options)
    told = {
        "size": str(size),
        "seed": options.seed,
        "dedup": options.dedup,
        "splits": _told_splits(options.splits),
        "exclude_overlap_with": list(options.exclude_overlap_with),
    }
    record = ConversionRecord(collection.name, {**told, **details}, collection.labels, division.records)
    record.write(folder)
    _write_case_table(folder / CASE_TABLE, collection, division)
    return record, division


def _stale_folds(name: str, division: Division) -> tuple[str, ...]:
    """A warning if nnU-Net has other folds from an earlier conversion, which it would not replace."""
    preprocessed = os.environ.get(PREPROCESSED_VARIABLE)
    stale = Path(preprocessed) / name / "splits_final.json" if preprocessed else None
    if stale is None or not stale.is_file() or json.loads(stale.read_text(encoding="utf-8")) == list(division.folds):
        return ()
    return (f"WARNING: {stale} holds the folds of an earlier conversion, which nnU-Net would go on using: remove it",)


def _told_splits(path: Path | None) -> dict[str, str] | None:
    return None if path is None else {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _description(collection: Collection, name: str) -> dict[str, object]:
    """The content of dataset.json; what nnU-Net needs comes first."""
    return {
        "channel_names": CHANNELS,
        "labels": collection.labels,
        "numTraining": len(collection.splits[0].cases),
        "file_ending": ".png",
        "name": name,
        "description": collection.description,
        "reference": collection.reference,
        "licence": collection.licence,
        "converted_by": tool_name(),
    }


def _write_case_table(path: Path, collection: Collection, division: Division) -> None:
    """One row per case; the fold is the one that validates it."""
    folds = {name: index for index, fold in enumerate(division.folds) for name in fold["val"]}
    attributes = {case.identifier: case.attributes for case in collection.cases}
    rows = [
        {
            "id": record.id,
            "split": record.split,
            "fold": folds.get(record.id, ""),
            "group": record.group,
            "width": record.original_size[0],
            "height": record.original_size[1],
            "foreground": f"{record.foreground:.6f}" if record.pixels else "",
            **attributes[record.id],
        }
        for record in division.records
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
