"""Two processes train as one with both their batches would; the oracle is nnU-Net's training step in one process.

What SyncBatchNorm computes in training needs GPUs. Here it is held to what it must not change: names and evaluation.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close
from trained_models import initialized_trainer
from unets import THREE_STAGES, architecture, build

from nnunet_sgdc.losses import BoundarySupervisedLoss
from nnunet_sgdc.networks import SGDCConfig, SGDCUNet, graft_architecture
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

PROCESSES = 2
STEPS = 2
SIDE = 32
LABELS = {"background": 0, "naevus": 1, "melanoma": 2}


def make_trainer(preprocessed: Path, deep_supervision: bool) -> nnUNetTrainerSGDC:
    """The same weights whenever it is called."""
    torch.manual_seed(0)
    trainer = initialized_trainer(nnUNetTrainerSGDC, preprocessed, LABELS)
    trainer.enable_deep_supervision = deep_supervision
    trainer.set_deep_supervision_enabled(deep_supervision)
    return trainer


def loss_in_parallel(trainer: nnUNetTrainerSGDC) -> BoundarySupervisedLoss:
    trainer.is_ddp = True
    return trainer._build_loss()


def batch(deep_supervision: bool, cases: slice) -> dict[str, Any]:
    """Some of four cases, with different shares of every label."""
    torch.manual_seed(1)
    data, labels = torch.randn(4, 3, SIDE, SIDE), torch.zeros(4, 1, SIDE, SIDE, dtype=torch.int16)
    for case in range(4):
        labels[case, :, 4 : 10 + 4 * case, 6:20] = 1
        labels[case, :, 12:18, 4 : 24 - 4 * case] = 2
    scales = [labels[cases], labels[cases][..., ::2, ::2]]
    return {"data": data[cases], "target": scales if deep_supervision else scales[0]}


def train(trainer: nnUNetTrainerSGDC, network: SGDCUNet, step: dict[str, Any]) -> list[dict[str, Tensor]]:
    """Gradients of the first of two steps, and the weights after both."""
    trainer.train_step(step)
    gradients = {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.requires_grad}
    trainer.train_step(step)
    return [gradients, network.state_dict()]


def train_in_one_of_two_processes(rank: int, folder: Path) -> None:
    """Train with every second case, with deep supervision and without; keeps gradients and weights."""
    torch.set_num_threads(1)
    for deep_supervision in (True, False):
        mine = folder / f"{deep_supervision}{rank}"
        os.environ.update({f"nnUNet_{kind}": str(mine) for kind in ("raw", "preprocessed", "results")})
        # nnU-Net's trainer asks for a GPU as soon as there is a group.
        trainer = make_trainer(mine, deep_supervision)
        distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meeting{deep_supervision}", rank=rank, world_size=PROCESSES
        )
        network, trainer.loss = trainer.network, loss_in_parallel(trainer)
        # With two steps, as DDP complains in the second of weights that got no gradient in the first.
        trainer.network = DistributedDataParallel(network)
        torch.save(train(trainer, network, batch(deep_supervision, slice(rank, None, PROCESSES))), mine / "trained.pt")
        distributed.destroy_process_group()


@pytest.fixture(scope="module")
def trained_by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ddp")
    torch.multiprocessing.spawn(train_in_one_of_two_processes, (folder,), nprocs=PROCESSES)
    return folder


@pytest.fixture(params=[True, False], ids=["deep", "shallow"])
def deep_supervision(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def by_two(trained_by_two: Path, deep_supervision: bool) -> list[Any]:
    """What each of the processes has: gradients and weights."""
    return [torch.load(trained_by_two / f"{deep_supervision}{rank}" / "trained.pt") for rank in range(PROCESSES)]


@pytest.fixture
def by_one(raw: Path, deep_supervision: bool) -> list[dict[str, Tensor]]:
    """The same training with both halves of the batch in one."""
    trainer = make_trainer(raw.with_name("nnUNet_preprocessed"), deep_supervision)
    # In parallel, nnU-Net weighs the coarsest scale differently.
    trainer.loss = loss_in_parallel(trainer)
    for dice in (module for module in trainer.loss.modules() if hasattr(module, "batch_dice")):
        dice.ddp = False
    return train(trainer, trainer.network, batch(deep_supervision, slice(None)))


def assert_nearly_equal(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        # What normalisation takes away again, as biases in front of it, has a gradient of mere rounding errors.
        assert (actual[name] - tensor).norm() <= 1e-5 * tensor.norm() + 1e-7, name


def test_gradients_of_two_processes_are_those_of_one(by_two: list[Any], by_one: list[dict[str, Tensor]]) -> None:
    assert_nearly_equal(by_two[0][0], by_one[0])


def test_two_processes_train_the_weights_that_one_does(by_two: list[Any], by_one: list[dict[str, Tensor]]) -> None:
    assert_nearly_equal(by_two[0][1], by_one[1])


def test_both_processes_have_the_same_bits(by_two: list[Any]) -> None:
    assert_close(by_two[0], by_two[1], rtol=0, atol=0)


@pytest.fixture
def with_batch_norm() -> SGDCUNet:
    """A network of plans with BatchNorm, whose running statistics have seen a batch."""
    options = {"norm_op": "torch.nn.modules.batchnorm.BatchNorm2d", "norm_op_kwargs": {"eps": 1e-5, "affine": True}}
    described = architecture(**THREE_STAGES, **options)
    network = build(graft_architecture(described, SGDCConfig(strides=(2,), kernel_size=3)))
    network(torch.randn(2, 3, SIDE, SIDE))
    return network


def test_every_batch_norm_becomes_one_over_processes(with_batch_norm: SGDCUNet) -> None:
    before = [type(module) for module in with_batch_norm.modules()]
    after = [type(module) for module in nn.SyncBatchNorm.convert_sync_batchnorm(with_batch_norm).modules()]
    assert nn.BatchNorm2d not in after
    # What nnU-Net's blocks register under two names becomes two layers of the same weights.
    assert after.count(nn.SyncBatchNorm) >= before.count(nn.BatchNorm2d) > 9  # SGE has nine


def test_batch_norm_over_processes_keeps_names_and_predictions(with_batch_norm: SGDCUNet) -> None:
    network, x = with_batch_norm.eval(), torch.randn(2, 3, SIDE, SIDE)
    names, expected = list(network.state_dict()), network(x)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert list(converted.state_dict()) == names
    assert_close(converted(x), expected, rtol=0, atol=0)
