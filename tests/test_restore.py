"""Predictions go back to the size of the originals; the data set is converted from made-up images of several sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from releases import dice, pixels

from nnunet_sgdc.datasets.convert_isic import convert_isic
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.isic import EDITIONS
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.datasets.restore import main, restore
from nnunet_sgdc.errors import UserError

SIZES = {"a": (90, 70), "b": (64, 64), "c": (70, 120)}


def ellipse(size: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = np.indices((size[1], size[0]))
    return np.asarray((rows / size[1] - 0.5) ** 2 + (columns / size[0] - 0.4) ** 2 < 0.09)


@pytest.fixture
def dataset(tmp_path: Path, raw: Path) -> Path:
    training = EDITIONS[2018].splits[0]
    for name, size in SIZES.items():
        for folder in (training.image_folder, training.mask_folder):
            (tmp_path / "release" / folder).mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "release" / training.image_folder / f"{name}.png")
        mask = Image.fromarray(ellipse(size).astype(np.uint8) * 255)
        mask.save(tmp_path / "release" / training.mask_folder / f"{name}_segmentation.png")
    return convert_isic(tmp_path / "release", 118, Options(size=Resizing.square(48))).folder


@pytest.fixture
def predictions(dataset: Path, tmp_path: Path) -> Path:
    """Perfect predictions: the labels themselves, and what nnU-Net writes beside them."""
    folder = tmp_path / "predictions"
    folder.mkdir()
    for label in (dataset / "labelsTr").iterdir():
        (folder / label.name).write_bytes(label.read_bytes())
        one_hot = np.stack([pixels(label) == value for value in (0, 1)]).astype(np.float32)
        np.savez(folder / f"{label.stem}.npz", probabilities=one_hot[:, None])
    (folder / "plans.json").write_text("{}")
    return folder


def test_predictions_get_the_size_of_the_originals(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    restore(predictions, dataset, tmp_path / "out")
    assert {path.stem: pixels(path).shape[::-1] for path in (tmp_path / "out").iterdir()} == SIZES


@pytest.mark.parametrize("probabilities", [False, True])
def test_perfect_predictions_come_back_as_the_truth(
    dataset: Path, predictions: Path, tmp_path: Path, probabilities: bool
) -> None:
    restore(predictions, dataset, tmp_path / "out", probabilities=probabilities)
    for name, size in SIZES.items():
        assert dice(pixels(tmp_path / "out" / f"{name}.png") == 1, ellipse(size)) > 0.98


def test_probabilities_decide_between_pixels(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    lesion = np.tile(np.linspace(0, 1, 48, dtype=np.float32), (48, 1))
    np.savez(predictions / "a.npz", probabilities=np.stack([1 - lesion, lesion])[:, None])
    restore(predictions, dataset, tmp_path / "out", probabilities=True)
    assert (pixels(tmp_path / "out" / "a.png") == (np.arange(90) >= 45)).all()


def test_submission_is_named_and_valued_as_the_challenge_asks(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    restore(predictions, dataset, tmp_path / "out", submission=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}_segmentation.png" for name in SIZES]
    assert np.unique(pixels(tmp_path / "out" / "a_segmentation.png")).tolist() == [0, 255]


def test_some_predictions_are_enough(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    (predictions / "a.png").unlink()
    assert restore(predictions, dataset, tmp_path / "out").identifiers == ("b", "c")


def test_command_takes_the_id_and_writes_beside_the_predictions(
    dataset: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(predictions), "118"])
    assert "3 predictions restored from label maps" in capsys.readouterr().out
    assert (predictions.parent / "predictions_restored" / "a.png").is_file()


def test_command_fails_with_one_sentence(dataset: Path, predictions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (predictions / "stranger.png").write_bytes((predictions / "a.png").read_bytes())
    with pytest.raises(SystemExit, match="1"):
        main([str(predictions), str(dataset)])
    error = capsys.readouterr().err
    assert error.startswith("nnunet_sgdc-restore: error: ")
    assert "predictions of Dataset118_ISIC2018 only, got others (1: stranger): choose the data set" in error
    assert not (predictions.parent / "predictions_restored").exists()


def test_existing_output_is_kept(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(UserError, match="exists already: give --overwrite"):
        restore(predictions, dataset, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").exists()


@pytest.mark.parametrize("above", [False, True])
def test_output_that_holds_the_predictions_is_refused(dataset: Path, predictions: Path, above: bool) -> None:
    output = predictions.parent if above else predictions
    with pytest.raises(UserError, match=r"output must be a folder of its own, got .*, which holds"):
        restore(predictions, dataset, output, overwrite=True)
    assert (predictions / "a.png").exists()


def test_failure_leaves_no_output(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    (predictions / "c.png").write_bytes(b"")
    with pytest.raises(ConversionError, match=r"c\.png must be an image, but is empty"):
        restore(predictions, dataset, tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_prediction_of_another_size_is_refused(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    Image.new("L", (32, 48)).save(predictions / "a.png")
    with pytest.raises(ConversionError, match=r"a\.png must have .* 48 x 48 pixels, but is 32 x 48"):
        restore(predictions, dataset, tmp_path / "out")


def test_unknown_label_is_refused(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    Image.new("L", (48, 48), 7).save(predictions / "a.png")
    with pytest.raises(ConversionError, match=r"a\.png must hold the labels 0, 1, got 7"):
        restore(predictions, dataset, tmp_path / "out")


def test_probabilities_of_another_shape_are_refused(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    np.savez(predictions / "a.npz", probabilities=np.zeros((3, 1, 48, 48), np.float32))
    with pytest.raises(ConversionError, match=r"a\.npz must hold .* of shape \(2, 48, 48\), got \(3, 48, 48\)"):
        restore(predictions, dataset, tmp_path / "out", probabilities=True)


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_damaged_probabilities_are_named(dataset: Path, predictions: Path, tmp_path: Path, content: bytes) -> None:
    (predictions / "a.npz").write_bytes(content)
    with pytest.raises(ConversionError, match=r"a\.npz must be what --save_probabilities saves"):
        restore(predictions, dataset, tmp_path / "out", probabilities=True)


def test_folder_without_predictions_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"must hold predictions named <id>\.png, but holds none"):
        restore(tmp_path, dataset, tmp_path / "out")


def test_data_set_of_another_origin_is_refused(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    (dataset / "conversion.json").unlink()
    with pytest.raises(ConversionError, match=r"holds no conversion\.json, so no converter of nnunet_sgdc made it"):
        restore(predictions, dataset, tmp_path / "out")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}'])
def test_damaged_record_is_refused(dataset: Path, predictions: Path, tmp_path: Path, content: str) -> None:
    (dataset / "conversion.json").write_text(content)
    with pytest.raises(ConversionError, match=r"conversion\.json is damaged .*: convert the data again"):
        restore(predictions, dataset, tmp_path / "out")


def test_record_of_a_later_version_is_refused(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    record = json.loads((dataset / "conversion.json").read_text())
    (dataset / "conversion.json").write_text(json.dumps({**record, "format": 2}))
    with pytest.raises(ConversionError, match="must be of format 1, got 2"):
        restore(predictions, dataset, tmp_path / "out")
