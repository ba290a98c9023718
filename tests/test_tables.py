"""Tables of a comparison: that numbers survive, that texts can be read, and that names break nothing."""

import math
import re
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from evaluations import DATASET, scores, write_evaluation

from nnunet_sgdc.comparison.analysis import compare_study
from nnunet_sgdc.comparison.rendering import as_text, write_tables
from nnunet_sgdc.comparison.report_table import costs_table
from nnunet_sgdc.comparison.results import MetricComparison
from nnunet_sgdc.comparison.study import Study, read_study
from nnunet_sgdc.comparison.table import cost_table, main_table
from nnunet_sgdc.evaluation.record import TrainingCost

BASE = [0.80, 0.70, 0.90, 0.60, 0.75, 0.85, 0.80, 0.70]
BETTER = [0.85, 0.72, 0.90, 0.66, 0.74, 0.88, 0.84, 0.75]
BAD_NAME = r"50%_a&b#1$x{y}~^<\|[*"

Found = tuple[Study, tuple[MetricComparison, ...]]


def found_by(folder: Path, other: str = "SGDC", metrics: Any = ("dice", "hd95"), **changes: Any) -> Found:
    paths = [
        write_evaluation(folder / "0", trainer="base", values=scores(BASE), **changes),
        write_evaluation(folder / "1", trainer=other, values=scores(BETTER), **changes),
    ]
    study = read_study(paths)
    return study, compare_study(study, metrics, resamples=500)


def written(folder: Path, found: Found, name: str) -> str:
    write_tables(folder, *found)
    return (folder / name).read_text(encoding="utf-8")


@pytest.fixture
def found(tmp_path: Path) -> Found:
    return found_by(tmp_path)


# Numbers


def test_the_csv_table_holds_every_number_exactly(tmp_path: Path, found: Found) -> None:
    written(tmp_path, found, "table.csv")
    # As text, since how many digits pandas reads depends on its version.
    table = pd.read_csv(tmp_path / "table.csv", dtype=str).set_index(["metric", "trainer"])
    for comparison in found[1]:
        row, summary = table.loc[(comparison.metric, "SGDC")], comparison.summaries["SGDC"]
        difference = comparison.differences["SGDC"]
        expected = {
            **{"mean": summary.mean, "sd": summary.deviation, "fold_sd": summary.fold_deviation},
            **{"difference": difference.mean, "ci_low": difference.interval[0], "ci_high": difference.interval[1]},
            **{"p": difference.p_value, "p_holm": comparison.adjusted["SGDC"]},
            **{"wins": difference.wins, "ties": difference.ties, "losses": difference.losses},
            **{"failures": 0, "seeds": 1},
        }
        assert {name: float(row[name]) for name in expected} == expected
        assert row["verdict"] == comparison.verdict("SGDC")


def test_the_main_table_has_a_row_for_each_trainer(found: Found) -> None:
    table = main_table(found[1])
    assert list(zip(table["metric"], table["trainer"], strict=True)) == [
        ("dice", "base"),
        ("dice", "SGDC"),
        ("hd95", "base"),
        ("hd95", "SGDC"),
    ]
    assert table.loc[0, ["dataset", "grid", "class", "baseline"]].tolist() == [
        DATASET,
        "training grid",
        "lesion",
        "base",
    ]


def test_the_baseline_has_no_difference(found: Found) -> None:
    row = main_table(found[1]).iloc[0]
    assert row[["difference", "ci_low", "ci_high", "p", "p_holm", "wins", "ties", "losses", "verdict"]].isna().all()


def test_costs_are_means_over_seeds(tmp_path: Path) -> None:
    costs = [TrainingCost(1000, seconds, 70) for seconds in (3600.0, 3 * 3600.0)]
    paths = [
        write_evaluation(tmp_path / f"{name}{seed}", trainer=name, seed=seed, values=scores(BASE), cost=cost)
        for name in "ab"
        for seed, cost in enumerate(costs)
    ]
    row = cost_table(read_study(paths)).iloc[1]
    assert row.tolist() == [DATASET, "b", "nnUNetPlans 2d", 1000, 2.0, 70]


def test_test_sets_have_no_costs_of_their_own(tmp_path: Path) -> None:
    paths = [
        write_evaluation(tmp_path / name / key, trainer=name, dataset=f"{DATASET}{place}", values=scores(BASE))
        for key, place in (("validation", ""), ("Ts", "/Ts"))
        for name in "ab"
    ]
    assert cost_table(read_study(paths))[["dataset", "trainer"]].values.tolist() == [[DATASET, "a"], [DATASET, "b"]]


def test_unknown_costs_are_missing(tmp_path: Path) -> None:
    paths = [write_evaluation(tmp_path / name, trainer=name, values=scores(BASE), cost=None) for name in "ab"]
    assert cost_table(read_study(paths))[["parameters", "training_hours", "activation_bytes"]].isna().all(axis=None)


