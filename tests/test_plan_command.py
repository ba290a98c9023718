"""`nnunet_sgdc-plan`: as a user runs it, up to a training and its predictions, and what it refuses in one sentence."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raw_datasets import DATASET, read_plans, write_fingerprint, write_preprocessed, write_raw
from workspaces import DATASET as USED
from workspaces import LabelMaps, Training, Workspace

from nnunet_sgdc.planning import fingerprint
from nnunet_sgdc.planning.plan_command import main

CASES = "abcde"
PLANS = "nnUNetSGDCPlans"
LINE = ("-d", "1", "-np", "1", "-npfp", "1")
TRAIN = "nnUNetv2_train 1 2d 0 -p nnUNetSGDCPlans -tr nnUNetTrainerSGDC"

TRAINERS = """
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

class nnUNetTrainerSGDC_short(nnUNetTrainerSGDC):
    epochs, iterations_per_epoch, val_iterations_per_epoch = 1, 1, 1
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.create(tmp_path_factory.mktemp("user") / "all", plans=PLANS)
    write_raw(workspace.folder / "raw", name=USED, cases=CASES)
    workspace.trainers.parent.mkdir()
    workspace.trainers.write_text(TRAINERS)
    return workspace.with_settings(nnUNet_extTrainer=str(workspace.trainers.parent))


@pytest.fixture(scope="module")
def said(workspace: Workspace) -> str:
    """What the first run says, which extracts the fingerprint, plans and preprocesses."""
    return workspace.run("nnunet_sgdc-plan", *LINE, "--preprocess")


@pytest.fixture(scope="module")
def trained(workspace: Workspace, said: str) -> Training:
    return workspace.train("nnUNetTrainerSGDC_short", 0)


@pytest.fixture(scope="module")
def predicted(workspace: Workspace, trained: Training) -> LabelMaps:
    images = workspace.folder / "images"
    images.mkdir()
    shutil.copy(workspace.raw / "imagesTr" / "a_0000.png", images)
    return workspace.predict("nnUNetTrainerSGDC_short", images, "predicted")


@pytest.mark.nnunet
def test_the_first_run_extracts_plans_and_preprocesses(workspace: Workspace, said: str) -> None:
    assert "Extracting dataset fingerprint: 100%" in said
    assert "nnUNetPlans_2d, made" in said
    assert len(list((workspace.preprocessed / "nnUNetPlans_2d").glob("*.pkl"))) == len(CASES)


@pytest.mark.nnunet
def test_the_summary_tells_what_was_planned(workspace: Workspace, said: str) -> None:
    two_d = read_plans(workspace.folder / "preprocessed", PLANS, name=USED)["configurations"]["2d"]
    rows = dict(line.strip().split("  ", 1) for line in said.splitlines() if line.startswith("  "))
    assert {key: value.strip() for key, value in rows.items()} == {
        "plans": str(workspace.preprocessed / f"{PLANS}.json"),
        "patch size": "64 x 64",
        "batch size": str(two_d["batch_size"]),
        "stages": "5",
        "SGDC at": "the strides 4, 8",
        "data": f"{workspace.preprocessed / 'nnUNetPlans_2d'}, made",
        "train": TRAIN,
    }


@pytest.mark.nnunet
def test_the_second_run_preprocesses_nothing_and_says_so(workspace: Workspace, said: str) -> None:
    again = workspace.run("nnunet_sgdc-plan", *LINE, "--preprocess")
    assert "nnUNetPlans_2d, reused, nothing was preprocessed" in again
    assert "Extracting dataset fingerprint" not in again
    assert "Preprocessing" not in again


@pytest.mark.nnunet
def test_data_that_stock_nnunet_has_preprocessed_is_shared(workspace: Workspace, said: str, tmp_path: Path) -> None:
    other = Workspace.create(tmp_path / "other")
    shutil.copytree(workspace.raw, other.raw)
    other.preprocessed.mkdir()
    # Extracting it takes long.
    shutil.copy(workspace.preprocessed / "dataset_fingerprint.json", other.preprocessed)
    other.run("nnUNetv2_plan_and_preprocess", *LINE, "-c", "2d")
    shared = other.run("nnunet_sgdc-plan", *LINE, "--preset", "M", "--preprocess")
    assert "nnUNetPlans_2d, reused, nothing was preprocessed" in shared
    assert {path.name for path in other.preprocessed.iterdir() if path.is_dir()} == {
        "gt_segmentations",
        "nnUNetPlans_2d",
    }


