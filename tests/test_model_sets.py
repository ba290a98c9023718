"""On which sets of cases a trained model is scored: its validation folds and the test sets of its data set."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from model_folders import begin, finish, write_splits
from releases import save
from trained_models import DATASET, dataset_json

from nnunet_sgdc.errors import UserError
from nnunet_sgdc.evaluation import model_sets as module
from nnunet_sgdc.evaluation.evaluate_model import evaluate_model
from nnunet_sgdc.evaluation.model_sets import model_sets
from nnunet_sgdc.evaluation.record import TrainingCost, read_evaluation
from nnunet_sgdc.evaluation.trained_model import TrainedModel

MASK = np.eye(8, dtype=np.uint8)
COST = TrainingCost(parameters=10, seconds=None, activation_bytes=100)


def write_split(folder: Path, suffix: str, *cases: str) -> None:
    """Images and label maps of a split."""
    for kind, ending in (("images", "_0000"), ("labels", "")):
        (folder / f"{kind}{suffix}").mkdir(parents=True)
        for case in cases:
            save(folder / f"{kind}{suffix}" / f"{case}{ending}.png", MASK)


@pytest.fixture
def dataset(raw: Path) -> Path:
    """Four training cases, two test cases, one external one."""
    folder = raw / DATASET
    write_split(folder, "Tr", "a", "b", "c", "d")
    write_split(folder, "Ts", "t", "u")
    write_split(folder / "external_PH2", "Ts", "p")
    (folder / "dataset.json").write_text(json.dumps(dataset_json()))
    return folder


@pytest.fixture
def model(dataset: Path, raw: Path) -> TrainedModel:
    """A model of two folds, validated."""
    write_splits(raw.parent / "nnUNet_preprocessed")
    model = begin(raw.parent / "nnUNet_results")
    for fold, cases in (("0", "ab"), ("1", "cd")):
        finish(model, fold, cases)
        for case in cases:
            save(model.folder / f"fold_{fold}" / "validation" / f"{case}.png", MASK)
    return model


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Predictions are copies of the truth; which sets were predicted is told."""
    predicted: list[str] = []

    def copy(model: TrainedModel, images: Path, output: Path, folds: tuple[str, ...], device: str) -> None:
        predicted.append(output.name)
        shutil.copytree(images.with_name("labelsTs"), output)

    monkeypatch.setattr(module, "predict", copy)
    return predicted


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    return lambda reason: monkeypatch.setattr(module, "stale", lambda *_: reason)


def test_the_folds_together_are_one_set_in_which_every_case_has_its_fold(model: TrainedModel, dataset: Path) -> None:
    cases = model_sets(model, ("0", "1"), ["validation"])["validation"]
    assert (cases.name, cases.grid, cases.labels.classes) == (DATASET, "training grid", {"lesion": 1})
    assert [(case.id, case.fold) for case in cases.cases] == [("a", "0"), ("b", "0"), ("c", "1"), ("d", "1")]
    assert cases.cases[2].prediction == model.folder / "fold_1" / "validation" / "c.png"
    assert cases.cases[2].images == (dataset / "imagesTr" / "c_0000.png",)


def test_every_test_set_with_its_truth_is_found(model: TrainedModel, predict: list[str]) -> None:
    found = model_sets(model, ("0", "1"), device="cpu")
    assert [(key, cases.name) for key, cases in found.items()] == [
        ("validation", DATASET),
        ("Ts", f"{DATASET}/Ts"),
        ("external_PH2", f"{DATASET}/external_PH2"),
    ]
    assert {case.fold for case in found["Ts"].cases} == {"0+1"}


def test_test_sets_without_truth_are_none(model: TrainedModel, dataset: Path) -> None:
    shutil.rmtree(dataset / "labelsTs")
    shutil.rmtree(dataset / "external_PH2")
    assert list(model_sets(model, ("0", "1"))) == ["validation"]


def test_test_sets_are_predicted_when_asked(model: TrainedModel, predict: list[str]) -> None:
    model_sets(model, ("0", "1"), ["external_PH2"], device="cpu")
    assert predict == ["external_PH2"]


def test_predictions_that_are_there_are_not_made_again(
    model: TrainedModel, predict: list[str], fresh: Callable[[str | None], None]
) -> None:
    model_sets(model, ("0", "1"), ["Ts"], device="cpu")
    fresh(None)
    model_sets(model, ("0", "1"), ["Ts"], device="cpu")
    assert predict == ["Ts"]


def test_missing_predictions_are_refused_unless_they_may_be_made(model: TrainedModel) -> None:
    with pytest.raises(
        UserError, match=r"predictions/Ts must hold .*: give --predict, or choose other sets with --sets"
    ):
        model_sets(model, ("0", "1"))


def test_an_unknown_set_is_refused(model: TrainedModel) -> None:
    with pytest.raises(UserError, match=r"--sets must be of validation, Ts, external_PH2, .*, got Val: choose"):
        model_sets(model, ("0", "1"), ["Val"])


def test_validation_without_the_truth_is_refused(model: TrainedModel, dataset: Path) -> None:
    (dataset / "labelsTr" / "c.png").unlink()
    with pytest.raises(UserError, match=r"labelsTr must hold the truth of every validated case, but lacks 1: c"):
        model_sets(model, ("0", "1"), ["validation"])


def test_every_set_is_evaluated_into_a_folder_of_its_own(
    model: TrainedModel, predict: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_sgdc.evaluation.evaluate_model.training_cost", lambda *_: COST)
    reports = evaluate_model(model, device="cpu", seed=2, command="a command")
    place = model.folder / "evaluation"
    assert [report.notes for report in reports] == [()] * 3
    assert [report.folder for report in reports] == [place / key for key in ("validation", "Ts", "external_PH2")]
    record = read_evaluation(place / "validation")
    assert (record.trainer, record.seed, record.plans, record.configuration) == (model.trainer, 2, "nnUNetPlans", "2d")
    assert record.hashes == {"plans": model.plans_hash, "splits": model.splits_hash}
    assert (record.cost, record.model, record.command) == (COST, str(model.folder), "a command")
    assert record.averages["mean per case"]["lesion"]["means"]["dice"] == 1


def test_what_is_unknown_of_the_cost_is_noted_and_stops_nothing(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = TrainingCost(parameters=10, seconds=None, activation_bytes=None, note="The activations are unknown.")
    monkeypatch.setattr("nnunet_sgdc.evaluation.evaluate_model.training_cost", lambda *_: cost)
    (report,) = evaluate_model(model, sets=["validation"])
    assert report.notes == ("The activations are unknown.",)
    assert "\nThe activations are unknown.\n" in str(report)
    assert read_evaluation(report.folder).cost == cost


def test_the_evaluation_in_the_model_is_replaced_and_another_one_only_when_asked(
    model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_sgdc.evaluation.evaluate_model.training_cost", lambda *_: COST)
    for _ in range(2):
        evaluate_model(model, sets=["validation"])
    evaluate_model(model, sets=["validation"], output=tmp_path / "out")
    with pytest.raises(UserError, match="exists already: give --overwrite"):
        evaluate_model(model, sets=["validation"], output=tmp_path / "out")
