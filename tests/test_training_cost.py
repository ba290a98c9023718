"""Costs against numbers worked out by hand, and computed activations against those of real tensors."""

import re
from pathlib import Path

import pytest
import torch
from model_folders import begin, write_checkpoint
from torch import Tensor, nn
from trained_models import sgdc_plans
from unets import PLAIN, RESIDUAL, THREE_STAGES, architecture, build, grafted, stock

from nnunet_sgdc.discovery import TRAINER_FOLDER, VARIABLE
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.trained_model import TrainedModel
from nnunet_sgdc.evaluation.training_cost import activation_bytes, parameter_count, saved_bytes, training_cost
from nnunet_sgdc.ops import dynamic_conv2d

FLOAT = 4
BATCH_NORM = {"norm_op": "torch.nn.modules.batchnorm.BatchNorm2d"}
DROPOUT = {"dropout_op": "torch.nn.modules.dropout.Dropout2d", "dropout_op_kwargs": {"p": 0.5}}
NETWORKS = {
    "plain": lambda: stock(PLAIN),
    "residual": lambda: stock(RESIDUAL),
    "plain with SGDC": lambda: grafted(PLAIN),
    "residual with SGDC": lambda: grafted(RESIDUAL),
    "with batch normalisation": lambda: build(architecture(**BATCH_NORM)),
    "with dropout": lambda: build(architecture(**DROPOUT)),
}

# A trainer of the user, whose network looks at its data.
LOOKING_TRAINER = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

class Looking(nn.Module):
    def forward(self, x):
        LOOK

class nnUNetTrainerLooking(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(plans_manager, configuration_manager, inputs, outputs, enable_deep_supervision=True):
        return Looking()
"""


class Calls(nn.Module):
    """A network that computes with one weight, as its function says."""

    def __init__(self, function) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


class Switched(nn.Module):
    """A network of which deep supervision saves another map."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Conv2d(1, 1, 1)
        self.decoder.deep_supervision = False

    def forward(self, x: Tensor) -> list[Tensor]:
        output = self.decoder(x)
        return [output, output.exp()] if self.decoder.deep_supervision else [output]


@pytest.fixture
def model(tmp_path: Path) -> TrainedModel:
    model = begin(tmp_path)
    write_checkpoint(model)
    return model


# Activations


def test_three_layers_save_the_image_and_the_map_between_the_convolutions() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 1))
    # ReLU saves its output, which is also what the second convolution saves of its input.
    assert activation_bytes(network, (1, 1, 8, 8)) == FLOAT * (64 + 2 * 64)


def test_normalisation_saves_its_input_and_two_statistics_for_each_channel() -> None:
    # Running averages and weights are there anyway.
    assert activation_bytes(nn.BatchNorm2d(2), (3, 2, 8, 8)) == FLOAT * (3 * 2 * 64 + 2 * 2)


def test_dynamic_convolution_saves_features_and_kernels_and_nothing_else() -> None:
    features = torch.randn(1, 8, 16, 16)
    network = Calls(lambda kernels, weight: dynamic_conv2d(features * weight, kernels * weight))
    # The weight meets two tensors that are not trained and are saved themselves; then come both products.
    expected = 2 * FLOAT * (features.numel() + 9 * 256)
    assert saved_bytes(network, torch.randn(1, 1, 9, 16, 16)) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_are_those_that_real_tensors_have(name: str) -> None:
    network = NETWORKS[name]().train()
    measured = saved_bytes(network, torch.randn(2, 3, 64, 64))
    assert activation_bytes(network, (2, 3, 64, 64)) == measured > 0


def test_activations_grow_with_the_batch() -> None:
    two, four = (activation_bytes(stock(), (batch, 3, 64, 64)) for batch in (2, 4))
    assert four == 2 * two


def test_activations_are_computed_for_batches_that_no_memory_holds() -> None:
    assert activation_bytes(grafted(), (10**6, 3, 512, 512)) > 10**14


def test_memory_that_is_saved_twice_or_in_part_counts_once_and_whole() -> None:
    network = Calls(lambda x, weight: (x[:, :1] * weight) + (x[:, 1:] * weight).sum())
    assert saved_bytes(network, torch.randn(1, 3, 8, 8)) == FLOAT * 3 * 64


def test_what_no_output_depends_on_is_not_kept() -> None:
    used = Calls(lambda x, weight: x * weight)
    forgetful = Calls(lambda x, weight: [(x * weight).exp(), x * weight][1])
    images = torch.randn(1, 1, 8, 8)
    assert saved_bytes(forgetful, images) == saved_bytes(used, images)


def test_activations_are_those_of_training() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout()).eval()
    # Dropout saves what it drops.
    assert activation_bytes(network, (1, 1, 8, 8)) > saved_bytes(network.eval(), torch.empty(1, 1, 8, 8, device="meta"))


def test_deep_supervision_is_on() -> None:
    network = Switched()
    without = saved_bytes(network, torch.randn(1, 1, 8, 8))
    assert activation_bytes(network, (1, 1, 8, 8)) == without + FLOAT * 64


