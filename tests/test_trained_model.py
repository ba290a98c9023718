"""Finding trained models, and what they validated."""

import json
from pathlib import Path
from typing import Any

import pytest
from model_folders import SPLITS, begin, finish, write_checkpoint, write_splits
from trained_models import DATASET, stock_plans

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.trained_model import TrainedModel, find_model
from nnunet_sgdc.networks import SGDCConfig, graft_plans

STOCK, SGDC = "nnUNetTrainer", "nnUNetTrainerSGDC"
CHOSEN = {"0": ["a", "b"], "1": ["c", "d"]}


@pytest.fixture
def results(raw: Path) -> Path:
    return raw.with_name("nnUNet_results")


@pytest.fixture
def preprocessed(raw: Path) -> Path:
    return raw.with_name("nnUNet_preprocessed")


@pytest.fixture
def splits(preprocessed: Path) -> Path:
    return write_splits(preprocessed)


@pytest.fixture
def model(results: Path) -> TrainedModel:
    return begin(results)


@pytest.fixture
def finished(model: TrainedModel, splits: Path) -> TrainedModel:
    """Both folds are trained and have validated their cases."""
    for fold, cases in CHOSEN.items():
        finish(model, fold, cases)
    return model


def hash_of(results: Path, name: str, plans: dict[str, Any]) -> str:
    return begin(results / name, plans=plans).plans_hash


def inheriting_plans() -> dict[str, Any]:
    """Plans in which a second configuration takes its architecture from the first."""
    plans = stock_plans()
    plans["configurations"]["2d_bs4"] = {"inherits_from": "2d", "batch_size": 4}
    return plans


# Finding models


@pytest.mark.parametrize("dataset", [1, "1", "001", DATASET])
def test_a_model_is_found_by_number_and_by_name_of_its_data_set(model: TrainedModel, dataset: int | str) -> None:
    assert find_model(dataset, STOCK, "2d") == model


def test_results_that_no_variable_names_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_results", raising=False)
    with pytest.raises(EvaluationError, match=r"nnUNet_results must name .* is not set: export nnUNet_results="):
        find_model(1, STOCK, "2d")


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (7, "Could not find a dataset with the ID 7"),
        ("ISIC", "did not start with 'Dataset'"),
        ("DatasetISIC", "got 'DatasetISIC': check it"),
    ],
)
def test_an_unknown_data_set_is_refused_in_one_sentence(model: TrainedModel, dataset: int | str, reason: str) -> None:
    with pytest.raises(EvaluationError, match=f"must be the number or the full name .*{reason}") as caught:
        find_model(dataset, STOCK, "2d")
    assert "\n" not in str(caught.value)


def test_a_number_of_two_data_sets_is_refused(model: TrainedModel, raw: Path) -> None:
    (raw / "Dataset001_Other").mkdir()
    with pytest.raises(EvaluationError, match="More than one dataset name found for dataset id 1"):
        find_model(1, STOCK, "2d")


def test_a_trainer_that_is_not_there_is_told_with_those_that_are(results: Path) -> None:
    begin(results, SGDC)
    begin(results)
    # nnU-Net makes the folder before it reads data.
    (results / DATASET / "nnUNetTrainerFailed__nnUNetPlans__2d").mkdir()
    there = f"models of this data set: {SGDC}__nnUNetPlans__2d, {STOCK}__nnUNetPlans__2d: choose"
    with pytest.raises(EvaluationError, match=rf"{there} .* run nnUNetv2_train 1 2d 0 -tr nnUNetTrainerFailed$"):
        find_model(1, "nnUNetTrainerFailed", "2d")


def test_a_data_set_without_models_has_none(raw: Path) -> None:
    (raw / DATASET).mkdir()
    with pytest.raises(EvaluationError, match="models of this data set: none: choose"):
        find_model(1, STOCK, "2d")


def test_the_raw_data_set_is_found(model: TrainedModel, raw: Path) -> None:
    (raw / DATASET).mkdir()
    assert model.raw_folder == raw / DATASET


