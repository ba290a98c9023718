"""The trainers without data: built from plans written by hand, fed with batches as nnU-Net's loader gives them."""

import inspect
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.logging.nnunet_logger import MetaLogger
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, distributed

from nnunet_sgdc import trainers
from nnunet_sgdc.networks import SGDCConfig, SGDCUNet, graft_plans, planned_options
from nnunet_sgdc.trainers import nnUNetTrainerSGDC, nnUNetTrainerSGDC_demo

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
RESIDUAL = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"

CLASSES = {"background": 0, "naevus": 1, "melanoma": 2}
REGIONS = {"background": 0, "lesion": [1, 2], "melanoma": 2}
LABELS = {
    "classes": CLASSES,
    "classes, some ignored": {**CLASSES, "ignore": 3},
    "regions": REGIONS,
    "regions, some ignored": {**REGIONS, "ignore": 3},
}
# Height and width of the patch; four times as much as its bottleneck.
SIDE = 32

MakeTrainer = Callable[..., nnUNetTrainer]
OfLabels = Callable[[str], nnUNetTrainer]


class nnUNetTrainerSGDC_k3(nnUNetTrainerSGDC):
    sgdc = SGDCConfig(kernel_size=3)


def stock_plans(backbone: str = PLAIN, patch_size: tuple[int, ...] = (SIDE, SIDE)) -> dict[str, Any]:
    blocks = "n_conv_per_stage" if backbone == PLAIN else "n_blocks_per_stage"
    options = {
        "n_stages": 4,
        "features_per_stage": [8, 16, 16, 32],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3]] * 4,
        "strides": [[1, 1], [2, 2], [2, 2], [2, 2]],
        blocks: [1, 1, 1, 1],
        "n_conv_per_stage_decoder": [1, 1, 1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    architecture = {
        "network_class_name": backbone,
        "arch_kwargs": options,
        "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
    }
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "batch_size": 2,
        "patch_size": list(patch_size),
        "batch_dice": True,
        "architecture": architecture,
    }
    return {
        "dataset_name": "Dataset001_Test",
        "plans_name": "nnUNetPlans",
        "label_manager": "LabelManager",
        "configurations": {"2d": configuration},
        "continue_training": False,
    }


@pytest.fixture
def make_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeTrainer:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    # nnU-Net's own picture takes a second to draw.
    monkeypatch.setattr(MetaLogger, "plot_progress_png", lambda *arguments: None)
    preprocessed = tmp_path / "preprocessed" / "Dataset001_Test" / "nnUNetPlans_2d"
    preprocessed.mkdir(parents=True)
    (preprocessed / "case.b2nd").touch()

    def make(
        trainer: type[nnUNetTrainer] = nnUNetTrainerSGDC,
        labels: dict[str, Any] = CLASSES,
        plans: dict[str, Any] | None = None,
        device: str = "cpu",
    ) -> nnUNetTrainer:
        dataset = {"channel_names": {"0": "R"}, "labels": labels, "file_ending": ".png", "regions_class_order": [1, 2]}
        return trainer(deepcopy(plans or stock_plans()), "2d", 0, dataset, torch.device(device))

    return make


@pytest.fixture
def initialized(make_trainer: MakeTrainer) -> nnUNetTrainer:
    trainer = make_trainer()
    trainer.initialize()
    return trainer


@pytest.fixture(params=[True, False], ids=["deep", "shallow"])
def of_labels(make_trainer: MakeTrainer, request: pytest.FixtureRequest) -> OfLabels:
    """Trainers by their kind of labels, with and without deep supervision."""

    def make(kind: str) -> nnUNetTrainer:
        trainer = make_trainer(labels=LABELS[kind])
        trainer.enable_deep_supervision = request.param
        trainer.initialize()
        return trainer

    return make


