"""The picture at the end of a training: a trainer without training, and a validation that is written by hand."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from PIL import Image
from trained_models import DATASET, PATCH, initialized_trainer

from nnunet_sgdc.trainers import nnUNetTrainerSGDC, validation_pictures

DICE = {"best": 1.0, "empty": float("nan"), "middle": 0.5, "worst": 0.0}


class nnUNetTrainerSGDC_drawn(nnUNetTrainerSGDC):
    validation_pictures = 2


@pytest.fixture(autouse=True)
def validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what comes after nnU-Net's own validation."""
    monkeypatch.setattr(nnUNetTrainer, "perform_actual_validation", lambda *arguments: None)


@pytest.fixture
def trainer(raw: Path) -> nnUNetTrainer:
    trainer = initialized_trainer(nnUNetTrainerSGDC_drawn, raw.with_name("nnUNet_preprocessed"))
    write_results(Path(trainer.output_folder) / "validation", raw / DATASET)
    return trainer


def write_results(validation: Path, dataset: Path) -> None:
    """Predictions, truth and summary as nnU-Net leaves them, and the raw images."""
    for folder in (validation, dataset / "imagesTr", dataset / "truth"):
        folder.mkdir(parents=True)
    results = []
    for case, dice in DICE.items():
        image = np.random.default_rng(0).integers(1, 256, (PATCH, PATCH, 3), np.uint8)
        Image.fromarray(image).save(dataset / "imagesTr" / f"{case}_0000.png")
        files = {"prediction_file": validation / f"{case}.png", "reference_file": dataset / "truth" / f"{case}.png"}
        for file in files.values():
            Image.fromarray(image[..., 0] // 128).save(file)
        results.append({**{name: str(file) for name, file in files.items()}, "metrics": {"1": {"Dice": dice}}})
    summary = {"metric_per_case": results, "mean": {"1": {"Dice": 0.5}}, "foreground_mean": {"Dice": 0.5}}
    (validation / "summary.json").write_text(json.dumps(summary))


def picture(trainer: nnUNetTrainer) -> Path:
    return Path(trainer.output_folder) / "validation_pictures.png"


def log(trainer: nnUNetTrainer) -> str:
    return Path(trainer.log_file).read_text()


def test_cases_are_drawn_with_their_boundaries(trainer: nnUNetTrainer) -> None:
    trainer.perform_actual_validation()
    with Image.open(picture(trainer)) as image:
        assert image.width == 4 * (384 + 8) + 8
        assert 2 * (384 + 26) < image.height < 3 * 384


def test_the_drawn_cases_go_from_the_worst_to_the_best(trainer: nnUNetTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        validation_pictures, "draw_contact_sheet", lambda panels, file: drawn.extend(panel.title for panel in panels)
    )
    for count in (3, 9):
        validation_pictures.draw_validation(trainer, count, Path("unused.png"))
    assert [title.split()[0] for title in drawn] == ["worst", "best", "empty", "worst", "middle", "best", "empty"]


def test_the_boundary_is_that_of_the_trained_network(trainer: nnUNetTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    boundaries: list[Any] = []
    monkeypatch.setattr(
        validation_pictures, "draw_contact_sheet", lambda panels, file: boundaries.append(panels[0].boundary)
    )
    trainer.perform_actual_validation()
    with torch.no_grad():
        trainer.network.sge.seg_layers.boundary_head.weight.zero_()
    trainer.perform_actual_validation()
    assert [(boundary == 0.5).all() for boundary in boundaries] == [False, True]


def test_a_trainer_draws_nothing_unless_told_to(trainer: nnUNetTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nnUNetTrainerSGDC_drawn, "validation_pictures", nnUNetTrainerSGDC.validation_pictures)
    trainer.perform_actual_validation()
    assert not picture(trainer).exists()
    assert "Validation pictures" not in log(trainer)


def test_one_process_of_several_draws(trainer: nnUNetTrainer) -> None:
    trainer.local_rank = 1
    trainer.perform_actual_validation()
    assert not picture(trainer).exists()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("deep_supervision", [True, False])
def test_the_training_is_left_as_it_was(trainer: nnUNetTrainer, training: bool, deep_supervision: bool) -> None:
    trainer.network.train(training)
    trainer.set_deep_supervision_enabled(deep_supervision)
    before = state_of(trainer)
    trainer.perform_actual_validation()
    torch.testing.assert_close(state_of(trainer), before, rtol=0, atol=0)


def test_images_that_lie_elsewhere_are_found_by_the_list_of_the_data_set(trainer: nnUNetTrainer, raw: Path) -> None:
    (raw / DATASET / "imagesTr").rename(raw / DATASET / "elsewhere")
    listed = {case: {"images": [f"elsewhere/{case}_0000.png"], "label": f"truth/{case}.png"} for case in DICE}
    trainer.dataset_json["dataset"] = deepcopy(listed)
    trainer.perform_actual_validation()
    assert picture(trainer).exists()
    assert trainer.dataset_json["dataset"] == listed


def state_of(trainer: nnUNetTrainer) -> dict[str, Any]:
    network = trainer.network
    switches = [network.training, network.decoder.deep_supervision, network.predicts_boundary]
    trained = [parameter.requires_grad for parameter in network.parameters()]
    return {"weights": deepcopy(network.state_dict()), "switches": switches, "trained": trained}


# Where nothing can be drawn, the log says why and the training ends well


def test_raw_images_that_are_on_another_machine_are_told(trainer: nnUNetTrainer, raw: Path) -> None:
    (raw / DATASET).rename(raw / "elsewhere")
    trainer.perform_actual_validation()
    assert f"not drawn: nnUNet_raw must be a folder that holds the images of {DATASET}, got {raw}" in log(trainer)


def test_a_missing_variable_is_told(trainer: nnUNetTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_raw")
    trainer.perform_actual_validation()
    assert f"not drawn: nnUNet_raw must be a folder that holds the images of {DATASET}, got None" in log(trainer)


def test_an_image_that_is_missing_is_told(trainer: nnUNetTrainer, raw: Path) -> None:
    (raw / DATASET / "imagesTr" / "worst_0000.png").unlink()
    trainer.perform_actual_validation()
    assert "must hold the image of worst, but does not: copy the raw data set" in log(trainer)
    assert not picture(trainer).exists()


def test_regions_are_told(trainer: nnUNetTrainer) -> None:
    trainer.dataset_json["labels"] = {"background": 0, "lesion": [1, 2]}
    trainer.perform_actual_validation()
    assert "not drawn: dataset.json must declare one label for each class, got regions (1: lesion)" in log(trainer)


def test_a_missing_summary_is_told(trainer: nnUNetTrainer) -> None:
    (Path(trainer.output_folder) / "validation" / "summary.json").unlink()
    trainer.perform_actual_validation()
    assert "not drawn: [Errno 2]" in log(trainer)
