"""Boundary maps by nnU-Net's own prediction, against the network's logits put together by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from trained_models import PATCH, initialized_trainer, sgdc_plans, stock_plans, write_model
from unets import build

from nnunet_sgdc.discovery import TRAINER_FOLDER, VARIABLE
from nnunet_sgdc.evaluation.boundary_map import BoundaryMapper
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def our_trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(TRAINER_FOLDER))


def pixels(height: int = PATCH, width: int = PATCH) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(1, 256, (height, width, 3), np.uint8)


def save(image: NDArray[np.uint8], path: Path) -> Path:
    Image.fromarray(image).save(path)
    return path


def logits(model: Path, image: NDArray[np.uint8], fold: str = "0") -> Tensor:
    """Boundary logits of one pass, of the shape of the image."""
    network = build(sgdc_plans()["configurations"]["2d"]["architecture"], deep_supervision=False).eval()
    checkpoint = torch.load(model / f"fold_{fold}" / "checkpoint_final.pth", weights_only=False)
    network.load_state_dict(checkpoint["network_weights"])
    batch = torch.from_numpy(image / np.float32(255)).permute(2, 0, 1)[None]
    with torch.no_grad():
        return F.interpolate(network.boundary_logits(batch), size=image.shape[:2], mode="bilinear")[0, 0]


def assert_close(predicted: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Close for nnU-Net, which adds weighted logits up in half precision; weights all but vanish in the corners."""
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=0.03)
    assert np.abs(predicted - expected).mean() < 5e-4


def boundary(model: Path, image: NDArray[np.uint8], folds: list[str] | None = None) -> NDArray[np.float32]:
    mapper = BoundaryMapper.of_model(model, folds, CPU)
    return mapper(save(image, model.parent / "case_0000.png"))


def test_an_image_of_the_size_of_the_patch_is_one_pass(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans())
    expected = torch.sigmoid(logits(model, pixels())).numpy()
    predicted = boundary(model, pixels())
    assert_close(predicted, expected)
    assert predicted.dtype == np.float32


def test_folds_are_averaged_as_logits(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans(), ("0", "3"))
    expected = torch.sigmoid((logits(model, pixels(), "0") + logits(model, pixels(), "3")) / 2).numpy()
    assert_close(boundary(model, pixels()), expected)


def test_chosen_folds_predict_alone(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans(), ("0", "3", "all"))
    for fold in ("3", "all"):
        expected = torch.sigmoid(logits(model, pixels(), fold)).numpy()
        assert_close(boundary(model, pixels(), [fold]), expected)


def test_the_fold_of_all_cases_is_not_taken_unasked(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans(), ("0", "all"))
    np.testing.assert_array_equal(boundary(model, pixels()), boundary(model, pixels(), ["0"]))


def test_mirrored_images_are_averaged_as_nnunet_does(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans(), mirroring=(1,))
    mirrored = logits(model, pixels()[:, ::-1].copy()).flip(1)
    expected = torch.sigmoid((logits(model, pixels()) + mirrored) / 2).numpy()
    assert_close(boundary(model, pixels()), expected)


def test_windows_of_a_larger_image_are_weighted_as_nnunet_does(tmp_path: Path) -> None:
    model, image = write_model(tmp_path / "model", sgdc_plans()), pixels(PATCH, 2 * PATCH)
    total, weights = torch.zeros(2, PATCH, 2 * PATCH)
    window = compute_gaussian((PATCH, PATCH), sigma_scale=1 / 8, value_scaling_factor=10, device=CPU).float()
    for left in (0, PATCH // 2, PATCH):
        columns = slice(left, left + PATCH)
        total[:, columns] += window * logits(model, image[:, columns])
        weights[:, columns] += window
    assert_close(boundary(model, image), torch.sigmoid(total / weights).numpy())


def test_a_black_frame_that_nnunet_cuts_away_has_no_boundary(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans())
    predicted = boundary(model, np.pad(pixels(), ((3, 5), (0, 7), (0, 0))))
    assert_close(predicted[3:-5, :-7], boundary(model, pixels()))
    assert predicted.shape == (PATCH + 8, PATCH + 7)
    assert not predicted[:3].any()


def test_an_image_with_a_file_for_each_channel_is_put_together(tmp_path: Path) -> None:
    model, image = write_model(tmp_path / "model", sgdc_plans()), pixels()
    files = [save(image[..., channel], tmp_path / f"case_000{channel}.png") for channel in range(3)]
    np.testing.assert_array_equal(BoundaryMapper.of_model(model, None, CPU)(*files), boundary(model, image))


def test_a_compiled_network_is_switched_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / "model", sgdc_plans())
    expected = boundary(model, pixels())
    monkeypatch.setenv("nnUNet_compile", "true")
    monkeypatch.setattr(torch, "compile", lambda network: torch._dynamo.optimize("eager")(network))
    assert_close(boundary(model, pixels()), expected)