def label_map(trainer: nnUNetTrainer) -> Tensor:
    """Squares of every label there is, of shape (2, 1, SIDE, SIDE)."""
    labels = trainer.label_manager
    values = [*labels.all_labels, labels.ignore_label] if labels.has_ignore_label else labels.all_labels
    squares = torch.tensor(values, dtype=torch.int16)[torch.arange(32) % len(values)].reshape(2, 1, 4, 4)
    return squares.repeat_interleave(SIDE // 4, 2).repeat_interleave(SIDE // 4, 3)


def targets(trainer: nnUNetTrainer, segmentation: Tensor) -> Tensor | list[Tensor]:
    """What nnU-Net's own transforms make of segmentations; a list of all scales under deep supervision."""
    labels = trainer.label_manager
    transform = trainer.get_validation_transforms(
        trainer._get_deep_supervision_scales(), regions=labels.all_regions, ignore_label=labels.ignore_label
    )
    samples = [transform(segmentation=case)["segmentation"] for case in segmentation]
    if trainer.enable_deep_supervision:
        return [torch.stack(scale) for scale in zip(*samples, strict=True)]
    return torch.stack(samples)


def batch_for(trainer: nnUNetTrainer) -> dict[str, Any]:
    return {"data": torch.randn(2, 1, SIDE, SIDE), "target": targets(trainer, label_map(trainer))}


def train_one_epoch(trainer: nnUNetTrainer) -> None:
    """What nnU-Net's loop does in an epoch of one step."""
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    trainer.on_train_epoch_end([trainer.train_step(batch_for(trainer))])
    with torch.no_grad():
        trainer.on_validation_epoch_start()
        trainer.on_validation_epoch_end([trainer.validation_step(batch_for(trainer))])
    trainer.on_epoch_end()


def logged(trainer: nnUNetTrainer, key: str) -> list[Any]:
    values: list[Any] = trainer.logger.get_value(key, None)
    return values


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def test_without_a_length_in_its_name_a_training_is_as_long_as_nnunets(make_trainer: MakeTrainer) -> None:
    ours, stock = make_trainer(), make_trainer(nnUNetTrainer)
    for length in ("num_epochs", "num_iterations_per_epoch", "num_val_iterations_per_epoch", "save_every"):
        assert getattr(ours, length) == getattr(stock, length)


def test_the_training_of_the_demonstration_has_short_epochs(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(nnUNetTrainerSGDC_demo)
    lengths = trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch
    assert lengths == (10, 25, 5)


@pytest.mark.parametrize(("length", "every"), [("1epoch", 1), ("5epochs", 1), ("100epochs", 10), ("500epochs", 50)])
def test_a_short_training_saves_a_checkpoint_every_tenth_of_it(
    make_trainer: MakeTrainer, length: str, every: int
) -> None:
    assert make_trainer(getattr(trainers, f"nnUNetTrainerSGDC_{length}")).save_every == every


@pytest.mark.parametrize("name", trainers.__all__)
def test_nnunet_calls_a_trainer_like_its_own(name: str) -> None:
    trainer = getattr(trainers, name)
    assert parameters_of(trainer) == parameters_of(nnUNetTrainer)
    assert parameters_of(trainer.build_network_architecture) == parameters_of(nnUNetTrainer.build_network_architecture)


def test_a_configuration_in_3d_is_refused_in_one_sentence(make_trainer: MakeTrainer) -> None:
    with pytest.raises(
        ValueError, match=r"^SGDC is for 2D configurations, .*\[8, 32, 32\]; train the 2d configuration$"
    ):
        make_trainer(plans=stock_plans(patch_size=(8, SIDE, SIDE)))


@pytest.mark.parametrize("backbone", [PLAIN, RESIDUAL])
def test_the_class_grafts_sgdc_onto_the_network_of_stock_plans(backbone: str) -> None:
    plans = PlansManager(stock_plans(backbone))
    network = nnUNetTrainerSGDC_k3.build_network_architecture(plans, plans.get_configuration("2d"), 1, 3, False)
    assert isinstance(network, SGDCUNet)
    assert network.backbone.__name__ == backbone.rpartition(".")[2]
    assert network.config == SGDCConfig(kernel_size=3)


def test_the_configuration_in_the_plans_wins_over_that_of_the_class(make_trainer: MakeTrainer) -> None:
    plans = make_trainer(nnUNetTrainerSGDC_k3).plans_manager
    network = nnUNetTrainerSGDC.build_network_architecture(plans, plans.get_configuration("2d"), 1, 3, False)
    assert network.config == SGDCConfig(kernel_size=3)


def test_options_that_a_trainer_chose_are_not_overruled_in_silence(make_trainer: MakeTrainer) -> None:
    plans = graft_plans(stock_plans(), "2d", SGDCConfig(kernel_size=5))
    with pytest.raises(ValueError, match=r"k3\.sgdc must be what the plans nnUNetPlans hold, .*kernel_size=5"):
        make_trainer(nnUNetTrainerSGDC_k3, plans=plans)


def test_plans_with_the_options_of_the_trainer_are_taken(make_trainer: MakeTrainer) -> None:
    plans = graft_plans(stock_plans(), "2d", nnUNetTrainerSGDC_k3.sgdc)
    trainer = make_trainer(nnUNetTrainerSGDC_k3, plans=plans)
    assert planned_options(trainer.plans_manager.plans, "2d") == nnUNetTrainerSGDC_k3.sgdc


@pytest.mark.parametrize("backbone", [PLAIN, RESIDUAL])
def test_stock_weights_are_taken_as_pretrained_ones(make_trainer: MakeTrainer, tmp_path: Path, backbone: str) -> None:
    stock, ours = (make_trainer(trainer, plans=stock_plans(backbone)) for trainer in (nnUNetTrainer, nnUNetTrainerSGDC))
    stock.initialize()
    ours.initialize()
    torch.save({"network_weights": stock.network.state_dict()}, tmp_path / "stock.pth")
    load_pretrained_weights(ours.network, tmp_path / "stock.pth")
    torch.testing.assert_close(ours.network.encoder.state_dict(), stock.network.encoder.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", LABELS)
def test_a_training_step_learns_from_segmentation_and_boundary(of_labels: OfLabels, kind: str) -> None:
    trainer = of_labels(kind)
    before = deepcopy(trainer.network.state_dict())
    step = trainer.train_step(batch_for(trainer))
    assert np.isfinite(step["loss"])
    np.testing.assert_allclose(step["loss"], step["segmentation"] + 3 * step["boundary"], rtol=1e-5)
    moved = {
        name.split(".")[0] for name, weight in trainer.network.state_dict().items() if (weight != before[name]).any()
    }
    assert moved == {"encoder", "sge", "decoder"}


@pytest.mark.parametrize("kind", LABELS)
def test_a_validation_step_counts_every_class_or_region(of_labels: OfLabels, kind: str) -> None:
    trainer = of_labels(kind)
    trainer.network.eval()
    with torch.no_grad():
        step = trainer.validation_step(batch_for(trainer))
    assert step["tp_hard"].shape == (2,)
    assert np.isfinite(step["loss"])
    assert ("boundary" in step) == trainer.enable_deep_supervision


@pytest.mark.parametrize(("kind", "columns"), [("classes", slice(14, 18)), ("regions", slice(14, 16))])
def test_a_class_or_region_has_a_boundary_to_its_neighbour(of_labels: OfLabels, kind: str, columns: slice) -> None:
    trainer = of_labels(kind)
    segmentation = torch.ones(2, 1, SIDE, SIDE, dtype=torch.int16)
    segmentation[..., SIDE // 2 :] = 2
    logits = torch.full((2, 1, SIDE, SIDE), -20.0)
    logits[..., columns] = 20
    target = targets(trainer, segmentation)
    loss = trainer.loss.boundary(logits, target[0] if trainer.enable_deep_supervision else target)
    assert loss.item() == pytest.approx(-1)


@pytest.mark.parametrize("kind", [kind for kind in LABELS if "ignored" in kind])
def test_nothing_is_learnt_from_a_batch_that_is_all_ignored(of_labels: OfLabels, kind: str) -> None:
    trainer = of_labels(kind)
    outputs = [output.detach().requires_grad_() for output in trainer.network(torch.randn(2, 1, SIDE, SIDE))]
    ignored = torch.full((2, 1, SIDE, SIDE), 3, dtype=torch.int16)
    trainer.loss(outputs, targets(trainer, ignored)).backward()
    for output in outputs:
        assert output.grad is None or not output.grad.any()


def test_the_loss_is_finite_in_half_precision(initialized: nnUNetTrainer) -> None:
    batch = batch_for(initialized)
    with torch.autocast("cpu", torch.bfloat16):
        loss = initialized.loss(initialized.network(batch["data"]), batch["target"])
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(weight.grad.isfinite().all() for weight in initialized.network.parameters() if weight.grad is not None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("compiled", ["true", "false"])
def test_an_epoch_on_a_gpu_in_half_precision(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, compiled: str
) -> None:
    monkeypatch.setenv("nnUNet_compile", compiled)
    trainer = make_trainer(device="cuda")
    trainer.initialize()
    train_one_epoch(trainer)
    for key in ("train_losses", "train_boundary_losses", "val_losses", "val_boundary_losses"):
        assert np.isfinite(logged(trainer, key)).all()


def test_the_parts_of_the_loss_are_averaged_over_the_epoch(initialized: nnUNetTrainer) -> None:
    steps = [(1.0, 3.0), (3.0, 7.0)]
    outputs = [{"loss": np.array(9.0), "segmentation": np.array(s), "boundary": np.array(b)} for s, b in steps]
    initialized.on_train_epoch_end(outputs)
    assert logged(initialized, "train_segmentation_losses") == [2.0]
    assert logged(initialized, "train_boundary_losses") == [5.0]


def test_the_parts_of_the_loss_are_averaged_over_processes(
    initialized: nnUNetTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(everything: list[Any], mine: Any) -> None:
        everything[:] = [mine, [np.array(6.0)]]

    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_gather_object", gather)
    initialized.is_ddp = True
    assert initialized._mean_over_processes([np.array(1.0), np.array(2.0)]) == 3.0


def test_a_validation_without_boundary_logs_that_there_was_none(of_labels: OfLabels) -> None:
    trainer = of_labels("classes")
    train_one_epoch(trainer)
    (boundary,) = logged(trainer, "val_boundary_losses")
    assert np.isnan(boundary) != trainer.enable_deep_supervision


def test_everything_is_logged_once_per_epoch(initialized: nnUNetTrainer) -> None:
    for _ in range(2):
        train_one_epoch(initialized)
    assert {key: len(values) for key, values in initialized.logger.get_checkpoint().items() if len(values) != 2} == {}


def test_an_epoch_is_printed_and_drawn(initialized: nnUNetTrainer) -> None:
    train_one_epoch(initialized)
    log = Path(initialized.log_file).read_text()
    for line in ("train_loss parts: segmentation", "val_loss parts: segmentation", "LayerScale: stride 4: "):
        assert line in log
    # It starts at 1 and hardly moves in one epoch.
    assert float(log.split("LayerScale: stride 4: ")[1].split()[0].rstrip(",")) == pytest.approx(1, abs=0.05)
    assert (Path(initialized.output_folder) / "progress_sgdc.png").stat().st_size > 0


def test_the_network_is_found_behind_the_wrapper_of_torch_compile(initialized: nnUNetTrainer) -> None:
    network = initialized.network
    initialized.network = torch.compile(network)
    assert initialized.plain_network is network


def test_a_checkpoint_restores_weights_epoch_and_log(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first, second = make_trainer(), make_trainer()
    first.initialize()
    train_one_epoch(first)
    first.current_epoch -= 1  # nnU-Net saves before it counts.
    first.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    second.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    torch.testing.assert_close(second.network.state_dict(), first.network.state_dict(), rtol=0, atol=0)
    assert second.current_epoch == 1
    assert logged(second, "train_boundary_losses") == logged(first, "train_boundary_losses")


def test_a_trainer_goes_on_from_a_checkpoint(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first, second = make_trainer(), make_trainer()
    first.initialize()
    train_one_epoch(first)
    first.current_epoch -= 1
    first.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    second.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    train_one_epoch(second)
    assert len(logged(second, "layer_scales")) == 2


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    initialized: nnUNetTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(checkpoint: Any, file: str) -> None:
        Path(file).write_bytes(b"half")
        raise OSError("No space left on device")

    checkpoint = tmp_path / "checkpoint.pth"
    checkpoint.write_bytes(b"before")
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        initialized.save_checkpoint(str(checkpoint))
    assert checkpoint.read_bytes() == b"before"


@pytest.mark.parametrize("setting", [{"local_rank": 1}, {"disable_checkpointing": True}], ids=str)
def test_a_process_that_writes_no_checkpoint_leaves_a_partial_one_alone(
    initialized: nnUNetTrainer, tmp_path: Path, setting: dict[str, Any]
) -> None:
    vars(initialized).update(setting)
    (tmp_path / "checkpoint.pth.partial").write_bytes(b"half")
    initialized.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    assert [path.name for path in tmp_path.glob("checkpoint*")] == ["checkpoint.pth.partial"]
