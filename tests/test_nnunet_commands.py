"""nnU-Net's own commands with our trainers, run as a user runs them, on phantoms of 64 x 64 pixels.

Every command is a process of its own in an empty folder, which knows nothing of the developer but PATH and HOME. One
run serves several tests, so runs are fixtures; a test names the runs that it needs.
"""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from workspaces import DATASET, LabelMaps, Training, Workspace, label_maps, read_json, read_until

from nnunet_sgdc.datasets.phantoms import phantom, write_phantoms
from nnunet_sgdc.evaluation import score_masks
from nnunet_sgdc.networks import SGDCConfig

pytestmark = pytest.mark.nnunet

EPOCHS = 3

# Trainers in a folder of the user; one epoch is three steps. Told to, the first one is killed halfway through writing
# the checkpoint at the end of an epoch, together with the processes that load its data.
TRAINERS = """
import os, signal
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunet_sgdc.networks import SGDCConfig
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

save = torch.save

def save_half(content, file):
    save(content, file)
    os.truncate(file, os.path.getsize(file) // 2)
    os.killpg(0, signal.SIGKILL)

class nnUNetTrainerSGDC_tiny(nnUNetTrainerSGDC):
    epochs, iterations_per_epoch, val_iterations_per_epoch = 3, 3, 2
    validation_pictures = 2

    def on_epoch_end(self):
        if str(self.current_epoch) == os.environ.get("KILLED_AFTER_EPOCH"):
            torch.save = save_half
        super().on_epoch_end()

class nnUNetTrainerSGDC_shallow(nnUNetTrainerSGDC):
    sgdc = SGDCConfig(kernel_size=3)
    epochs, iterations_per_epoch, val_iterations_per_epoch = 1, 3, 2

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.enable_deep_supervision = False

class nnUNetTrainer_stock(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.num_iterations_per_epoch = self.num_val_iterations_per_epoch = 1

    def perform_actual_validation(self, save_probabilities=False):
        pass
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A planned and preprocessed data set, and no trainers of the user."""
    workspace = Workspace.create(tmp_path_factory.mktemp("user"))
    write_phantoms(workspace.folder / "release", training=10, test=2)
    workspace.run("nnunet_sgdc-convert-isic", str(workspace.folder / "release"), "1", "--size", "64")
    line = ("-d", "1", "-c", "2d", "--verify_dataset_integrity", "-npfp", "1", "-np", "1")
    workspace.run("nnUNetv2_plan_and_preprocess", *line)
    return workspace


@pytest.fixture(scope="module")
def workspace(bare: Workspace) -> Workspace:
    workspace = bare.with_settings(nnUNet_extTrainer=str(bare.trainers.parent))
    workspace.trainers.parent.mkdir()
    workspace.trainers.write_text(TRAINERS)
    return workspace


@pytest.fixture(scope="module")
def trained(workspace: Workspace) -> Training:
    return workspace.train("nnUNetTrainerSGDC_tiny", 0)


@pytest.fixture(scope="module")
def left_by_a_kill(workspace: Workspace) -> dict[str, Any]:
    """The latest checkpoint after a kill at the end of the second epoch, halfway through writing the next one."""
    killing = workspace.with_settings(KILLED_AFTER_EPOCH="1")
    killed = killing.train("nnUNetTrainerSGDC_tiny", 1, returncode=-signal.SIGKILL)
    assert (killed.folder / "checkpoint_latest.pth.partial").exists()
    return killed.checkpoint("latest")


@pytest.fixture(scope="module")
def resumed(workspace: Workspace, left_by_a_kill: dict[str, Any]) -> Training:
    return workspace.train("nnUNetTrainerSGDC_tiny", 1, "--c")


@pytest.fixture(scope="module")
def predicted(workspace: Workspace, trained: Training) -> LabelMaps:
    return workspace.predict("nnUNetTrainerSGDC_tiny", workspace.raw / "imagesTs", "predicted")


@pytest.fixture(scope="module")
def shallow(workspace: Workspace) -> Training:
    """Trained without deep supervision."""
    return workspace.train("nnUNetTrainerSGDC_shallow", 0)


@pytest.fixture(scope="module")
def stock(workspace: Workspace) -> Training:
    return workspace.train("nnUNetTrainer_stock", 0)


