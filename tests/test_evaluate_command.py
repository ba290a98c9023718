"""`nnunet_sgdc-evaluate` on folders, as a user types it; bad input ends in one sentence and exit code 1."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conic_release import write_release as write_conic
from releases import convert, pixels, save, write_release

from nnunet_sgdc.datasets.convert_conic import convert_conic
from nnunet_sgdc.datasets.isic import EDITIONS
from nnunet_sgdc.datasets.restore import restore
from nnunet_sgdc.evaluation.evaluate_command import main
from nnunet_sgdc.evaluation.record import EvaluationRecord, read_evaluation

Command = Callable[..., EvaluationRecord]


@pytest.fixture
def dataset(raw: Path, tmp_path: Path) -> Path:
    """Five cases of 32 x 32 pixels, two of them for testing."""
    return convert(write_release(tmp_path / "release"), 116, size=32).folder


@pytest.fixture
def truth(dataset: Path) -> Path:
    return dataset / "labelsTs"


@pytest.fixture
def predictions(truth: Path, tmp_path: Path) -> Path:
    """The truth, moved by one column."""
    folder = tmp_path / "nnUNetTrainerSGDC"
    folder.mkdir()
    for path in truth.iterdir():
        save(folder / path.name, np.roll(pixels(path), 1, axis=1))
    return folder


@pytest.fixture
def evaluate(tmp_path: Path) -> Command:
    def run(*arguments: object) -> EvaluationRecord:
        main([*map(str, arguments), "-o", str(tmp_path / "out")])
        return read_evaluation(tmp_path / "out")

    return run


def test_two_folders_are_scored(
    truth: Path, predictions: Path, evaluate: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    record = evaluate(truth, predictions)
    means = record.averages["mean per case"]["lesion"]["means"]
    assert (record.dataset, record.trainer, record.grid) == (
        "Dataset116_ISIC2016/Ts",
        "nnUNetTrainerSGDC",
        "training grid",
    )
    assert (means["hd95"], means["hd"]) == (1, 1)
    assert "2 cases, training grid (32 x 32), distances in pixels" in capsys.readouterr().out


def test_options_reach_the_record(truth: Path, predictions: Path, evaluate: Command) -> None:
    named = ("--trainer", "mine", "--seed", 4, "--name", "study", "--grid", "small")
    record = evaluate(truth, predictions, *named, "--spacing", 2, 0.5, "--tolerances", 3, "--boundary-width", 1)
    assert (record.trainer, record.seed, record.dataset, record.grid) == ("mine", 4, "study", "small")
    assert (record.settings.spacing, record.settings.tolerances, record.settings.boundary_width) == ((2, 0.5), (3,), 1)
    assert record.averages["mean per case"]["lesion"]["means"]["hd95"] == 0.5
    assert "nsd@3" in record.averages["mean per case"]["lesion"]["means"]


def test_an_evaluation_is_replaced_when_asked(truth: Path, predictions: Path, evaluate: Command) -> None:
    evaluate(truth, predictions)
    assert evaluate(truth, predictions, "--seed", 1, "--overwrite").seed == 1


def test_restored_predictions_are_scored_officially_against_published_masks(
    truth: Path, dataset: Path, evaluate: Command, tmp_path: Path
) -> None:
    pytest.importorskip("isic_challenge_scoring")
    restored = restore(truth, dataset, tmp_path / "restored").folder
    published = tmp_path / "release" / EDITIONS[2016].splits[1].mask_folder
    record = evaluate(published, restored, "--isic")
    assert (record.grid, record.cases[0].size) == ("original size", (48, 36))
    dice = record.averages["mean per case"]["lesion"]["means"]["dice"]
    assert record.challenge["ISIC"]["dice"] == pytest.approx(dice)
    assert 0.9 < record.challenge["ISIC"]["threshold_jaccard"] < 1


def test_submissions_score_as_the_label_maps_they_come_from(
    truth: Path, dataset: Path, evaluate: Command, tmp_path: Path
) -> None:
    published = tmp_path / "release" / EDITIONS[2016].splits[1].mask_folder
    averages = [
        evaluate(published, restore(truth, dataset, tmp_path / name, submission=submission).folder, "--overwrite")
        for name, submission in (("restored", False), ("submission", True))
    ]
    assert averages[0].averages == averages[1].averages


def test_nuclei_are_scored_where_the_data_set_keeps_their_numbers(
    raw: Path, tmp_path: Path, evaluate: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = convert_conic(write_conic(tmp_path / "conic"), 131).folder / "labelsTr"
    predictions = shutil.copytree(truth, tmp_path / "predictions")
    scores = evaluate(truth, predictions).challenge["CoNIC"]
    # The two epithelial nuclei, of 12 and 9 pixels, touch: predicted as one, they match the larger with 12 / 21.
    assert scores["pq"]["epithelial"] == pytest.approx((12 / 21) / 1.5)
    assert scores["pq"]["connective"] == 1
    assert scores["pq"]["plasma"] is None
    assert "CoNIC: mpq_plus " in capsys.readouterr().out


# Bad inputs: what is spoilt, and the one sentence


def remove_a_prediction(truth: Path, predictions: Path) -> None:
    (predictions / "4.png").unlink()


def remove_a_truth(truth: Path, predictions: Path) -> None:
    (truth / "4.png").unlink()


def shrink(truth: Path, predictions: Path) -> None:
    save(predictions / "3.png", np.zeros((16, 16), np.uint8))


def give_another_label(truth: Path, predictions: Path) -> None:
    save(predictions / "3.png", np.full((32, 32), 255, np.uint8))


def give_a_picture(truth: Path, predictions: Path) -> None:
    save(predictions / "3.png", np.zeros((32, 32, 3), np.uint8))


def give_nan(truth: Path, predictions: Path) -> None:
    (predictions / "3.png").unlink()
    save(predictions / "3.tif", np.full((32, 32), np.nan, np.float32))


def give_probabilities(truth: Path, predictions: Path) -> None:
    (predictions / "3.png").unlink()
    save(predictions / "3.tif", np.full((32, 32), 0.5, np.float32))


def truncate(truth: Path, predictions: Path) -> None:
    path = predictions / "3.png"
    path.write_bytes(path.read_bytes()[:40])


def empty(truth: Path, predictions: Path) -> None:
    for path in predictions.iterdir():
        path.unlink()


def remove_the_declaration(truth: Path, predictions: Path) -> None:
    (truth.parent / "dataset.json").unlink()


def declare_regions(truth: Path, predictions: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    (truth.parent / "dataset.json").write_text(json.dumps({"labels": labels}))


SPOILT = {
    remove_a_prediction: r"must hold a prediction of each case of .*labelsTs, but lacks 1: 4: predict them",
    remove_a_truth: r"must hold predictions of the cases of .*labelsTs only, but has others \(1: 4\)",
    shrink: r"3\.png must have the shape of .*labelsTs/3\.png, \(32, 32\), got \(16, 16\)",
    give_another_label: r"3\.png must hold only the labels \[0, 1\], got 255 at row 0, column 0",
    give_a_picture: r"3\.png must be a label map of one channel, got mode 'RGB'",
    give_nan: r"3\.tif must hold whole numbers, got nan at row 0, column 0",
    give_probabilities: r"3\.tif must hold whole numbers, got 0\.5 at row 0, column 0: pass labels, not probabilities",
    truncate: r"3\.png must be an image, got ",
    empty: r"PREDICTIONS must hold 2-D label maps .*, but .* holds none",
    remove_the_declaration: r"no dataset\.json was found beside .*: give --dataset-json FILE",
    declare_regions: r"dataset\.json must declare one label for each class, got regions \(1: whole\)",
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_bad_input_ends_in_one_sentence_and_leaves_nothing(
    spoil: Callable[[Path, Path], None],
    message: str,
    truth: Path,
    predictions: Path,
    evaluate: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(truth, predictions)
    told = refused(evaluate, capsys, truth, predictions)
    assert re.search(message, told)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def refused(evaluate: Command, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that fails says, in one line."""
    with pytest.raises(SystemExit) as left:
        evaluate(*arguments)
    told = capsys.readouterr().err
    assert left.value.code == 1
    assert told.startswith("nnunet_sgdc-evaluate: error: ")
    assert told.count("\n") == 1
    return told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--spacing", 0, 1), r"spacing must be two positive numbers, \(row, column\), got \(0\.0, 1\.0\)"),
        (("--tolerances", -1), r"tolerances must be 0 or more, got \(-1\.0,\)"),
        (("--boundary-width", 0), "boundary_width must be a whole number from 1 up, got 0"),
        (("--workers", 0), "workers must be 1 or more, got 0"),
        (("-f", 0, "--predict"), "-f, --predict belongs to the form DATASET TRAINER CONFIGURATION"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: tuple[object, ...],
    message: str,
    truth: Path,
    predictions: Path,
    evaluate: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert re.search(message, refused(evaluate, capsys, truth, predictions, *options))


def test_options_of_folders_are_refused_with_a_trained_model(
    evaluate: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(evaluate, capsys, 116, "nnUNetTrainerSGDC", "2d", "--isic")
    assert "--isic belongs to the form GROUND_TRUTH PREDICTIONS" in told


@pytest.mark.parametrize("count", [1, 4])
def test_neither_two_nor_three_arguments_are_refused(
    count: int, evaluate: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(evaluate, capsys, *["116"] * count)
    assert f"DATASET TRAINER CONFIGURATION must be given, got {count} argument" in told


def test_folders_need_a_place_for_the_result(
    truth: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(truth), str(predictions)])
    assert "-o must name the folder to write, but is missing: give -o FOLDER" in capsys.readouterr().err


def test_official_scores_of_several_classes_are_refused(
    raw: Path, tmp_path: Path, evaluate: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = convert_conic(write_conic(tmp_path / "conic"), 131).folder / "labelsTr"
    told = refused(evaluate, capsys, truth, truth, "--isic")
    assert "--isic scores one class, but Dataset131_CoNIC has neutrophil, epithelial" in told