def test_the_segmentation_that_nnunet_predicts_stays_the_same(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans())
    predictor = nnUNetPredictor(device=CPU, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model), ("0",))
    image, properties = pixels().transpose(2, 0, 1)[:, None], {"spacing": (999, 1, 1)}
    before = predictor.predict_single_npy_array(image, dict(properties), None, None, True)
    boundary(model, pixels())
    after = predictor.predict_single_npy_array(image, dict(properties), None, None, True)
    np.testing.assert_equal(after, before)
    assert before[1].shape == (2, 1, PATCH, PATCH)


@pytest.fixture
def trainer(raw: Path) -> nnUNetTrainer:
    return initialized_trainer(nnUNetTrainerSGDC, raw.with_name("nnUNet_preprocessed"))


def test_the_network_of_a_trainer_predicts_its_boundaries(trainer: nnUNetTrainer, tmp_path: Path) -> None:
    trainer.inference_allowed_mirroring_axes = None
    trainer.network.eval()
    with torch.no_grad():
        expected = trainer.network(torch.from_numpy(pixels() / np.float32(255)).permute(2, 0, 1)[None])[-1]
    expected = torch.sigmoid(F.interpolate(expected, size=(PATCH, PATCH), mode="bilinear"))[0, 0].numpy()
    predicted = BoundaryMapper.of_trainer(trainer)(save(pixels(), tmp_path / "case_0000.png"))
    assert_close(predicted, expected)


def test_a_trainer_is_not_touched(trainer: nnUNetTrainer, tmp_path: Path) -> None:
    before = state_of(trainer.network)
    BoundaryMapper.of_trainer(trainer)(save(pixels(), tmp_path / "case_0000.png"))
    assert state_of(trainer.network) == before


def state_of(network: torch.nn.Module) -> object:
    trained = [parameter.requires_grad for parameter in network.parameters()]
    return network.training, network.decoder.deep_supervision, network.predicts_boundary, trained


# Models that cannot do it


def test_a_model_without_sgdc_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", stock_plans())
    with pytest.raises(EvaluationError, match=r"model must hold a model of an SGDC trainer, got one without"):
        BoundaryMapper.of_model(model, None, CPU)


def test_a_folder_without_a_finished_fold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"nowhere must hold fold_0/checkpoint_final\.pth, .* folds \[\]: choose"):
        BoundaryMapper.of_model(tmp_path / "nowhere", None, CPU)


def test_a_fold_that_is_not_finished_is_named_with_those_that_are(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans(), ("0", "1"))
    with pytest.raises(EvaluationError, match=r"must hold fold_4/checkpoint_final\.pth, got finished folds \[0, 1\]"):
        BoundaryMapper.of_model(model, ["1", "4"], CPU)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans())
    (model / "fold_0" / "checkpoint_final.pth").write_bytes(b"half")
    with pytest.raises(EvaluationError, match=r"model must hold a model .* cannot be loaded \(.*\): choose another"):
        BoundaryMapper.of_model(model, None, CPU)


def test_an_image_with_other_channels_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", sgdc_plans())
    with pytest.raises(EvaluationError, match=r"case_0000\.png must have 3 channels as the images .*, got 1: choose"):
        boundary(model, pixels()[..., 0])