@pytest.fixture(scope="module")
def compared(workspace: Workspace, trained: Training, shallow: Training) -> Path:
    """The report of two trainers, which are predicted and evaluated for it."""
    report = workspace.folder / "report"
    models = ("-d", "1", "-c", "2d", "-tr", "nnUNetTrainerSGDC_tiny", "nnUNetTrainerSGDC_shallow", "-f", "0")
    line = (*models, "--sets", "validation", "Ts", "--predict", "-device", "cpu", "-o", str(report))
    workspace.run("nnunet_sgdc-compare", *line)
    return report


@pytest.mark.parametrize(
    "name",
    ["checkpoint_final.pth", "checkpoint_best.pth", "progress.png", "progress_sgdc.png", "validation/summary.json"],
)
def test_a_training_leaves_its_results(trained: Training, name: str) -> None:
    assert (trained.folder / name).stat().st_size > 0


@pytest.mark.parametrize("kind", ["trained", "resumed"])
def test_a_finished_training_leaves_neither_the_latest_nor_a_partial_checkpoint(
    kind: str, request: pytest.FixtureRequest
) -> None:
    training: Training = request.getfixturevalue(kind)
    names = {path.name for path in training.folder.glob("checkpoint*")}
    assert names == {"checkpoint_best.pth", "checkpoint_final.pth"}


def test_a_validation_is_drawn_when_asked_for(trained: Training, shallow: Training) -> None:
    with Image.open(trained.folder / "validation_pictures.png") as image:
        # Image, contours, errors and boundary of two cases.
        assert image.width == 4 * (384 + 8) + 8
        assert 2 * (384 + 26) < image.height < 3 * 384
    assert not (shallow.folder / "validation_pictures.png").exists()


def test_a_drawn_training_predicts_what_its_validation_did(workspace: Workspace, trained: Training) -> None:
    expected = label_maps(trained.folder / "validation")
    predicted = workspace.predict("nnUNetTrainerSGDC_tiny", workspace.raw / "imagesTr", "undisturbed")
    np.testing.assert_equal({case: predicted[case] for case in expected}, expected)


def test_predictions_are_drawn_with_truth_and_boundaries(workspace: Workspace, predicted: LabelMaps) -> None:
    folders = (
        str(workspace.raw / "imagesTs"),
        str(workspace.folder / "predicted"),
        "-o",
        str(workspace.folder / "shown"),
    )
    known = ("--truth", str(workspace.raw / "labelsTs"), "--model", str(workspace.model("nnUNetTrainerSGDC_tiny")))
    workspace.run("nnunet_sgdc-show", *folders, *known, "-f", "0", "-device", "cpu", "--save-boundary")
    shown = label_maps(workspace.folder / "shown")
    assert {case: picture.shape[1] for case, picture in shown.items()} == dict.fromkeys(predicted, 4 * (512 + 8) + 8)
    boundaries = label_maps(workspace.folder / "shown" / "boundary")
    assert {case: boundary.shape for case, boundary in boundaries.items()} == dict.fromkeys(predicted, (64, 64))


def test_the_log_says_what_the_loss_of_every_epoch_consists_of(trained: Training) -> None:
    segmentation = trained.numbers(r"train_loss parts: segmentation ([-.\d]+)")
    boundary = trained.numbers(r"train_loss parts: .* boundary ([-.\d]+)")
    loss = trained.numbers(r"train_loss ([-.\d]+)\n")
    assert len(loss) == EPOCHS
    np.testing.assert_allclose(np.array(segmentation) + 3 * np.array(boundary), loss, atol=3e-4)


def test_the_log_says_layer_scale_by_stride_in_every_epoch(trained: Training) -> None:
    assert len(trained.numbers(r"LayerScale: stride 8: ([.\d]+), stride 4: [.\d]+")) == EPOCHS


def test_the_plans_of_the_model_hold_the_complete_configuration(workspace: Workspace, trained: Training) -> None:
    architecture = read_json(trained.folder.parent / "plans.json")["configurations"]["2d"]["architecture"]
    assert architecture["network_class_name"] == "nnunet_sgdc.networks.SGDCUNet"
    assert architecture["arch_kwargs"]["sgdc"] == SGDCConfig().to_dict()


def test_the_plans_of_the_data_set_stay_those_of_nnunet(bare: Workspace, trained: Training) -> None:
    plans = bare.folder / "preprocessed" / DATASET / "nnUNetPlans.json"
    assert "sgdc" not in plans.read_text()


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(left_by_a_kill: dict[str, Any]) -> None:
    assert left_by_a_kill["current_epoch"] == 1


