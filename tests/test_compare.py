"""`nnunet_sgdc-compare` on evaluations: what it writes and prints, which cases it shows, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluations import scores, write_evaluation
from releases import names, save

from nnunet_sgdc.comparison.compare import ComparisonReport, compare
from nnunet_sgdc.comparison.compare_command import main
from nnunet_sgdc.errors import UserError
from nnunet_sgdc.evaluation.evaluate import Origin, evaluate
from nnunet_sgdc.evaluation.folders import folder_set

DICE = {"stock": [0.9, 0.8, 0.7, 0.95, 0.6], "ours": [0.91, 0.83, 0.72, 0.94, 0.65]}


@pytest.fixture
def evaluations(tmp_path: Path) -> list[Path]:
    """Two trainers on five cases without images."""
    return [
        write_evaluation(tmp_path / trainer, trainer=trainer, values=scores(dice)) for trainer, dice in DICE.items()
    ]


@pytest.fixture
def report(evaluations: list[Path], tmp_path: Path) -> ComparisonReport:
    return compare(evaluations, tmp_path / "report", command="a command")


def disc(radius: float) -> np.ndarray:
    rows, columns = np.indices((32, 32)) - 16
    return (np.hypot(rows, columns) < radius).astype(np.uint8)


def evaluated(tmp_path: Path, trainer: str, sizes: list[float]) -> Path:
    """A trainer that predicts discs of these radii where each should be 10, with images in nnU-Net's raw format."""
    dataset, predictions = tmp_path / "Dataset116_Discs", tmp_path / trainer
    for folder in (dataset / "imagesTs", dataset / "labelsTs", predictions):
        folder.mkdir(parents=True, exist_ok=True)
    labels = {"labels": {"background": 0, "lesion": 1}}
    (dataset / "dataset.json").write_text(json.dumps(labels))
    for case, radius in enumerate(sizes):
        save(dataset / "imagesTs" / f"c{case}_0000.png", np.full((32, 32, 3), 99, np.uint8))
        save(dataset / "labelsTs" / f"c{case}.png", disc(10))
        save(predictions / f"c{case}.png", disc(radius))
    cases = folder_set(dataset / "labelsTs", predictions)
    return evaluate(cases, Origin(trainer=trainer), tmp_path / f"evaluation_{trainer}").folder


# What is written


def test_tables_plots_and_report_are_written(report: ComparisonReport) -> None:
    tables = ["costs.csv", "table.csv", "table.md", "table.tex"]
    assert names(report.folder) == sorted(["gallery", "plots", "report.html", *tables])
    plots = ["differences", "ranking", "scatter_dice", "scatter_hd95", "scatter_nsd_2"]
    assert names(report.folder / "plots") == [f"Dataset116_ISIC2016__lesion__{plot}.png" for plot in plots]


def test_the_text_has_tables_verdicts_and_the_place_of_the_report(report: ComparisonReport) -> None:
    assert "ours against stock: cannot be told from noise" in str(report)
    assert str(report.folder / "report.html") in str(report)


def test_the_report_names_command_hashes_and_definitions(report: ComparisonReport) -> None:
    html = (report.folder / "report.html").read_text()
    for text in ("a command", "SHA-256 " + "a" * 64, "SHA-256 " + "b" * 64, "directed 95th percentiles"):
        assert text in html


def test_the_report_warns_that_one_seed_proves_little(report: ComparisonReport) -> None:
    assert "nnU-Net is not deterministic on purpose" in (report.folder / "report.html").read_text()


def test_the_report_names_models_but_not_where_they_lie(tmp_path: Path) -> None:
    model = "/home/ada/results/Dataset116_ISIC2016/stock__nnUNetPlans__2d"
    sources = [
        write_evaluation(tmp_path / name, trainer=name, values=scores(dice), model=model) for name, dice in DICE.items()
    ]
    html = (compare(sources, tmp_path / "report").folder / "report.html").read_text()
    assert "Dataset116_ISIC2016/stock__nnUNetPlans__2d" in html
    assert "/home/ada" not in html


