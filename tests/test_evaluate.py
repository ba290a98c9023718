"""What an evaluation writes and prints, against nnU-Net's own evaluation and values found by hand."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder, load_summary_json
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from releases import save

from nnunet_sgdc.errors import UserError
from nnunet_sgdc.evaluation.case_set import CaseFiles, CaseSet, LabelScheme
from nnunet_sgdc.evaluation.evaluate import Origin, averages, evaluate
from nnunet_sgdc.evaluation.metrics import Settings
from nnunet_sgdc.evaluation.record import CASES_COLUMNS, TrainingCost, read_evaluation
from nnunet_sgdc.evaluation.report import EvaluationReport
from nnunet_sgdc.evaluation.scoring import score_files, score_set

TISSUE = LabelScheme({"epithelial": 1, "lymphocyte": 2})
ORIGIN = Origin(trainer="nnUNetTrainerSGDC", seed=3, cost=TrainingCost(1000, 60.0, 2000), command="a command")


def label_map(seed: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, shape, dtype=np.uint8)


@pytest.fixture
def cases(tmp_path: Path) -> CaseSet:
    """Three random cases of three labels, one without lymphocytes in truth and prediction."""
    files = []
    for number in range(3):
        truth, prediction = label_map(number), label_map(10 + number)
        if number == 2:
            truth[truth == 2], prediction[prediction == 2] = 0, 1
        paths = [tmp_path / kind / f"c{number}.png" for kind in ("truth", "prediction")]
        for path, labels in zip(paths, (truth, prediction), strict=True):
            path.parent.mkdir(exist_ok=True)
            save(path, labels)
        files.append(CaseFiles(f"c{number}", *paths, fold=str(number), cluster="slide" if number else ""))
    return CaseSet("Dataset131_CoNIC", TISSUE, "training grid", tuple(files))


@pytest.fixture
def report(cases: CaseSet, tmp_path: Path) -> EvaluationReport:
    return evaluate(cases, ORIGIN, tmp_path / "out" / "validation")


def rows(report: EvaluationReport) -> list[dict[str, str]]:
    with (report.folder / "cases.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def summary(report: EvaluationReport) -> dict[str, Any]:
    content: dict[str, Any] = load_summary_json(str(report.folder / "summary.json"))
    return content


# The table


def test_the_table_has_a_row_for_each_case_class_and_metric(report: EvaluationReport, cases: CaseSet) -> None:
    scored = score_set(cases, Settings())
    expected = [
        (one.case.id, name, metric, value)
        for one in scored
        for name, scores in one.classes.items()
        for metric, value in scores.values().items()
    ]
    found = [(row["case"], row["class"], row["metric"], float(row["value"])) for row in rows(report)]
    assert [key[:3] for key in found] == [key[:3] for key in expected]
    np.testing.assert_array_equal([key[3] for key in found], [key[3] for key in expected])


def test_every_row_says_where_it_comes_from(report: EvaluationReport) -> None:
    first, *_, last = rows(report)
    assert tuple(first) == CASES_COLUMNS
    assert [first[name] for name in CASES_COLUMNS[:5]] == ["Dataset131_CoNIC", "0", "3", "nnUNetTrainerSGDC", "c0"]
    assert (last["fold"], last["case"]) == ("2", "c2")


# The record


def test_the_record_is_read_as_it_was_written(report: EvaluationReport) -> None:
    assert json.dumps(vars(read_evaluation(report.folder)), default=vars) == json.dumps(
        vars(report.record), default=vars
    )


def test_the_record_says_what_was_scored_and_how(report: EvaluationReport, cases: CaseSet) -> None:
    record = read_evaluation(report.folder)
    assert (record.dataset, record.trainer, record.seed, record.grid) == (
        "Dataset131_CoNIC",
        "nnUNetTrainerSGDC",
        3,
        "training grid",
    )
    assert (record.classes, record.settings, record.cost) == (TISSUE.classes, Settings(), ORIGIN.cost)
    assert record.definitions["hd95"].startswith("larger of the two directed 95th percentiles")
    assert {"nnunet_sgdc", "nnunetv2", "scipy"} <= record.tools.keys()


def test_the_record_lists_the_cases(report: EvaluationReport) -> None:
    cases = read_evaluation(report.folder).cases
    assert [(case.id, case.fold, case.cluster, case.size) for case in cases] == [
        ("c0", "0", "c0", (32, 24)),
        ("c1", "1", "slide", (32, 24)),
        ("c2", "2", "slide", (32, 24)),
    ]


def test_the_record_has_the_three_families_of_averages(report: EvaluationReport, cases: CaseSet) -> None:
    scored = score_set(cases, Settings())
    families = read_evaluation(report.folder).averages
    dice = [one.classes["epithelial"].counts.dice for one in scored]
    counts = [one.classes["epithelial"].counts for one in scored]
    pooled = 2 * sum(one.tp for one in counts) / sum(one.n_ref + one.n_pred for one in counts)
    assert families["mean per case"]["epithelial"]["means"]["dice"] == pytest.approx(np.mean(dice))
    assert families["pooled pixels"]["epithelial"]["dice"] == pytest.approx(pooled)
    assert families["mean including background"]["dice"] == pytest.approx(
        np.mean([[count.dice for count in one.counts.values()] for one in scored])
    )


def test_absences_are_counted_and_not_left_out(report: EvaluationReport) -> None:
    lymphocyte = read_evaluation(report.folder).averages["mean per case"]["lymphocyte"]
    assert (lymphocyte["cases"], lymphocyte["both_empty"], lymphocyte["missed"]) == (3, 1, 0)


def test_undefined_averages_are_null_in_the_record(cases: CaseSet, tmp_path: Path) -> None:
    full = save(tmp_path / "full.png", np.ones((4, 4), np.uint8))
    scored = score_files(CaseFiles("full", full, full), LabelScheme({"lesion": 1}), Settings())
    assert averages([scored])["mean per case"]["lesion"]["means"]["specificity"] is None


# nnU-Net's summary


def test_the_summary_agrees_with_nnunet_where_masks_are_not_empty(report: EvaluationReport, tmp_path: Path) -> None:
    folders = str(tmp_path / "truth"), str(tmp_path / "prediction")
    theirs = compute_metrics_on_folder(*folders, None, NaturalImage2DIO(), ".png", [1, 2], num_processes=1)
    ours = summary(report)
    for mine, other in zip(ours["metric_per_case"], theirs["metric_per_case"], strict=True):
        assert (mine["reference_file"], mine["prediction_file"]) == (other["reference_file"], other["prediction_file"])
        for label, metrics in other["metrics"].items():
            for name, value in metrics.items():
                assert mine["metrics"][label][name] == value or math.isnan(value)


def test_both_empty_is_1_in_the_summary_where_nnunet_has_nan(report: EvaluationReport) -> None:
    assert summary(report)["metric_per_case"][2]["metrics"][2]["Dice"] == 1


def test_the_foreground_mean_is_that_of_the_classes(report: EvaluationReport) -> None:
    content = summary(report)
    expected = np.mean([content["mean"][label]["Dice"] for label in (1, 2)])
    assert content["foreground_mean"]["Dice"] == pytest.approx(expected)
    assert content["mean"][1]["hd95"] == pytest.approx(
        np.mean([case["metrics"][1]["hd95"] for case in content["metric_per_case"]])
    )


# What is printed


def test_the_report_names_trainer_cases_grid_and_families(report: EvaluationReport) -> None:
    text = str(report)
    assert "nnUNetTrainerSGDC on Dataset131_CoNIC: 3 cases, training grid (32 x 24), distances in pixels" in text
    for family in ("mean per case", "pooled pixels", "mean including background"):
        assert family in text
    assert str(report.folder) in text


def test_the_report_names_several_sizes_and_the_unit_of_a_spacing(cases: CaseSet, tmp_path: Path) -> None:
    small = [save(tmp_path / f"{kind}.png", label_map(0, (8, 8))) for kind in ("small", "small_too")]
    mixed = replace(cases, cases=(*cases.cases, CaseFiles("small", *small)))
    text = str(evaluate(mixed, ORIGIN, tmp_path / "out", settings=Settings(spacing=(0.5, 0.5))))
    assert "training grid (2 sizes), distances in the unit of the spacing 0.5 x 0.5" in text


# Bad inputs


def refused(message: str, cases: CaseSet, folder: Path) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match=message):
        evaluate(cases, ORIGIN, folder / "out")
    assert sorted(folder.iterdir()) == before


def test_another_size_is_refused_by_file(cases: CaseSet, tmp_path: Path) -> None:
    save(cases.cases[1].prediction, label_map(0, (12, 16)))
    refused(r"prediction/c1\.png must have the shape of .*truth/c1\.png, \(24, 32\), got \(12, 16\)", cases, tmp_path)


def test_an_unknown_label_is_refused_by_file_and_place(cases: CaseSet, tmp_path: Path) -> None:
    labels = label_map(0)
    labels[5, 7] = 9
    save(cases.cases[0].prediction, labels)
    refused(r"prediction/c0\.png must hold only the labels \[0, 1, 2\], got 9 at row 5, column 7", cases, tmp_path)


def test_nan_is_refused_by_file_and_place(cases: CaseSet, tmp_path: Path) -> None:
    labels = label_map(0).astype(np.float32)
    labels[1, 2] = np.nan
    path = save(tmp_path / "nan.tif", labels)
    changed = replace(cases, cases=(replace(cases.cases[0], prediction=path), *cases.cases[1:]))
    refused(r"nan\.tif must hold whole numbers, got nan at row 1, column 2", changed, tmp_path)


def test_what_is_there_is_replaced_only_when_asked(report: EvaluationReport, cases: CaseSet) -> None:
    with pytest.raises(UserError, match="exists already: give --overwrite"):
        evaluate(cases, ORIGIN, report.folder)
    assert evaluate(cases, replace(ORIGIN, seed=4), report.folder, overwrite=True).record.seed == 4


@pytest.mark.parametrize("place", [".", "prediction", "truth"])
def test_predictions_and_truth_are_never_replaced(cases: CaseSet, tmp_path: Path, place: str) -> None:
    with pytest.raises(UserError, match=r"output must be a folder of its own, got .*, which holds"):
        evaluate(cases, ORIGIN, tmp_path / place, overwrite=True)
    assert cases.cases[0].prediction.exists()


def test_ignored_pixels_are_not_counted(tmp_path: Path) -> None:
    truth = save(tmp_path / "truth.png", np.array([[0, 1, 1, 2], [0, 0, 1, 2]], np.uint8))
    prediction = save(tmp_path / "prediction.png", np.array([[0, 1, 1, 1], [0, 0, 0, 0]], np.uint8))
    scored = score_files(CaseFiles("a", truth, prediction), LabelScheme({"lesion": 1}, ignore_label=2), Settings())
    counts = scored.counts
    assert (counts["lesion"].tp, counts["lesion"].fp, counts["lesion"].fn, counts["lesion"].tn) == (2, 0, 1, 3)
    assert (counts["background"].tp, counts["background"].fp, counts["background"].fn) == (3, 1, 0)