def test_a_killed_training_continues_with_the_epoch_after_its_checkpoint(resumed: Training) -> None:
    assert resumed.numbers(r"Epoch (\d+)") == [1, 2]
    assert (resumed.folder / "validation" / "summary.json").exists()


def test_a_continued_training_keeps_the_log_of_the_killed_one(
    left_by_a_kill: dict[str, Any], resumed: Training
) -> None:
    before, after = left_by_a_kill["logging"], resumed.checkpoint("final")["logging"]
    for key in ("train_segmentation_losses", "train_boundary_losses", "layer_scales"):
        assert len(after[key]) == EPOCHS
        assert after[key][:1] == before[key]


def test_probabilities_of_the_validation_are_saved_on_demand(workspace: Workspace, trained: Training) -> None:
    labels = label_maps(trained.folder / "validation")
    workspace.train("nnUNetTrainerSGDC_tiny", 0, "--val", "--npz")
    for case, label in labels.items():
        probabilities = np.load(trained.folder / "validation" / f"{case}.npz")["probabilities"]
        np.testing.assert_array_equal(probabilities.argmax(0)[0], label)


def test_a_prediction_has_one_label_map_for_every_image(workspace: Workspace, predicted: LabelMaps) -> None:
    images = {path.name.removesuffix("_0000.png") for path in (workspace.raw / "imagesTs").iterdir()}
    assert predicted.keys() == images
    assert {label.shape for label in predicted.values()} == {(64, 64)}
    assert np.isin(list(predicted.values()), [0, 1]).all()


def test_nnunet_chooses_the_best_configuration_over_folds(
    workspace: Workspace, trained: Training, resumed: Training
) -> None:
    line = ("-c", "2d", "-tr", "nnUNetTrainerSGDC_tiny", "-f", "0", "1", "--disable_ensembling", "-np", "1")
    workspace.run("nnUNetv2_find_best_configuration", "1", *line)
    chosen = read_json(workspace.folder / "results" / DATASET / "inference_information.json")
    assert chosen["best_model_or_ensemble"]["selected_model_or_models"][0]["trainer"] == "nnUNetTrainerSGDC_tiny"


def test_a_model_installed_from_a_zip_predicts_the_same(workspace: Workspace, predicted: LabelMaps) -> None:
    other, archive = replace(workspace, results="other_results"), str(workspace.folder / "model.zip")
    line = ("-d", "1", "-c", "2d", "-f", "0", "-tr", "nnUNetTrainerSGDC_tiny", "-o", archive)
    workspace.run("nnUNetv2_export_model_to_zip", *line)
    other.run("nnUNetv2_install_pretrained_model_from_zip", archive)
    repeated = other.predict("nnUNetTrainerSGDC_tiny", workspace.raw / "imagesTs", "repeated")
    np.testing.assert_equal(repeated, predicted)


def test_a_training_without_deep_supervision_is_validated(shallow: Training) -> None:
    summary = read_json(shallow.folder / "validation" / "summary.json")
    assert np.isfinite(summary["foreground_mean"]["Dice"])
    assert len(shallow.numbers(r"train_loss parts: .* boundary ([-.\d]+)")) == 1


def test_a_model_is_rebuilt_from_its_plans_when_the_class_has_changed(workspace: Workspace, shallow: Training) -> None:
    workspace.trainers.write_text(TRAINERS.replace("kernel_size=3", "kernel_size=5"))
    expected = label_maps(shallow.folder / "validation")
    predicted = workspace.predict("nnUNetTrainerSGDC_shallow", workspace.raw / "imagesTr", "rebuilt")
    np.testing.assert_equal({case: predicted[case] for case in expected}, expected)


def test_a_trainer_is_found_without_any_variable_and_starts_from_stock_weights(
    bare: Workspace, stock: Training
) -> None:
    weights = str(stock.folder / "checkpoint_final.pth")
    line = ("1", "2d", "2", "-tr", "nnUNetTrainerSGDC_1epoch", "-device", "cpu", "-pretrained_weights", weights)
    with bare.with_settings(PYTHONUNBUFFERED="1").start("nnUNetv2_train", *line) as process:
        printed = read_until("Epoch 0", process)
    assert "encoder.stages.0.0.convs.0.conv.weight shape" in printed


