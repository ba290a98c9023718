"""What is compared: all scores of trainers on the same cases, and what makes them comparable."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_sgdc.comparison.agreement import check_agreement
from nnunet_sgdc.comparison.errors import ComparisonError
from nnunet_sgdc.comparison.sources import Source, read_source
from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.record import EvaluationRecord

_KEY = ["dataset", "trainer", "seed", "case", "class", "metric"]


@dataclass(frozen=True)
class Study:
    """Scores that may be compared.

    Attributes:
        evaluations: The records of all evaluations; foreign tables have none.
        values: All scores, in the columns of `CASES_COLUMNS`.
        trainers: The trainers, the baseline first and the others as they were given.
        notes: What the reader must know: what differs although it should not, and what is unknown; whole sentences.
    """

    evaluations: tuple[EvaluationRecord, ...]
    values: pd.DataFrame
    trainers: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def baseline(self) -> str:
        """The trainer that the others are compared with."""
        return self.trainers[0]

    @property
    def datasets(self) -> tuple[str, ...]:
        """The sets of cases as they were given."""
        return tuple(self.values["dataset"].unique())

    def evaluations_on(self, dataset: str) -> tuple[EvaluationRecord, ...]:
        """The records of one data set."""
        return tuple(record for record in self.evaluations if record.dataset == dataset)

    def clusters(self, dataset: str) -> Mapping[str, str] | None:
        """The source of each case; None where all cases are independent as far as is known."""
        cases = set(self.values.loc[self.values["dataset"] == dataset, "case"].unique())
        known = {case.id: case.cluster for record in self.evaluations_on(dataset) for case in record.cases}
        sources = {case: known.get(case) or case for case in sorted(cases)}
        return sources if len(set(sources.values())) < len(cases) else None


def read_study(sources: Sequence[Path], baseline: str | None = None, allow: Collection[str] = ()) -> Study:
    """Read evaluations and check that they may be compared.

    Args:
        sources: Folders of `nnunet_sgdc-evaluate` and per-case tables, as `read_source` takes them.
        baseline: The trainer to compare the others with; by default the first one.
        allow: What may differ all the same, of `ALLOWANCES`; then a note says so.

    Raises:
        ComparisonError: A table cannot be read, or they cannot be compared.
        EvaluationError: A record cannot be read.
    """
    if not sources:
        raise ComparisonError("sources must be folders of evaluations or tables, got none: give two trainers or more")
    found = [read_source(path) for path in sources]
    values = _joined(found)
    trainers = _ordered(tuple(values["trainer"].unique()), baseline)
    _check_trainers(values, trainers)
    notes = check_agreement(found, values, allow)
    return Study(tuple(source.record for source in found if source.record), values, trainers, notes)


def _joined(sources: Sequence[Source]) -> pd.DataFrame:
    values = pd.concat([source.table for source in sources], ignore_index=True)
    repeated = values.duplicated(_KEY)
    if repeated.any():
        raise ComparisonError(
            f"each score must come once, but {int(repeated.sum())} come again, the first of "
            f"{listed(values.loc[repeated, _KEY].iloc[0])}: leave out one of the sources, or give each training a seed "
            "of its own"
        )
    return values


def _ordered(trainers: tuple[str, ...], baseline: str | None) -> tuple[str, ...]:
    if len(trainers) < 2:
        raise ComparisonError(f"a comparison needs 2 trainers or more, got {listed(trainers)} only: add another one")
    first = trainers[0] if baseline is None else baseline
    if first not in trainers:
        raise ComparisonError(f"baseline must be one of the trainers {listed(trainers)}, got {first}: take one of them")
    return (first, *(trainer for trainer in trainers if trainer != first))


def _check_trainers(values: pd.DataFrame, trainers: Sequence[str]) -> None:
    for dataset, table in values.groupby("dataset", sort=False):
        missing = [trainer for trainer in trainers if trainer not in table["trainer"].unique()]
        if missing:
            raise ComparisonError(
                f"{dataset} must have scores of all trainers, but lacks {counted(missing)}: evaluate them there, or "
                "leave the data set out"
            )
