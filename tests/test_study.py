"""What is read and refused before trainers are compared, on made-up evaluations in real folders."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from evaluations import DATASET, scores, write_evaluation, write_rows

from nnunet_sgdc.comparison import ComparisonError
from nnunet_sgdc.comparison.agreement import ALLOWANCES
from nnunet_sgdc.comparison.study import Study, read_study
from nnunet_sgdc.errors import UserError
from nnunet_sgdc.evaluation.metrics import Settings
from nnunet_sgdc.evaluation.record import CASES_NAME, ORIGINAL_GRID, RECORD_NAME

VALUES = scores([0.9, 0.8, 0.7])
TEST_SET = f"{DATASET}/Ts"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_evaluation(tmp_path / "base", trainer="base", values=VALUES)


def other(beside: Path, name: str = "other", values: Any = VALUES, trainer: str = "SGDC", **changes: Any) -> Path:
    return write_evaluation(beside.parent / name, trainer=trainer, values=values, **changes)


def foreign(path: Path, trainers: Iterable[str] = ("A", "B")) -> Path:
    """A table of Dice scores alone, without a record beside it."""
    rows = [
        [DATASET, "", 0, trainer, case, "lesion", "dice", row["dice"]]
        for trainer in trainers
        for case, row in VALUES.items()
    ]
    path.parent.mkdir()
    return write_rows(path, rows)


def line_changed(folder: Path, number: int, old: str, new: str) -> Path:
    path = folder / CASES_NAME
    lines = path.read_text().splitlines()
    lines[number - 1] = lines[number - 1].replace(old, new)
    path.write_text("\n".join(lines) + "\n")
    return folder


# What is read


def test_all_values_are_read_exactly(base: Path) -> None:
    values = scores([1 / 3, 0.1 + 0.2, 2**-60])
    study = read_study([base, other(base, values=values)])
    rows = study.values.query("trainer == 'SGDC' and metric == 'dice'")
    assert dict(zip(rows["case"], rows["value"], strict=True)) == {case: row["dice"] for case, row in values.items()}


def test_identifiers_of_digits_stay_texts(base: Path) -> None:
    values = {"0001": {"dice": 0.5}, "002": {"dice": 0.6}}
    paths = [other(base, name, values, name) for name in ("a", "b")]
    assert set(read_study(paths).values["case"]) == {"0001", "002"}


def test_a_table_stands_for_its_folder(base: Path) -> None:
    study = read_study([base / CASES_NAME, other(base)])
    assert [record.trainer for record in study.evaluations] == ["base", "SGDC"]
    assert study.notes == ()


def test_the_first_trainer_is_the_baseline(base: Path) -> None:
    study = read_study([base, other(base)])
    assert (study.baseline, study.trainers) == ("base", ("base", "SGDC"))


def test_the_named_baseline_comes_first_and_the_others_stay_in_order(base: Path) -> None:
    paths = [base, *(other(base, name, trainer=name) for name in ("z", "a", "y"))]
    assert read_study(paths, baseline="a").trainers == ("a", "base", "z", "y")


def test_data_sets_stay_in_order(base: Path) -> None:
    paths = [base, other(base), *(other(base, f"ts_{name}", trainer=name, dataset="A/Ts") for name in ("base", "SGDC"))]
    assert read_study(paths).datasets == (DATASET, "A/Ts")


def test_seeds_may_differ_in_number(base: Path) -> None:
    paths = [base, other(base), other(base, "again", seed=1)]
    assert sorted(read_study(paths).values.query("trainer == 'SGDC'")["seed"].unique()) == [0, 1]


def test_cases_are_independent_unless_they_share_a_source(base: Path) -> None:
    assert read_study([base, other(base)]).clusters(DATASET) is None


def test_cases_of_one_source_are_known(tmp_path: Path) -> None:
    sources = {"case_0000": "image", "case_0001": "image", "case_0002": ""}
    paths = [write_evaluation(tmp_path / name, trainer=name, values=VALUES, clusters=sources) for name in "ab"]
    assert read_study(paths).clusters(DATASET) == {**sources, "case_0002": "case_0002"}


# Tables of others


def test_a_foreign_table_is_compared_within_itself(tmp_path: Path) -> None:
    study = read_study([foreign(tmp_path / "x" / "scores.csv")])
    assert (study.trainers, study.evaluations) == (("A", "B"), ())
    assert study.notes == (
        "Of scores.csv only the numbers are known: no grid, no definitions, no sources of the cases.",
    )


def test_a_foreign_table_is_not_compared_with_others(base: Path) -> None:
    with pytest.raises(ComparisonError, match=r"scores\.csv must have evaluation\.json.*give --allow provenance"):
        read_study([base, foreign(base.parent / "x" / "scores.csv")])


def test_foreign_tables_are_compared_when_told(tmp_path: Path) -> None:
    paths = [foreign(tmp_path / name / "scores.csv", [name]) for name in "xy"]
    assert len(read_study(paths, allow=["provenance"]).notes) == 2


def test_a_table_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = foreign(tmp_path / "x" / "scores.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_study([path]).datasets == (DATASET,)


# Damaged sources


def test_a_path_without_anything_is_told(base: Path) -> None:
    with pytest.raises(ComparisonError, match=r"nowhere must be a per-case table, but does not exist: make it"):
        read_study([base, base.parent / "nowhere"])


def test_a_folder_without_a_record_is_told(base: Path) -> None:
    (base / RECORD_NAME).unlink()
    with pytest.raises(UserError, match=r"base must hold evaluation\.json, but does not"):
        read_study([base, other(base)])


def test_a_folder_without_a_table_is_told(base: Path) -> None:
    (base / CASES_NAME).unlink()
    with pytest.raises(ComparisonError, match=r"cases\.csv must be a per-case table, but does not exist"):
        read_study([base, other(base)])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'dataset,fold\n"x,1\n', b"a,b\n1,2\n1,2,3\n"])
def test_a_file_that_is_no_table_is_told(base: Path, content: bytes) -> None:
    (base / CASES_NAME).write_bytes(content)
    with pytest.raises(
        ComparisonError, match=r"cases\.csv must be a table of comma-separated values, but is damaged \("
    ):
        read_study([base, other(base)])


def test_missing_columns_are_listed(base: Path) -> None:
    write_rows(base / CASES_NAME, [["x", 1]], columns=["case", "value"])
    with pytest.raises(ComparisonError, match="lacks dataset, fold, seed, trainer, class, metric: add them"):
        read_study([base, other(base)])


def test_a_table_without_rows_is_told(base: Path) -> None:
    write_rows(base / CASES_NAME, [])
    with pytest.raises(ComparisonError, match=r"cases\.csv must hold scores, but has no rows"):
        read_study([base, other(base)])


@pytest.mark.parametrize("value", ["high", "", "0,9", "1_0"])
def test_a_value_that_is_no_number_is_found(base: Path, value: str) -> None:
    line_changed(base, 3, "9.999999999999998", f'"{value}"')
    with pytest.raises(ComparisonError, match=rf"cases\.csv, line 3: value must be a number.*got '{value}'"):
        read_study([base, other(base)])


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "1e-3"])
def test_undefined_values_are_read(base: Path, value: str) -> None:
    line_changed(base, 3, "9.999999999999998", value)
    assert str(read_study([base, other(base)]).values["value"][1]) == str(float(value))


def test_a_row_that_ends_early_is_found(base: Path) -> None:
    line_changed(base, 16, "n_pred,100", "n_p")
    with pytest.raises(ComparisonError, match="line 16: value must be a number"):
        read_study([base, other(base)])


def test_a_seed_that_is_no_number_is_found(base: Path) -> None:
    line_changed(base, 2, ",0,base", ",x,base")
    with pytest.raises(ComparisonError, match="line 2: seed must be a whole number, got 'x'"):
        read_study([base, other(base)])


@pytest.mark.parametrize(("name", "old"), [("dataset", DATASET), ("trainer", "base"), ("seed", ",0,base")])
def test_a_table_of_another_record_is_told(base: Path, name: str, old: str) -> None:
    line_changed(base, 2, old, ",7,base" if name == "seed" else "7")
    with pytest.raises(ComparisonError, match=rf"must be of the {name} .* but has others \(1: 7\): evaluate again"):
        read_study([base, other(base)])


def test_a_table_without_a_case_of_the_record_is_told(base: Path) -> None:
    table = (base / CASES_NAME).read_text()
    (base / CASES_NAME).write_text("".join(line for line in table.splitlines(True) if "case_0001" not in line))
    with pytest.raises(ComparisonError, match=r"cases of evaluation\.json beside it, .* only \(1: case_0001\)"):
        read_study([base, other(base)])


# Trainers


def test_no_sources_are_refused() -> None:
    with pytest.raises(ComparisonError, match=r"sources must be folders .* got none"):
        read_study([])


def test_one_trainer_is_not_enough(base: Path) -> None:
    with pytest.raises(ComparisonError, match="2 trainers or more, got base only"):
        read_study([base, other(base, trainer="base", seed=1)])


def test_an_unknown_baseline_is_told_with_the_trainers(base: Path) -> None:
    with pytest.raises(ComparisonError, match="one of the trainers base, SGDC, got nnUNet: take one"):
        read_study([base, other(base)], baseline="nnUNet")


def test_a_trainer_that_one_data_set_lacks_is_told(base: Path) -> None:
    paths = [base, other(base), other(base, "ts", dataset=TEST_SET)]
    with pytest.raises(ComparisonError, match=r"Ts must have scores of all trainers, but lacks 1: base: evaluate"):
        read_study(paths)


def test_the_same_source_twice_is_told(base: Path) -> None:
    with pytest.raises(
        ComparisonError, match=r"15 come again, the first of .*, base, 0, case_0000, lesion, dice: leave"
    ):
        read_study([base, base, other(base)])


# Cases, classes and truth


def test_unequal_cases_are_listed(base: Path) -> None:
    values = {**{case: VALUES[case] for case in ("case_0000", "case_0001")}, "new": {"dice": 0.5}}
    with pytest.raises(
        ComparisonError,
        match=r"SGDC \(seed 0\) must have the same cases as base \(seed 0\).* one of them only \(2: case_0002, new\)",
    ):
        read_study([base, other(base, values=values)])


def test_unequal_cases_of_seeds_are_told_whatever_is_allowed(base: Path) -> None:
    paths = [base, other(base), other(base, "again", scores([0.9, 0.8]), seed=1)]
    with pytest.raises(ComparisonError, match=r"SGDC \(seed 1\) must have the same cases as SGDC \(seed 0\)"):
        read_study(paths, allow=ALLOWANCES)


def test_unequal_classes_are_listed(base: Path) -> None:
    with pytest.raises(ComparisonError, match=r"must have the same classes .*\(1: nevus\): evaluate both"):
        read_study([base, other(base, other_classes={"nevus": VALUES})])


def test_a_changed_truth_is_told(base: Path) -> None:
    values = {case: {**row, "n_ref": 100 + (case == "case_0001")} for case, row in VALUES.items()}
    with pytest.raises(ComparisonError, match=r"the truth must be the same .* differs \(1: case_0001\)"):
        read_study([base, other(base, values=values)])


def test_a_size_of_a_prediction_may_differ(base: Path) -> None:
    values = {case: {**row, "n_pred": 7} for case, row in VALUES.items()}
    assert read_study([base, other(base, values=values)]).notes == ()


# Grid, definitions, plans and splits

DIFFERENCES = {
    "grid": ({"grid": ORIGINAL_GRID}, r"grid .*\(2: original size, training grid\)"),
    "definitions": (
        {"settings": Settings(spacing=(0.5, 0.5))},
        r"definitions .*\(2: spacing \(0\.5, 0\.5\), spacing None",
    ),
    "plans": ({"hashes": {"plans": "c", "splits": "b" * 64}}, r"plans .*\(2: a{12}, c\)"),
    "splits": ({"hashes": {"plans": "a" * 64}}, r"splits .*\(2: b{12}, unknown\)"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_mixed_provenance_is_refused(base: Path, name: str) -> None:
    changes, found = DIFFERENCES[name]
    with pytest.raises(ComparisonError, match=rf"the same {found}.*, or give --allow {name}"):
        read_study([base, other(base, **changes)], allow={*ALLOWANCES} - {name})


@pytest.mark.parametrize("name", DIFFERENCES)
def test_mixed_provenance_is_stated_when_it_is_allowed(base: Path, name: str) -> None:
    changes, found = DIFFERENCES[name]
    study = read_study([base, other(base, **changes)], allow=[name])
    assert len(study.notes) == 1
    assert study.notes[0].startswith(f"In {DATASET} the {found.split()[0]}")
    assert "SGDC (seed 0) and base (seed 0) differ" in study.notes[0]


@pytest.mark.parametrize(
    "changes",
    [{"settings": Settings(boundary_width=3)}, {"definitions": {"dice": "another one"}}, {"ignore_label": 2}],
)
def test_other_definitions_are_refused(base: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ComparisonError, match="must have the same definitions of the metrics throughout"):
        read_study([base, other(base, **changes)])


def test_more_tolerances_are_no_other_definitions(base: Path) -> None:
    assert read_study([base, other(base, settings=Settings(tolerances=(2, 5)))]).notes == ()


def test_sizes_of_the_truth_may_differ_with_the_grid(base: Path) -> None:
    values = {case: {**row, "n_ref": 400} for case, row in VALUES.items()}
    assert len(read_study([base, other(base, values=values, grid=ORIGINAL_GRID)], allow=["grid"]).notes) == 1


def test_data_sets_may_differ_in_all_of_it(base: Path) -> None:
    changes = {"dataset": TEST_SET, "grid": ORIGINAL_GRID, "settings": Settings((1, 2)), "hashes": {}}
    paths = [base, other(base), *(other(base, f"ts_{name}", trainer=name, **changes) for name in ("base", "SGDC"))]
    assert read_study(paths).notes == ()


def test_cases_in_other_folds_are_refused(base: Path) -> None:
    folds = {"case_0000": "0", "case_0001": "2", "case_0002": "1"}
    with pytest.raises(ComparisonError, match=r"different folds \(2: case_0001, case_0002\).*give --allow splits"):
        read_study([base, other(base, folds=folds)])


def test_an_ensemble_is_not_compared_with_one_model_unless_told(base: Path) -> None:
    paths = [
        other(base, name, trainer=name, folds=dict.fromkeys(VALUES, fold), dataset=TEST_SET)
        for name, fold in (("a", "0+1+2+3+4"), ("b", "0"))
    ]
    with pytest.raises(ComparisonError, match="must be predicted by the same fold of all trainers"):
        read_study(paths)
    assert "different folds" in read_study(paths, allow=["splits"]).notes[0]


def test_an_unknown_fold_is_none(base: Path) -> None:
    assert read_study([base, other(base, folds=dict.fromkeys(VALUES, ""))]).notes == ()


def test_a_source_that_changes_is_told(base: Path) -> None:
    with pytest.raises(ComparisonError, match=r"same source in all evaluations, but these have not \(1: case_0001\)"):
        read_study([base, other(base, clusters={"case_0001": "image"})])


def test_an_unknown_allowance_is_told(base: Path) -> None:
    with pytest.raises(ComparisonError, match="some of grid, definitions, plans, splits, provenance, got gird"):
        read_study([base, other(base)], allow=["gird"])


def test_a_damaged_record_is_told(base: Path) -> None:
    record = json.loads((base / RECORD_NAME).read_text())
    (base / RECORD_NAME).write_text(json.dumps({**record, "cases": [{}]}))
    with pytest.raises(UserError, match=r"evaluation\.json is damaged"):
        read_study([base, other(base)])


def test_a_study_is_what_it_was_made_of(base: Path) -> None:
    study = read_study([base, other(base)])
    assert Study(study.evaluations, study.values, study.trainers).evaluations_on(DATASET) == study.evaluations