# Trained models


def test_parameters_are_those_of_the_network_not_the_entries_of_its_checkpoint(model: TrainedModel) -> None:
    network = build(architecture(**THREE_STAGES))
    expected = sum(parameter.numel() for parameter in network.parameters())
    assert training_cost(model, ["0"]).parameters == expected
    assert sum(value.numel() for value in network.state_dict().values()) > expected


def test_frozen_heads_count_as_parameters() -> None:
    assert parameter_count(grafted(deep_supervision=False)) == parameter_count(grafted())


def test_activations_are_those_of_the_patch_and_batch_of_the_plans(model: TrainedModel) -> None:
    expected = activation_bytes(build(architecture(**THREE_STAGES)), (2, 3, 64, 64))
    assert training_cost(model, ["0"]).activation_bytes == expected


def test_a_model_of_sgdc_is_rebuilt_from_its_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(TRAINER_FOLDER))
    plans = sgdc_plans()
    model = begin(tmp_path, "nnUNetTrainerSGDC", plans)
    write_checkpoint(model)
    network = build(plans["configurations"]["2d"]["architecture"])
    cost = training_cost(model, ["0"])
    assert cost.parameters == parameter_count(network)
    assert cost.activation_bytes == activation_bytes(network, (2, 3, 64, 64))


def test_the_pause_of_a_continued_training_does_not_count(model: TrainedModel) -> None:
    assert training_cost(model, ["0"]).seconds == 9 + 11 + 10


def test_time_is_the_mean_over_folds(model: TrainedModel) -> None:
    write_checkpoint(model, "1", logging={"epoch_start_timestamps": [0.0], "epoch_end_timestamps": [40.0]})
    assert training_cost(model, ["0", "1"]).seconds == (30 + 40) / 2


def test_an_epoch_that_has_not_ended_does_not_count(model: TrainedModel) -> None:
    write_checkpoint(model, logging={"epoch_start_timestamps": [0.0, 50.0], "epoch_end_timestamps": [40.0]})
    assert training_cost(model, ["0"]).seconds == 40


@pytest.mark.parametrize("log", [None, {}, {"epoch_start_timestamps": [], "epoch_end_timestamps": []}])
def test_time_is_unknown_if_a_checkpoint_does_not_tell(model: TrainedModel, log: object) -> None:
    write_checkpoint(model, "1", logging=log)
    assert training_cost(model, ["0", "1"]).seconds is None


def test_nothing_of_what_nnunet_prints_is_passed_on(model: TrainedModel, capsys: pytest.CaptureFixture[str]) -> None:
    training_cost(model, ["0"])
    assert capsys.readouterr().out == ""


def test_a_compiled_predictor_is_looked_behind(model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = training_cost(model, ["0"])
    monkeypatch.setenv("nnUNet_compile", "true")
    assert training_cost(model, ["0"]) == plain


def test_a_damaged_checkpoint_is_named(model: TrainedModel) -> None:
    model.checkpoint("0").write_bytes(model.checkpoint("0").read_bytes()[:1000])
    with pytest.raises(EvaluationError, match=r"fold_0/checkpoint_final\.pth must be a checkpoint .* is damaged"):
        training_cost(model, ["0"])


def test_a_trainer_that_nnunet_does_not_find_is_named(tmp_path: Path) -> None:
    model = begin(tmp_path, "nnUNetTrainerLost")
    write_checkpoint(model)
    with pytest.raises(
        EvaluationError, match=r"Could not find requested nnunet trainer nnUNetTrainerLost .*extTrainer"
    ):
        training_cost(model, ["0"])


def test_a_checkpoint_of_other_plans_is_refused(tmp_path: Path) -> None:
    model = begin(tmp_path)
    write_checkpoint(model, network_weights=stock().state_dict())
    with pytest.raises(EvaluationError, match=r"must rebuild the network .* restore its plans"):
        training_cost(model, ["0"])


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        ("return x * x.max().item()", r"RuntimeError: .*item\(\)[^.]*"),
        ("return x * x.numpy().max()", "TypeError: .*numpy[^.]*"),
        ("return x[x > 0]", r"NotImplementedError: .*nonzero\(\)[^.]*"),
        ("raise AssertionError", "AssertionError"),
    ],
)
def test_activations_of_a_network_that_cannot_do_without_data_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str, reason: str
) -> None:
    folder = tmp_path / "trainers"
    folder.mkdir()
    (folder / "looking.py").write_text(LOOKING_TRAINER.replace("LOOK", look))
    monkeypatch.setenv(VARIABLE, str(folder))
    model = begin(tmp_path, "nnUNetTrainerLooking")
    write_checkpoint(model, network_weights={})
    cost = training_cost(model, ["0"])
    assert (cost.parameters, cost.seconds, cost.activation_bytes) == (0, 30, None)
    sentence = "The activations of nnUNetTrainerLooking are unknown: its network does not run on PyTorch's meta device"
    assert re.fullmatch(rf"{sentence} \({reason}\)\.", cost.note)
