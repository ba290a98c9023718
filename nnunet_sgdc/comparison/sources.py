"""The per-case tables that are compared: those of evaluations, and foreign ones of which nothing else is known."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnunet_sgdc.comparison.errors import ComparisonError
from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.record import (
    CASES_COLUMNS,
    CASES_NAME,
    RECORD_NAME,
    EvaluationRecord,
    read_evaluation,
)


@dataclass(frozen=True)
class Source:
    """One per-case table.

    Attributes:
        path: Its file.
        record: What is known of the evaluation; None for a foreign table.
        table: The columns of `CASES_COLUMNS`; seeds are whole numbers, values are floats, all else is text.
    """

    path: Path
    record: EvaluationRecord | None
    table: pd.DataFrame


def read_source(path: Path) -> Source:
    """Read a per-case table and, where there is one, the record of its evaluation.

    Args:
        path: A folder of `nnunet_sgdc-evaluate`, or a table, which is a foreign one unless `evaluation.json` lies
            beside it.

    Raises:
        ComparisonError: The table is missing, empty or damaged, or is not that of the record.
        EvaluationError: The record is missing in a folder, or damaged.
    """
    table_path = path / CASES_NAME if path.is_dir() else path
    is_foreign = not path.is_dir() and not path.with_name(RECORD_NAME).exists()
    record = None if is_foreign else read_evaluation(table_path.parent)
    source = Source(table_path, record, _read_table(table_path))
    _check_record(source)
    return source


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise ComparisonError(f"{path} must be a per-case table, but does not exist: make it with nnunet_sgdc-evaluate")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:
        raise ComparisonError(
            f"{path} must be a table of comma-separated values, but is damaged ({error}): evaluate again"
        ) from error
    missing = [name for name in CASES_COLUMNS if name not in table]
    if missing:
        raise ComparisonError(
            f"{path} must have the columns {listed(CASES_COLUMNS)}, but lacks {listed(missing)}: add them"
        )
    if table.empty:
        raise ComparisonError(f"{path} must hold scores, but has no rows: evaluate again")
    return table[[*CASES_COLUMNS]].assign(seed=_seeds(path, table["seed"]), value=_values(path, table["value"]))


def _seeds(path: Path, texts: "pd.Series[str]") -> "pd.Series[int]":
    _check_column(path, texts, texts.str.fullmatch(r"\d{1,18}"), "a whole number")
    return texts.astype("int64")


def _values(path: Path, texts: "pd.Series[str]") -> "pd.Series[float]":
    is_number = pd.to_numeric(texts, errors="coerce").notna() | (texts.str.lower() == "nan")
    _check_column(path, texts, is_number, "a number, or nan where it is undefined")
    # to_numeric loses the last digit.
    return texts.astype("float64")


def _check_column(path: Path, texts: "pd.Series[str]", is_valid: "pd.Series[bool]", expected: str) -> None:
    if not is_valid.all():
        row = int(is_valid.to_numpy().argmin())
        # The first row stands below the header, in line 2.
        raise ComparisonError(
            f"{path}, line {row + 2}: {texts.name} must be {expected}, got {texts.iloc[row]!r}: correct it, or "
            "evaluate again"
        )


def _check_record(source: Source) -> None:
    record, table = source.record, source.table
    if record is None:
        return
    remedy = "evaluate again, or move a foreign table away from the record"
    for name, known in (("dataset", record.dataset), ("trainer", record.trainer), ("seed", record.seed)):
        others = [str(value) for value in table[name].unique() if value != known]
        if others:
            raise ComparisonError(
                f"{source.path} must be of the {name} {known} as {RECORD_NAME} beside it says, but has others "
                f"({counted(others)}): {remedy}"
            )
    unpaired = sorted(set(table["case"].unique()) ^ {case.id for case in record.cases})
    if unpaired:
        raise ComparisonError(
            f"{source.path} must have the cases of {RECORD_NAME} beside it, but these are in one of them only "
            f"({counted(unpaired)}): {remedy}"
        )
