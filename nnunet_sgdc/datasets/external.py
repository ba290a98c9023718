"""A release as external test set of an existing data set, as the literature trains on ISIC 2016 and tests on PH2.

It lies in the folder of that data set, where nnU-Net does not look by itself, with the same size, channels and labels:

    Dataset116_ISIC2016/external_PH2/imagesTs  labelsTs  conversion.json  cases.csv
"""

from dataclasses import replace
from pathlib import Path

from nnunet_sgdc.datasets.collection import Collection, Split
from nnunet_sgdc.datasets.conversion import fill
from nnunet_sgdc.datasets.division import TRAINING
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.look_alikes import look_alikes
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.overlap import find_overlaps, without_overlaps
from nnunet_sgdc.datasets.raw_dataset import dataset_folder, external_folder, raw_folder
from nnunet_sgdc.datasets.record import ConversionRecord, read_record
from nnunet_sgdc.datasets.report import ConversionReport
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.staging import check_replaceable, staged


def convert_as_test(collection: Collection, host_id: int, options: Options, **details: object) -> ConversionReport:
    """Write all cases of a release as an external test set of an existing data set, at its size.

    Args:
        collection: The release; its classes must be those of the data set.
        host_id: nnU-Net's number of the existing data set, which a converter must have made.
        options: The options all converters share; the size follows from the data set, and there are no folds.
        details: Options of this converter, for `conversion.json`.

    Raises:
        ConversionError: The release, a file, an option or the existing data set is not as it must be.
        OSError: The test set cannot be written.
    """
    raw = raw_folder(options.raw)
    host = dataset_folder(raw, host_id)
    host_record = read_record(host)
    _check_fits(collection, options, host, host_record)
    target = external_folder(host, collection.name if options.name is None else options.name)
    check_replaceable(target, options.overwrite)
    merged = replace(collection, splits=(_merged(collection),))
    overlaps = find_overlaps(raw, merged, ignored=target)
    tests = without_overlaps(merged, raw, options.exclude_overlap_with)
    size = Resizing.parse(str(host_record.options["size"]))
    with staged(target, options.overwrite) as folder:
        record, division = fill(folder, tests, replace(options, size=size), {**details, "test_of": host.name})
    noted = replace(tests, notes=tests.notes + _leak_notes(record, host_record, host.name))
    return ConversionReport(target, noted, record, division, overlaps=overlaps)


def _merged(collection: Collection) -> Split:
    """All splits as one of test cases; the ground truth counts only if every case has it."""
    return Split("test", "Ts", collection.cases, sum(split.published for split in collection.splits))


def _check_fits(collection: Collection, options: Options, host: Path, record: ConversionRecord) -> None:
    if options.size is not None:
        raise ConversionError(
            f"an external test set takes the size of its data set, {record.options['size']} in {host.name}, but size "
            f"{options.size} was asked for: leave --size out"
        )
    if options.splits is not None:
        raise ConversionError("an external test set has no folds, but --splits was given: leave it out")
    if dict(record.labels) != dict(collection.labels):
        raise ConversionError(
            f"the classes must be those of {host.name} ({', '.join(record.labels)}), got "
            f"{', '.join(collection.labels)}: choose another data set"
        )


def _leak_notes(tests: ConversionRecord, host: ConversionRecord, name: str) -> tuple[str, ...]:
    if not (tests.cases[0].fingerprint and host.cases[0].fingerprint):
        return (f"images were not compared with the training images of {name}, as --no-dedup left out their hashes",)
    leaks = _look_alikes_of_training(tests, host)
    return (f"WARNING: images that look like training images of {name}: {', '.join(leaks)}",) if leaks else ()


def _look_alikes_of_training(tests: ConversionRecord, host: ConversionRecord) -> list[str]:
    """Pairs such as `IMD003 = ISIC_0000042`; hashes are missing where deduplication was switched off."""
    fingerprints = {
        f"{side}{case.id}": case.fingerprint
        for side, record in (("test:", tests), ("host:", host))
        for case in record.cases
        if case.fingerprint and (record is tests or case.split == TRAINING)
    }
    groups: dict[str, list[str]] = {}
    for name, group in look_alikes(fingerprints).items():
        groups.setdefault(group, []).append(name)
    mixed = [names for names in groups.values() if len({name[:5] for name in names}) > 1]
    return [" = ".join(name[5:] for name in sorted(names, reverse=True)) for names in mixed]