def test_a_missing_raw_data_set_is_asked_for(model: TrainedModel) -> None:
    with pytest.raises(EvaluationError, match=f"nnUNet_raw must name the folder that holds {DATASET}, got '/"):
        _ = model.raw_folder


# Folds


def test_folds_are_counted_in_the_file_of_nnunet(finished: TrainedModel) -> None:
    assert finished.expected_folds == 2
    assert finished.check_folds(None) == finished.finished_folds == ("0", "1")


def test_without_that_file_there_are_the_five_of_nnunet_or_more(model: TrainedModel) -> None:
    assert model.expected_folds == 5
    for fold in ("6", "all", "0_old"):
        finish(model, fold)
    assert model.expected_folds == 7


@pytest.mark.parametrize("missing", ["checkpoint_final.pth", "validation/summary.json"])
def test_a_fold_without_checkpoint_or_validation_is_not_finished(finished: TrainedModel, missing: str) -> None:
    (finished.folder / "fold_0" / missing).unlink()
    assert finished.finished_folds == ("1",)


def test_unfinished_folds_are_named_with_the_commands_that_finish_them(model: TrainedModel) -> None:
    for fold in ("0", "2", "4"):
        finish(model, fold)
    commands = "nnUNetv2_train 1 2d 1 -tr nnUNetTrainer && nnUNetv2_train 1 2d 3 -tr nnUNetTrainer"
    with pytest.raises(EvaluationError, match=rf"has not of 1, 3: run {commands}, or choose .*: -f 0 2 4$"):
        model.check_folds(None)


def test_the_command_goes_on_where_a_training_was_left_and_names_unusual_plans(model: TrainedModel) -> None:
    named = TrainedModel(model.folder, DATASET, STOCK, "2d", "nnUNetResEncUNetMPlans")
    write_checkpoint(named, "3")
    assert named.train_command("3") == "nnUNetv2_train 1 2d 3 -tr nnUNetTrainer -p nnUNetResEncUNetMPlans --c"


def test_chosen_folds_need_not_be_all(model: TrainedModel) -> None:
    finish(model, "1")
    finish(model, "all")
    assert model.check_folds(["1", "1"]) == ("1",)
    assert model.check_folds(["all"]) == ("all",)


def test_chosen_folds_must_be_finished_too(model: TrainedModel) -> None:
    with pytest.raises(EvaluationError, match=r"the folds 3, but has not of 3: run nnUNetv2_train 1 2d 3 -tr \w+$"):
        model.check_folds(["3"])


@pytest.mark.parametrize("fold", ["2", "-1", "fold_0"])
def test_folds_that_the_data_set_does_not_have_are_refused(finished: TrainedModel, fold: str) -> None:
    with pytest.raises(EvaluationError, match=f"folds must be among 0, 1, all, got {fold}: choose others with -f"):
        finished.check_folds(["0", fold])


# Validation


def test_every_validation_case_has_the_prediction_of_its_fold(finished: TrainedModel) -> None:
    files = finished.validation_files(["0", "1"])
    assert {case: fold for case, (fold, _) in files.items()} == {"a": "0", "b": "0", "c": "1", "d": "1"}
    assert files["c"][1] == finished.folder / "fold_1" / "validation" / "c.png"


def test_chosen_folds_give_their_cases_alone(finished: TrainedModel) -> None:
    assert finished.validation_files(["1"]).keys() == {"c", "d"}


def test_a_case_that_a_fold_did_not_validate_is_named(finished: TrainedModel) -> None:
    (finished.folder / "fold_1" / "validation" / "d.png").unlink()
    with pytest.raises(EvaluationError, match=r"of fold 1 must hold .* lacks 1: d: .* 1 2d 1 -tr nnUNetTrainer --c$"):
        finished.validation_files(["0", "1"])


def test_a_case_that_a_fold_should_not_have_validated_is_named(finished: TrainedModel) -> None:
    (finished.folder / "fold_1" / "validation" / "a.png").touch()
    with pytest.raises(EvaluationError, match=r"of fold 1 must hold .* has others \(1: a\): the folds have changed"):
        finished.validation_files(["0", "1"])