def test_the_baseline_can_be_chosen(evaluations: list[Path], tmp_path: Path) -> None:
    report = compare(evaluations, tmp_path / "report", baseline="ours", metrics=["dice"])
    (comparison,) = report.comparisons
    assert comparison.baseline == "ours"
    assert comparison.differences["stock"].mean == pytest.approx(np.mean(np.subtract(DICE["stock"], DICE["ours"])))


# The gallery


def test_the_gallery_shows_the_worst_the_median_and_the_best_case_of_each_trainer(tmp_path: Path) -> None:
    sources = [evaluated(tmp_path, "stock", [10, 9, 4]), evaluated(tmp_path, "ours", [6, 10, 9])]
    report = compare(sources, tmp_path / "report")
    shown = {tuple(path.stem.split("__")[1:]) for path in gallery(report)}
    assert shown == {(trainer, kind) for trainer in ("stock", "ours") for kind in ("worst", "median", "best")}
    html = (report.folder / "report.html").read_text()
    assert html.count("data:image/jpeg;base64") == 6


def test_two_cases_are_the_worst_and_the_best(tmp_path: Path) -> None:
    sources = [evaluated(tmp_path, "stock", [10, 5]), evaluated(tmp_path, "ours", [9, 6])]
    shown = {path.stem.split("__")[-1] for path in gallery(compare(sources, tmp_path / "report"))}
    assert shown == {"worst", "best"}


def test_cases_without_images_are_not_shown(report: ComparisonReport) -> None:
    assert gallery(report) == []


def test_a_report_to_be_passed_on_shows_no_cases(tmp_path: Path) -> None:
    sources = [evaluated(tmp_path, "stock", [10, 9, 4]), evaluated(tmp_path, "ours", [6, 10, 9])]
    line = [*map(str, sources), "-o", str(tmp_path / "report"), "--no-gallery"]
    main(line)
    assert "data:image/jpeg" not in (tmp_path / "report" / "report.html").read_text()
    assert "gallery" not in names(tmp_path / "report")


def gallery(report: ComparisonReport) -> list[Path]:
    return sorted((report.folder / "gallery").iterdir())


# The command


def test_the_command_compares_and_prints(
    evaluations: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*map(str, evaluations), "-o", str(tmp_path / "report"), "--metrics", "dice", "--baseline", "stock"]
    main(line)
    assert "ours against stock" in capsys.readouterr().out
    assert set(pd.read_csv(tmp_path / "report" / "table.csv")["metric"]) == {"dice"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "sources must be folders of evaluations or tables, got none"),
        (["absent"], "absent"),
        (["-d", "116"], "-d, -c and -tr must be given together, or none of them"),
    ],
)
def test_bad_input_ends_in_one_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([*arguments, "-o", str(tmp_path / "report")])
    told = capsys.readouterr().err
    assert left.value.code == 1
    assert told.startswith("nnunet_sgdc-compare: error: ")
    assert message in told
    assert told.count("\n") == 1


def test_other_cases_are_refused_and_leave_nothing(evaluations: list[Path], tmp_path: Path) -> None:
    other = write_evaluation(tmp_path / "third", trainer="third", values=scores([0.5, 0.6]))
    before = names(tmp_path)
    with pytest.raises(UserError, match="must have the same cases"):
        compare([*evaluations, other], tmp_path / "report")
    assert names(tmp_path) == before


def test_evaluations_are_never_replaced(evaluations: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="output must be a folder of its own"):
        compare(evaluations, evaluations[0], overwrite=True)
    assert (evaluations[0] / "cases.csv").exists()


def test_an_existing_report_is_replaced_only_when_asked(
    report: ComparisonReport, evaluations: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="exists already: give --overwrite"):
        compare(evaluations, report.folder)
    compare(evaluations, report.folder, metrics=["dice"], overwrite=True)
    assert set(pd.read_csv(report.folder / "table.csv")["metric"]) == {"dice"}