def test_unknown_hours_alone_are_missing(tmp_path: Path) -> None:
    study, comparisons = found_by(tmp_path, cost=TrainingCost(2_500_000, None, 3_000_000_000))
    assert cost_table(study)["parameters"].tolist() == [2_500_000, 2_500_000]
    assert re.search(r"^SGDC +nnUNetPlans 2d +2\.50 +\? +3\.00$", as_text(study, comparisons), re.MULTILINE)


def test_unknown_activations_alone_are_missing(tmp_path: Path) -> None:
    costs = {"base": TrainingCost(2_500_000, 3600.0, 3_000_000_000), "SGDC": TrainingCost(2_600_000, 7200.0, None)}
    paths = [
        write_evaluation(tmp_path / name, trainer=name, values=scores(BASE), cost=cost) for name, cost in costs.items()
    ]
    study = read_study(paths)
    text = as_text(study, compare_study(study, ["dice"], resamples=100))
    assert re.search(r"^base +nnUNetPlans 2d +2\.50 +1\.00 +3\.00$", text, re.MULTILINE)
    assert re.search(r"^SGDC +nnUNetPlans 2d +2\.60 +2\.00 +\?$", text, re.MULTILINE)
    assert [row["Activations (GB)"].text for row in costs_table(cost_table(study)).rows] == ["3.00", "?"]


# The screen


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_a_row_can_be_read_and_computed_by_hand(tmp_path: Path) -> None:
    """Six wins, a tie and a loss, the sum of which is 0.24."""
    text = as_text(*found_by(tmp_path, metrics=["dice"]))
    summary = f"{statistics.mean(BETTER):.3f} ± {statistics.stdev(BETTER):.3f}"
    assert re.search(
        rf"^SGDC  +{summary}  +0\.\d{{3}}  +\(1\)  +\+0\.0300 \[0\.\d{{4}}, 0\.\d{{4}}\]  0\.\d{{3}}  +6/1/1  +0$",
        line_of(text, "SGDC"),
    )


def test_the_row_of_the_baseline_has_no_difference(found: Found) -> None:
    assert re.search(r"^base +0\.\d{3} ± 0\.\d{3} +0\.\d{3} +\(1\) +0$", line_of(as_text(*found), "base"))


def test_distances_have_two_digits_and_a_unit(found: Found) -> None:
    _, dice, distances, *_ = ("\n" + as_text(*found)).split(f"\n{DATASET}")
    assert "lesion: dice, higher is better, 8 cases" in dice
    assert "(training grid), lesion: hd95 in px, lower is better, 8 cases" in distances
    assert re.search(r"20\.75 ± 8\.\d\d .* -3\.00 \[-\d\.\d\d, -\d\.\d\d\]", distances)


def test_verdicts_stand_below_their_table(found: Found) -> None:
    text = as_text(*found)
    for comparison in found[1]:
        assert f"SGDC against base: {comparison.verdict('SGDC')}." in re.sub(r"\n +", " ", text)


def test_the_family_is_stated(found: Found) -> None:
    assert "adjusted by Holm's method for the declared family of 2 tests" in re.sub(r"\s+", " ", as_text(*found))


def test_small_p_values_are_bounded_and_wins_ties_and_losses_counted(tmp_path: Path) -> None:
    gains = [0.0, 0.0, -0.001, *[0.01] * 27]
    paths = [
        write_evaluation(tmp_path / name, trainer=name, values=scores(0.5 + share * gain for gain in gains))
        for name, share in (("a", 0), ("b", 1))
    ]
    study = read_study(paths)
    assert "  <0.001  27/2/1" in as_text(study, compare_study(study, ["dice"], resamples=100))


def test_seeds_and_failures_are_shown(tmp_path: Path) -> None:
    missed = {case: {**row, "n_pred": 0} for case, row in scores(BASE).items()}
    paths = [
        write_evaluation(tmp_path / f"{name}{seed}", trainer=name, seed=seed, values=values)
        for name in "ab"
        for seed, values in enumerate((missed, scores(BETTER)))
    ]
    study = read_study(paths)
    text = as_text(study, compare_study(study, ["dice"], resamples=100))
    assert re.search(r"^b .* 0\.021 \(2\) .* 8$", text, re.MULTILINE)