def test_a_case_of_two_folds_is_named(model: TrainedModel, preprocessed: Path) -> None:
    path = write_splits(preprocessed, [{"train": [], "val": ["a", "b"]}, {"train": [], "val": ["b", "c"]}])
    finish(model, "0", ["a", "b"])
    finish(model, "1", ["b", "c"])
    with pytest.raises(EvaluationError, match=rf"{path} must give each case to one fold .* fold 1 .*\(1: b\)"):
        model.validation_files(["0", "1"])


def test_the_fold_of_all_cases_has_no_validation(finished: TrainedModel) -> None:
    with pytest.raises(EvaluationError, match=r"fold all of .* has no validation cases, since it was trained on all"):
        finished.validation_files(["0", "all"])


@pytest.mark.parametrize("is_set", [True, False])
def test_validation_without_the_folds_of_nnunet_is_refused(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    if not is_set:
        monkeypatch.delenv("nnUNet_preprocessed")
    with pytest.raises(EvaluationError, match=f"nnUNet_preprocessed must hold {DATASET}/splits_final.json"):
        model.validation_files(["0"])


@pytest.mark.parametrize("content", [[], {}, [["a"], ["b"]], [{"train": ["a"]}]])
def test_a_file_of_no_folds_is_refused(model: TrainedModel, preprocessed: Path, content: object) -> None:
    path = write_splits(preprocessed, content)
    with pytest.raises(EvaluationError, match=f"{path} must hold the folds of nnU-Net"):
        model.check_folds(None)


def test_a_damaged_file_of_folds_is_named(model: TrainedModel, splits: Path) -> None:
    splits.write_text("[{")
    with pytest.raises(EvaluationError, match=f"{splits} must be JSON, got other content"):
        model.check_folds(None)


def test_a_missing_description_of_the_data_set_is_named(finished: TrainedModel) -> None:
    (finished.folder / "dataset.json").unlink()
    with pytest.raises(EvaluationError, match=r"dataset\.json must be there, but is missing"):
        finished.validation_files(["0"])


# Hashes


@pytest.mark.parametrize("configuration", ["2d", "2d_bs4"])
def test_plans_have_the_same_hash_with_sgdc_and_without(tmp_path: Path, configuration: str) -> None:
    stock = hash_of(tmp_path, "stock", inheriting_plans())
    for kernel_size in (3, 7):
        grafted = graft_plans(inheriting_plans(), configuration, SGDCConfig((2,), kernel_size))
        assert hash_of(tmp_path, f"{kernel_size}", grafted) == stock


def test_plans_have_the_same_hash_in_any_order(tmp_path: Path) -> None:
    backwards = dict(reversed(stock_plans().items()))
    assert hash_of(tmp_path, "forwards", stock_plans()) == hash_of(tmp_path, "backwards", backwards)


@pytest.mark.parametrize("change", [{"patch_size": [32, 32]}, {"batch_size": 3}, {"batch_dice": False}])
def test_other_plans_have_another_hash(tmp_path: Path, change: dict[str, Any]) -> None:
    changed = stock_plans()
    changed["configurations"]["2d"].update(change)
    assert hash_of(tmp_path, "changed", changed) != hash_of(tmp_path, "stock", stock_plans())


def test_other_networks_have_another_hash(tmp_path: Path) -> None:
    changed = stock_plans()
    changed["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [8, 16, 64]
    assert hash_of(tmp_path, "changed", changed) != hash_of(tmp_path, "stock", stock_plans())


def test_folds_have_the_same_hash_however_they_are_written(model: TrainedModel, splits: Path) -> None:
    before = model.hashes()
    splits.write_text(json.dumps(SPLITS, indent=4, sort_keys=True))
    assert model.hashes() == before
    write_splits(splits.parents[1], SPLITS[::-1])
    assert model.hashes() == {"plans": before["plans"], "splits": model.splits_hash} != before


def test_folds_that_are_not_there_have_no_hash(model: TrainedModel) -> None:
    assert model.splits_hash is None
    assert model.hashes() == {"plans": model.plans_hash}