@pytest.mark.nnunet
def test_the_line_that_is_printed_trains(trained: Training) -> None:
    assert (trained.folder / "checkpoint_final.pth").exists()
    assert (trained.folder / "validation" / "summary.json").exists()


@pytest.mark.nnunet
def test_nnunet_predicts_with_what_was_trained(predicted: LabelMaps) -> None:
    assert {case: label.shape for case, label in predicted.items()} == {"a": (64, 64)}


@pytest.fixture
def preprocessed(raw: Path) -> Path:
    """Folder of preprocessed data, with the fingerprint of a raw data set."""
    write_raw(raw)
    write_fingerprint(raw.parent / "nnUNet_preprocessed")
    return raw.parent / "nnUNet_preprocessed"


@pytest.fixture
def extractions(preprocessed: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For every extraction of a fingerprint whether an existing one is replaced; what replaces it is made up."""
    calls: list[bool] = []

    def record(dataset_id: int, *, clean: bool, **options: Any) -> None:
        calls.append(clean)
        if clean:
            write_fingerprint(preprocessed)

    monkeypatch.setattr(fingerprint, "extract_fingerprint_dataset", record)
    return calls


def test_without_preprocess_it_says_how_to(preprocessed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-d", "1"])
    printed = capsys.readouterr().out
    assert "nnUNetPlans_2d, still to be made" in printed
    assert f"nnUNetv2_preprocess -d 1 -plans_name {PLANS} -c 2d\n" in printed
    assert not (preprocessed / DATASET / "nnUNetPlans_2d").exists()


def test_data_that_is_there_is_recognised_without_preprocess(
    preprocessed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["-d", "1"])
    write_preprocessed(preprocessed, "nnUNetPlans_2d")
    main(["-d", "1"])
    assert "nnUNetPlans_2d, reused" in capsys.readouterr().out


def test_what_nnunet_prints_while_planning_is_for_verbose(
    preprocessed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["-d", "1"])
    assert "2D U-Net configuration" not in capsys.readouterr().out
    main(["-d", "1", "--verbose"])
    assert "2D U-Net configuration" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["M", "L", "XL"])
def test_a_preset_has_plans_of_its_own(preset: str, preprocessed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-d", "1", "--preset", preset])
    name = f"nnUNetSGDCResEncUNet{preset}Plans"
    assert f"nnUNetv2_train 1 2d 0 -p {name} -tr nnUNetTrainerSGDC\n" in capsys.readouterr().out
    planner = read_plans(preprocessed, name)["experiment_planner_used"]
    assert planner == f"nnUNetPlannerSGDCResEnc{preset}"


def test_several_data_sets_are_planned(preprocessed: Path, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_raw(raw, name="Dataset002_Other")
    write_fingerprint(preprocessed, name="Dataset002_Other")
    main(["-d", "1", "2"])
    printed = capsys.readouterr().out
    assert TRAIN in printed
    assert TRAIN.replace(" 1 ", " 2 ") in printed


def test_a_fingerprint_of_the_raw_data_is_kept(preprocessed: Path, extractions: list[bool]) -> None:
    main(["-d", "1"])
    assert extractions == [False]


def test_clean_replaces_the_fingerprint_even_if_it_is_damaged(preprocessed: Path, extractions: list[bool]) -> None:
    (preprocessed / DATASET / "dataset_fingerprint.json").write_text("{")
    main(["-d", "1", "--clean"])
    assert extractions == [True]


@pytest.mark.parametrize("count", [1, 3])
def test_a_fingerprint_of_other_cases_is_replaced(count: int, preprocessed: Path, extractions: list[bool]) -> None:
    write_fingerprint(preprocessed, count=count)
    main(["-d", "1"])
    assert extractions == [True]


def test_a_fingerprint_older_than_the_raw_data_is_replaced(preprocessed: Path, extractions: list[bool]) -> None:
    os.utime(preprocessed / DATASET / "dataset_fingerprint.json", (0, 0))
    main(["-d", "1"])
    assert extractions == [True]


def unset_raw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_raw")


def unset_preprocessed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_preprocessed")


def two_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_raw" / "Dataset001_Other").mkdir()


def no_raw_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "nnUNet_raw" / DATASET)


def image_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_raw" / DATASET / "imagesTr" / "a_0000.png").unlink()


def label_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_raw" / DATASET / "labelsTr" / "b.png").unlink()


def images_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = folder / "nnUNet_raw" / DATASET
    content = json.loads((dataset / "dataset.json").read_text())
    del content["dataset"]
    (dataset / "dataset.json").write_text(json.dumps(content))
    shutil.rmtree(dataset / "imagesTr")


def wrong_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_raw(folder / "nnUNet_raw", count=7)


def damaged_dataset_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_raw" / DATASET / "dataset.json").write_text("{")


def empty_dataset_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_raw" / DATASET / "dataset.json").write_text("{}")


def damaged_fingerprint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_preprocessed" / DATASET / "dataset_fingerprint.json").write_text('{"spacings": [')


def empty_fingerprint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_preprocessed" / DATASET / "dataset_fingerprint.json").write_text("{}")


def damaged_plans(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nnUNet_preprocessed" / DATASET / f"{PLANS}.json").write_text("[")


def other_folds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, (train, validation) in {"raw": "ab", "preprocessed": "ba"}.items():
        folds = [{"train": [train], "val": [validation]}]
        (folder / f"nnUNet_{kind}" / DATASET / "splits_final.json").write_text(json.dumps(folds))


def unreadable_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("Some background worker is 6 feet under.\nMore words")

    monkeypatch.setattr(fingerprint, "extract_fingerprint_dataset", fail)


def nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


Spoil = Callable[[Path, pytest.MonkeyPatch], None]
BAD: list[tuple[Spoil, str, str]] = [
    (
        unset_raw,
        "",
        "nnUNet_raw must name nnU-Net's folder, but is not set: export",
    ),
    (unset_preprocessed, "", "nnUNet_preprocessed must name nnU-Net's folder, but is not set: export"),
    (nothing, "-d 7", "-d must be ids of data sets in .*, got 7: check it, or convert"),
    (two_names, "", f"1 stands for Dataset001_Other, {DATASET} in nnUNet_raw, .*: rename"),
    (no_raw_data, "", r"dataset\.json must describe the raw data set, but is missing: convert it first"),
    (image_missing, "", r"some lack one \(1: a\): restore them"),
    (label_missing, "", r"some lack one \(1: b\): restore them"),
    (images_missing, "", "must hold the training images in imagesTr, but does not: restore"),
    (wrong_number, "", "must hold the 7 training cases .*, but holds 2: restore the others"),
    (damaged_dataset_json, "", r"dataset\.json must be JSON"),
    (empty_dataset_json, "", "but lacks channel_names, labels, numTraining, file_ending: add that"),
    (damaged_fingerprint, "", r"dataset_fingerprint\.json must be JSON, got other content .*: remove it"),
    (empty_fingerprint, "", "must be nnU-Net's fingerprint, but lacks spacings, .*: give --clean"),
    (damaged_plans, "", rf"{PLANS}\.json must be JSON, got other content .*: remove it"),
    (other_folds, "", r"must hold the same folds in nnUNet_raw and in nnUNet_preprocessed.*: remove"),
    (unreadable_images, "", r"cannot \(Some background worker is 6 feet under\.\): put right"),
    (nothing, "-c 3d_fullres", "-c must be 2d, .*, got 3d_fullres: leave -c out"),
    (
        nothing,
        "-gpu_memory_target 0.0001",
        "must be at least 0.[0-9]+ GB .*, got 0.0001, .*: give more",
    ),
    (nothing, "-gpu_memory_target -3", "-gpu_memory_target must be a positive number of GB, got -3.0: give"),
    (nothing, "-preprocessor_name Mine", "-preprocessor_name must be a class below .*, got Mine: check it"),
    (nothing, "-overwrite_plans_name nnUNetPlans", "must be a name of your own, got nnUNetPlans, .*: choose another"),
]


@pytest.mark.parametrize(("spoil", "options", "sentence"), BAD, ids=[f"{s.__name__} {o}".strip() for s, o, _ in BAD])
def test_bad_input_is_one_sentence(
    spoil: Spoil,
    options: str,
    sentence: str,
    preprocessed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(preprocessed.parent, monkeypatch)
    with pytest.raises(SystemExit) as end:
        main(["-d", "1", *options.split()])
    assert end.value.code == 1
    assert re.fullmatch(rf"nnunet_sgdc-plan: error: .*{sentence}.*\n", capsys.readouterr().err)


@pytest.mark.parametrize("line", ["", "-d one", "-d 1 --preset S", "-d 1 -np 0", "-d 1 -npfp -2"])
def test_a_wrong_command_line_leaves_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert end.value.code == 2
    assert "nnunet_sgdc-plan: error: " in capsys.readouterr().err
