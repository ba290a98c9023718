"""Half precision, long steps and repetition of the grafted network; oracles are float32 and the first run.

Bounds on the error of half precision are about twice what was measured over six seeds and both backbones.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trained_models import initialized_trainer
from unets import PLAIN, RESIDUAL, SMALL, grafted

from nnunet_sgdc.networks import SGDCUNet
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

pytestmark = pytest.mark.usefixtures("one_thread")

BACKBONES = [PLAIN, RESIDUAL]
HALF = [torch.float16, torch.bfloat16]
SIDE = 32
# Ten times nnU-Net's.
LARGE_LEARNING_RATE = 0.1


@pytest.fixture
def trainer(raw: Path) -> nnUNetTrainerSGDC:
    return initialized_trainer(nnUNetTrainerSGDC, raw.with_name("nnUNet_preprocessed"))


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Two threads, which could add in any order; operations known to depend on it raise an error."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def images(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side)


def loss(outputs: list[Tensor]) -> Tensor:
    return sum(output.float().square().mean() for output in outputs)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return ((actual.float() - expected).norm() / expected.norm()).item()


def under_autocast(function: Callable[..., Any], dtype: torch.dtype = torch.float16) -> Callable[..., Any]:
    return torch.autocast("cpu", dtype=dtype)(function)


def outputs_and_gradients(trainer: nnUNetTrainerSGDC, step: dict[str, Any]) -> list[Tensor]:
    outputs, weights = trainer.network(step["data"]), list(trainer.network.parameters())
    loss = trainer.loss(outputs, step["target"])
    return [*outputs, *torch.autograd.grad(loss, weights, materialize_grads=True)]


def layer_scale_gradients(network: SGDCUNet, outputs: list[Tensor]) -> list[Tensor]:
    scales = [weight for name, weight in network.named_parameters() if name.endswith("_scale")]
    # Scaled as GradScaler does, lest gradients vanish in float16.
    return [gradient / 2**16 for gradient in torch.autograd.grad(loss(outputs) * 2**16, scales)]


def batch(x: Tensor, foreground: bool = True) -> dict[str, Any]:
    """Images with a square each, as nnU-Net's loader gives them under deep supervision."""
    labels = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.int16)
    labels[..., 8:20, 8:24] = foreground
    return {"data": x, "target": [labels, labels[..., ::2, ::2]]}


def all_kinds_of_batches() -> Iterator[dict[str, Any]]:
    """One after the other: noise, one blank image, nothing but blank images, no foreground, neither of them."""
    blank = torch.zeros(2, 3, SIDE, SIDE)
    while True:
        yield batch(images(SIDE))
        yield batch(torch.cat([blank[:1], images(SIDE)[:1]]))
        yield batch(blank)
        yield batch(images(SIDE), foreground=False)
        yield batch(blank, foreground=False)


def all_finite(network: nn.Module) -> bool:
    return all(weight.isfinite().all() for weight in network.parameters())


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_autocast_costs_a_few_roundings(backbone: str, dtype: torch.dtype) -> None:
    network, x = grafted(backbone), images()
    errors = [relative_error(*pair) for pair in zip(under_autocast(network, dtype)(x), network(x), strict=True)]
    rounding = torch.finfo(dtype).eps
    assert max(errors) < 10 * rounding


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_autocast_gives_finite_gradients(backbone: str, dtype: torch.dtype) -> None:
    network = grafted(backbone)
    loss(under_autocast(network, dtype)(images())).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


@pytest.mark.parametrize("dtype", HALF)
def test_a_layer_scale_of_nearly_nothing_learns_in_half_precision(dtype: torch.dtype) -> None:
    network, x = grafted(config=replace(SMALL, layer_scale=1e-6)), images()
    expected = layer_scale_gradients(network, network(x))
    actual = layer_scale_gradients(network, under_autocast(network, dtype)(x))
    assert all(gradient.abs().sum() > 0 for gradient in actual)
    assert max(relative_error(*pair) for pair in zip(actual, expected, strict=True)) < 0.05


def test_a_training_in_half_precision_keeps_its_scale(trainer: nnUNetTrainerSGDC) -> None:
    trainer.network.forward, trainer.loss.forward = map(under_autocast, (trainer.network.forward, trainer.loss.forward))
    trainer.grad_scaler = torch.amp.GradScaler("cpu")
    for _ in range(20):
        trainer.train_step(batch(images(SIDE)))
    assert all_finite(trainer.network)
    assert trainer.grad_scaler.get_scale() >= 2**12


def test_long_steps_over_blank_images_and_missing_objects_stay_finite(trainer: nnUNetTrainerSGDC) -> None:
    trainer.optimizer.param_groups[0]["lr"] = LARGE_LEARNING_RATE
    losses = [trainer.train_step(step)["loss"] for step in islice(all_kinds_of_batches(), 200)]
    assert all(map(isfinite, losses))
    assert all_finite(trainer.network)


@pytest.mark.usefixtures("deterministic")
def test_two_runs_give_the_same_bits(trainer: nnUNetTrainerSGDC) -> None:
    step = batch(images(SIDE))
    first, second = (outputs_and_gradients(trainer, step) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
