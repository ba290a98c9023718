"""Predicting with trained models, and telling predictions of another training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from model_folders import begin, finish, write_checkpoint
from releases import names, pixels, save

from nnunet_sgdc.errors import UserError
from nnunet_sgdc.evaluation import prediction
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.prediction import PREDICTED_WITH, predict, stale
from nnunet_sgdc.evaluation.trained_model import TrainedModel


@pytest.fixture
def model(raw: Path) -> TrainedModel:
    return begin(raw.with_name("nnUNet_results"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "imagesTs"
    folder.mkdir()
    for case in range(2):
        noise = np.random.default_rng(case).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        save(folder / f"case{case}_0000.png", noise)
    return folder


@pytest.fixture
def predicted(model: TrainedModel, images: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Predictions by something quicker than nnU-Net."""
    for fold in ("0", "1"):
        finish(model, fold)
        model.checkpoint(fold).write_bytes(fold.encode())
    pretend(monkeypatch, ["case0", "case1"])
    output = model.predictions("Ts")
    predict(model, images, output, ["0", "1"], "cpu")
    return output


def pretend(monkeypatch: pytest.MonkeyPatch, cases: Sequence[str], code: int = 0) -> None:
    def write(arguments: Sequence[str]) -> int:
        folder = Path(arguments[arguments.index("-o") + 1])
        for case in cases:
            (folder / f"{case}.png").touch()
        return code

    monkeypatch.setattr(prediction, "_run_nnunet", write)


@pytest.mark.nnunet
def test_two_folds_predict_as_one_with_nnunet(
    model: TrainedModel, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "default_num_processes", 1)
    for fold in ("0", "1"):
        write_checkpoint(model, fold)
    output = model.predictions("Ts")
    predict(model, images, output, ["0", "1"], "cpu", save_probabilities=True)
    assert pixels(output / "case0.png").shape == (64, 64)
    probabilities = np.load(output / "case0.npz")["probabilities"]
    np.testing.assert_array_equal(pixels(output / "case0.png"), probabilities[:, 0].argmax(0))
    written = {"case0.npz", "case0.pkl", "case0.png", "case1.npz", "case1.pkl", "case1.png"}
    assert set(names(output)) >= {*written, "dataset.json", "plans.json", PREDICTED_WITH}
    assert names(output.parent) == ["Ts"]
    assert stale(model, output, ["0", "1"]) is None


def test_fresh_predictions_are_not_stale(model: TrainedModel, predicted: Path) -> None:
    assert stale(model, predicted, ["1", "0"]) is None


def test_predictions_tell_what_made_them(predicted: Path, images: Path) -> None:
    # SHA-256 of the bytes "0" and "1", from sha256sum.
    assert json.loads((predicted / PREDICTED_WITH).read_text()) == {
        "images": str(images),
        "checkpoints": {
            "0": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
            "1": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
        },
    }


def test_predictions_of_an_earlier_training_are_stale(model: TrainedModel, predicted: Path) -> None:
    model.checkpoint("1").write_bytes(b"trained again")
    assert stale(model, predicted, ["0", "1"]) == (
        f"{predicted} was predicted with other checkpoints of the folds 1 than there are now"
    )


def test_predictions_of_other_folds_are_stale(model: TrainedModel, predicted: Path) -> None:
    assert stale(model, predicted, ["0"]) == f"{predicted} must be predicted with the folds 0, but was with 0, 1"


def test_predictions_that_do_not_tell_what_made_them_are_stale(model: TrainedModel, tmp_path: Path) -> None:
    expected = f"{tmp_path} must hold predictions with their {PREDICTED_WITH}, but does not"
    assert stale(model, tmp_path, ["0"]) == expected


def test_stale_predictions_are_replaced(model: TrainedModel, predicted: Path, images: Path) -> None:
    (predicted / "old.png").touch()
    predict(model, images, predicted, ["0"], "cpu")
    assert names(predicted) == ["case0.png", "case1.png", PREDICTED_WITH]
    assert stale(model, predicted, ["0"]) is None


@pytest.mark.parametrize(("cases", "code", "missing"), [(["case0"], 0, 1), (["case0", "case1"], 9, 0)])
def test_a_prediction_that_fails_leaves_what_was_there(
    model: TrainedModel, predicted: Path, images: Path, monkeypatch: pytest.MonkeyPatch, cases, code, missing
) -> None:
    pretend(monkeypatch, cases, code)
    (predicted / "old.png").touch()
    with pytest.raises(EvaluationError, match=rf"all 2 cases of .* exit code {code} and {missing} of them missing"):
        predict(model, images, predicted, ["0"], "cpu")
    assert "old.png" in names(predicted)
    assert names(predicted.parent) == ["Ts"]


def test_a_folder_of_other_things_is_not_replaced(model: TrainedModel, predicted: Path, images: Path) -> None:
    (predicted / PREDICTED_WITH).unlink()
    with pytest.raises(EvaluationError, match=f"{predicted} must hold earlier predictions .* move it away"):
        predict(model, images, predicted, ["0"], "cpu")


def test_a_link_is_not_replaced(model: TrainedModel, predicted: Path, images: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(predicted)
    with pytest.raises(UserError, match="is a link"):
        predict(model, images, link, ["0"], "cpu")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_without_images_is_refused(model: TrainedModel, tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "empty"
    if is_there:
        folder.mkdir()
        (folder / "readme.txt").touch()
    with pytest.raises(EvaluationError, match=rf"{folder} must be a folder of images, named as in case_0000\.png"):
        predict(model, folder, model.predictions("Ts"), ["0"], "cpu")
    assert not model.predictions("Ts").parent.exists()