def test_sources_are_counted(tmp_path: Path) -> None:
    clusters = {case: str(position // 2) for position, case in enumerate(scores(BASE))}
    assert "better, 8 cases of 4 sources\n" in as_text(*found_by(tmp_path, clusters=clusters))


def test_notes_are_told(found: Found) -> None:
    study, comparisons = found
    noted = Study(study.evaluations, study.values, study.trainers, ("Something differs.",))
    assert as_text(noted, comparisons).endswith("\nSomething differs.")


def test_a_study_without_costs_has_no_table_of_them(tmp_path: Path) -> None:
    assert "cost of training" not in as_text(*found_by(tmp_path, cost=None))


@pytest.mark.parametrize("name", ["nnUNetTrainerSGDC_noguide_1000epochs", "x" * 150, "a word " * 30])
def test_nothing_is_wider_than_the_screen(tmp_path: Path, name: str) -> None:
    name = name.strip()
    text = as_text(*found_by(tmp_path, name))
    assert max(map(len, text.splitlines())) <= 120
    assert name.replace(" ", "")[:30] in re.sub(r"\s", "", text)


# Markdown


def cells(row: str) -> list[str]:
    """The cells of a row, split at bars that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_markdown_tables_have_a_heading_and_equal_rows(tmp_path: Path, found: Found) -> None:
    text = written(tmp_path, found, "table.md")
    rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert [line for line in text.splitlines() if line.startswith("### ")][-1] == f"### {DATASET}: cost of training"
    assert [len(row) for row in rows] == [8] * 8 + [5] * 4
    assert rows[0] == ["Trainer", "Mean ± SD", "Folds", "Seeds", "Difference [95 % CI]", "p", "W/T/L", "Failed"]


def test_a_bar_in_a_name_breaks_no_row(tmp_path: Path) -> None:
    text = written(tmp_path, found_by(tmp_path, "a|b", ["dice"]), "table.md")
    assert len(cells(line_of(text, r"| a\|b"))) == 8


def test_verdicts_stand_in_markdown_too(tmp_path: Path, found: Found) -> None:
    assert f"\n\nSGDC against base: {found[1][0].verdict('SGDC')}.\n\n" in written(tmp_path, found, "table.md")


# LaTeX


def test_latex_tables_are_those_of_booktabs(tmp_path: Path, found: Found) -> None:
    text = written(tmp_path, found, "table.tex")
    for command in (r"\begin{table}", r"\begin{tabular}{l", r"\toprule", r"\midrule", r"\bottomrule", r"\end{table}"):
        assert text.count(command) == 3
    assert r"\caption{Dataset116\_ISIC2016 (training grid), lesion: dice, higher is better, 8 cases}" in text
    spread = f"{100 * statistics.stdev(BETTER):.2f}"
    assert re.search(rf"\nSGDC & 20\.75 \$\\pm\$ {spread} & \d\.\d\d & \(1\) & \$-\$3\.00 {{\[}}\$-\$", text)


def test_every_row_of_latex_has_as_many_cells_as_columns(tmp_path: Path) -> None:
    text = written(tmp_path, found_by(tmp_path, BAD_NAME), "table.tex")
    for layout, body in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 3
        assert all(len(re.findall(r"(?<!\\)&", row)) == len(layout) - 1 for row in rows)


def test_names_are_escaped_in_latex(tmp_path: Path) -> None:
    text = written(tmp_path, found_by(tmp_path, BAD_NAME), "table.tex")
    escaped = r"50\%\_a\&b\#1\$x\{y\}\textasciitilde{}\textasciicircum{}$<$\textbackslash{}\textbar{}{[}{*} & "
    assert text.count("\n" + escaped) == 3


def test_nothing_special_is_left_in_latex(tmp_path: Path) -> None:
    """Outside of comments only commands, grouping, cells and mathematics that were meant are left."""
    text = written(tmp_path, found_by(tmp_path, BAD_NAME, clusters={}), "table.tex")
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    rest = re.sub(r"\\[%_&#${}]|\\[a-zA-Z]+|\\\\$|\$(-|<|\\pm)\$", "", "\n".join(lines), flags=re.MULTILINE)
    assert not re.search(r"[\\$#%_~^±]", rest)
    assert rest.count("{") == rest.count("}")


def test_a_name_that_begins_with_a_bracket_is_no_argument(tmp_path: Path) -> None:
    assert "\n{[}old] base2 & " in written(tmp_path, found_by(tmp_path, "[old] base2", ["dice"]), "table.tex")


def test_a_hyphen_in_a_name_stays_one(tmp_path: Path) -> None:
    assert "\nSGDC-7-x & " in written(tmp_path, found_by(tmp_path, "SGDC-7-x", ["dice"]), "table.tex")


def test_sentences_are_comments_in_latex(tmp_path: Path, found: Found) -> None:
    text = written(tmp_path, found, "table.tex")
    assert f"\n% SGDC against base: {found[1][0].verdict('SGDC')}.\n" in text
    assert text.startswith("% Needs \\usepackage{booktabs}.\n")


def test_all_tables_are_written(tmp_path: Path, found: Found) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    write_tables(folder, *found)
    assert sorted(path.name for path in folder.iterdir()) == ["costs.csv", "table.csv", "table.md", "table.tex"]
    assert not math.isnan(pd.read_csv(folder / "costs.csv")["parameters"].sum())
