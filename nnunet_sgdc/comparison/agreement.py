"""Whether scores may stand in one table: the same cases, classes and truth, scored and trained alike.

Cases, classes and truth must be the same. What else differs between the trainers of a data set is refused unless it is
allowed by name, and then a note says it beside the numbers.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from nnunet_sgdc.comparison.errors import ComparisonError
from nnunet_sgdc.comparison.sources import Source
from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.record import RECORD_NAME, EvaluationRecord

UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Aspect:
    """Something that all evaluations of a data set should share.

    Attributes:
        what: What it is called.
        facts: What it consists of in one evaluation.
        remedy: How they come to share it.
    """

    what: str
    facts: Callable[[EvaluationRecord], set[str]]
    remedy: str


def _definitions(record: EvaluationRecord) -> set[str]:
    # Tolerances stand in the names of the metrics, so nsd@2 is the same whichever others were asked for.
    settings = record.settings
    definitions = {f"{metric}: {definition}" for metric, definition in record.definitions.items()}
    options = {
        f"spacing {settings.spacing}",
        f"boundary width {settings.boundary_width}",
        f"ignored label {record.ignore_label}",
    }
    return options | definitions


def _hash(record: EvaluationRecord, name: str) -> set[str]:
    return {record.hashes.get(name, UNKNOWN)[:12]}


_ASPECTS = {
    "grid": _Aspect("grid", lambda record: {record.grid}, "evaluate both on one grid"),
    "definitions": _Aspect(
        "definitions of the metrics", _definitions, "evaluate both with the same version and options"
    ),
    "plans": _Aspect("plans", lambda record: _hash(record, "plans"), "train both with the same plans"),
    "splits": _Aspect("splits", lambda record: _hash(record, "splits"), "train both on the same splits"),
}
# What may be allowed to differ, and `provenance`: tables of which nothing is known but their numbers.
ALLOWANCES = (*_ASPECTS, "provenance")


def check_agreement(sources: Sequence[Source], values: pd.DataFrame, allow: Collection[str]) -> tuple[str, ...]:
    """Check that scores may be compared.

    Args:
        sources: Where they come from.
        values: All of them.
        allow: What may differ all the same, of `ALLOWANCES`.

    Returns:
        What differs although it should not, and what is unknown, a sentence each.

    Raises:
        ComparisonError: Something differs that must not.
    """
    unknown = [name for name in allow if name not in ALLOWANCES]
    if unknown:
        raise ComparisonError(f"allow must name some of {listed(ALLOWANCES)}, got {listed(unknown)}: correct it")
    notes = list(_check_provenance(sources, allow))
    for dataset, table in values.groupby("dataset", sort=False):
        name = str(dataset)
        records = [source.record for source in sources if source.record and source.record.dataset == name]
        _check_same(name, table, "case")
        _check_same(name, table, "class")
        notes += _check_records(name, records, allow)
        if len({record.grid for record in records}) < 2:
            _check_truth(name, table)
        notes += _check_folds(name, table, allow)
        _check_clusters(name, records)
    return tuple(notes)


def _check_provenance(sources: Sequence[Source], allow: Collection[str]) -> Iterator[str]:
    for source in sources:
        if source.record is not None:
            continue
        if len(sources) > 1 and "provenance" not in allow:
            raise ComparisonError(
                f"{source.path} must have {RECORD_NAME} beside it to be compared with others, for without it grid and "
                "definitions are unknown: score its predictions with nnunet_sgdc-evaluate, or give --allow provenance"
            )
        yield f"Of {source.path.name} only the numbers are known: no grid, no definitions, no sources of the cases."


def _check_same(dataset: str, table: pd.DataFrame, column: str) -> None:
    """Check that all trainings have the same cases or classes."""
    found = {
        f"{trainer} (seed {seed})": set(rows.unique())
        for (trainer, seed), rows in table.groupby(["trainer", "seed"], sort=False)[column]
    }
    for (first, expected), (name, values) in pairwise(found.items()):
        if expected != values:
            plural = {"case": "cases", "class": "classes"}[column]
            raise ComparisonError(
                f"{dataset}: {name} must have the same {plural} as {first}, but these are in one of them only "
                f"({counted(sorted(expected ^ values))}): evaluate both on the same {plural}"
            )


def _check_records(dataset: str, records: Sequence[EvaluationRecord], allow: Collection[str]) -> Iterator[str]:
    for name, aspect in _ASPECTS.items():
        pair = next((pair for pair in pairwise(records) if aspect.facts(pair[0]) != aspect.facts(pair[1])), None)
        if pair is None:
            continue
        first, other = (f"{record.trainer} (seed {record.seed})" for record in pair)
        differing = sorted(aspect.facts(pair[0]) ^ aspect.facts(pair[1]))
        found = f"the {aspect.what} of {other} and {first} differ ({counted(differing)})"
        if name not in allow:
            raise ComparisonError(
                f"{dataset} must have the same {aspect.what} throughout, but {found}: {aspect.remedy}, or give "
                f"--allow {name}"
            )
        yield f"In {dataset} {found}."


def _check_truth(dataset: str, table: pd.DataFrame) -> None:
    sizes = table[table["metric"] == "n_ref"].groupby(["case", "class"])["value"].nunique()
    changed = sorted({case for case, _ in sizes.index[sizes > 1]})
    if changed:
        raise ComparisonError(
            f"{dataset}: the truth must be the same for all trainers, but n_ref of these cases differs "
            f"({counted(changed)}): evaluate all of them against the same labels"
        )


def _check_folds(dataset: str, table: pd.DataFrame, allow: Collection[str]) -> Iterator[str]:
    folds = table[table["fold"] != ""].groupby("case")["fold"].nunique()
    moved = sorted(folds.index[folds > 1])
    if moved:
        found = f"these cases were predicted by different folds ({counted(moved)})"
        if "splits" not in allow:
            raise ComparisonError(
                f"{dataset}: each case must be predicted by the same fold of all trainers, but {found}: train them on "
                "the same splits, or give --allow splits"
            )
        yield f"In {dataset} {found}."


def _check_clusters(dataset: str, records: Sequence[EvaluationRecord]) -> None:
    clusters = [{case.id: case.cluster for case in record.cases} for record in records]
    for first, other in pairwise(clusters):
        moved = sorted(case for case in first.keys() & other.keys() if first[case] != other[case])
        if moved:
            raise ComparisonError(
                f"{dataset}: each case must have the same source in all evaluations, but these have not "
                f"({counted(moved)}): evaluate all of them with the same record of the conversion"
            )