def test_the_folds_are_those_of_the_converter(workspace: Workspace, trained: Training) -> None:
    used = read_json(workspace.folder / "preprocessed" / DATASET / "splits_final.json")
    assert used == read_json(workspace.raw / "splits_final.json")
    assert len(read_json(trained.folder / "validation" / "summary.json")["metric_per_case"]) == len(used[0]["val"])


def test_predictions_are_restored_to_the_sizes_of_the_originals(workspace: Workspace, predicted: LabelMaps) -> None:
    workspace.run("nnunet_sgdc-restore", str(workspace.folder / "predicted"), "1", "-o", str(workspace.folder / "back"))
    originals = label_maps(workspace.folder / "release" / "ISBI2016_ISIC_Part1_Test_GroundTruth")
    restored = label_maps(workspace.folder / "back")
    assert {f"{name}_Segmentation": map_.shape for name, map_ in restored.items()} == {
        name: map_.shape for name, map_ in originals.items()
    }


def test_ph2_is_predicted_and_scored_as_external_test_set(workspace: Workspace, trained: Training) -> None:
    write_ph2(workspace.folder / "PH2Dataset", count=2)
    workspace.run("nnunet_sgdc-convert-ph2", str(workspace.folder / "PH2Dataset"), "--as-test-of", "1")
    external = workspace.raw / "external_PH2"
    predictions = workspace.predict("nnUNetTrainerSGDC_tiny", external / "imagesTs", "predicted_ph2")
    truths = label_maps(external / "labelsTs")
    assert predictions.keys() == truths.keys() == {"IMD001", "IMD002"}
    assert all(0 <= score_masks(truths[name] == 1, predictions[name] == 1).dice <= 1 for name in truths)


def test_trained_models_are_predicted_evaluated_and_compared_by_one_command(compared: Path) -> None:
    rows = pd.read_csv(compared / "table.csv")
    assert set(rows["dataset"]) == {DATASET, f"{DATASET}/Ts"}
    assert set(rows["trainer"]) == {"nnUNetTrainerSGDC_tiny", "nnUNetTrainerSGDC_shallow"}
    assert set(rows["metric"]) == {"dice", "hd95", "nsd@2"}
    assert rows["mean"].notna().all()


def test_the_report_shows_cases_with_their_boundary_maps(compared: Path) -> None:
    assert len(list((compared / "gallery").iterdir())) == 2 * 2 * 2
    assert (compared / "report.html").read_text().count("data:image/jpeg;base64") == 8


def test_the_evaluation_agrees_with_the_validation_of_nnunet(compared: Path, trained: Training) -> None:
    theirs = read_json(trained.folder / "validation" / "summary.json")
    ours = read_json(trained.folder.parent / "evaluation" / "validation" / "summary.json")
    assert ours["foreground_mean"]["Dice"] == pytest.approx(theirs["foreground_mean"]["Dice"])
    assert [case["metrics"]["1"]["TP"] for case in ours["metric_per_case"]] == [
        case["metrics"]["1"]["TP"] for case in theirs["metric_per_case"]
    ]


def test_the_evaluation_knows_what_training_cost(compared: Path, trained: Training) -> None:
    cost = read_json(trained.folder.parent / "evaluation" / "Ts" / "evaluation.json")["cost"]
    assert cost["parameters"] > 1e6
    assert cost["activation_bytes"] > 1e6
    assert cost["seconds"] > 0


def test_unfinished_folds_are_told_with_the_command_that_trains_them(workspace: Workspace, trained: Training) -> None:
    refused = workspace.run("nnunet_sgdc-evaluate", "1", "nnUNetTrainerSGDC_tiny", "2d", returncode=1)
    assert "nnUNetv2_train 1 2d 2 -tr nnUNetTrainerSGDC_tiny" in refused


def write_ph2(folder: Path, count: int) -> None:
    """Phantoms in the nested layout of PH2."""
    for number in range(1, count + 1):
        name = f"IMD{number:03d}"
        image, lesion = phantom(np.random.default_rng(number), (120, 90))
        for kind, pixels in ((f"{name}_Dermoscopic_Image/{name}", image), (f"{name}_lesion/{name}_lesion", lesion)):
            path = folder / "PH2 Dataset images" / name / f"{kind}.bmp"
            path.parent.mkdir(parents=True)
            Image.fromarray(pixels).save(path)
