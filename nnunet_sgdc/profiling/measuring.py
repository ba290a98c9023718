"""What trainers cost on a device, measured: time of a training step and of a prediction, and peak memory on CUDA."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.backends import cudnn
from tqdm import tqdm

from nnunet_sgdc.profiling.batch import random_batch
from nnunet_sgdc.profiling.device import wait_for
from nnunet_sgdc.profiling.memory import within_memory
from nnunet_sgdc.profiling.timing import WARM_UP, medians_in_turn


@dataclass(frozen=True)
class Measurements:
    """Numbers of one trainer, None where the memory was too small.

    Attributes:
        step_seconds: Median time of a training step.
        prediction_seconds: Median time of one forward pass of one patch, without mirroring.
        peak_bytes: Largest memory that PyTorch held on CUDA for the trainer and a step of it; None elsewhere.
    """

    step_seconds: float | None
    prediction_seconds: float | None
    peak_bytes: int | None


@dataclass(frozen=True)
class Warm:
    """A trainer that has made its first steps.

    Attributes:
        trainer: The trainer.
        batch: What it trains on.
    """

    trainer: Any
    batch: dict[str, Any]

    def step(self) -> None:
        """Do forward pass, loss, backward pass and step of the optimizer."""
        self.trainer.train_step(self.batch)

    def predict(self) -> Tensor:
        """Predict one patch as `nnUNetv2_predict` does, which compiles only when it is told to."""
        network = getattr(self.trainer.network, "_orig_mod", self.trainer.network)
        is_cuda = self.trainer.device.type == "cuda"
        with torch.inference_mode(), torch.autocast("cuda") if is_cuda else nullcontext():
            output: Tensor = network(self.batch["data"][:1])
        return output

    def train_mode(self, enabled: bool) -> None:
        """Switch between training and prediction."""
        self.trainer.set_deep_supervision_enabled(enabled and self.trainer.enable_deep_supervision)
        self.trainer.network.train(enabled)


def measure(makers: Mapping[str, Callable[[], Any]], device: torch.device, repetitions: int) -> dict[str, Measurements]:
    """Measure trainers in turn.

    Args:
        makers: Functions that make the initialised trainers on the device, by name.
        device: Where to measure.
        repetitions: How often each time is taken.
    """
    # As nnU-Net does before it trains.
    cudnn.benchmark, cudnn.deterministic = True, False
    warmed = {name: within_memory(partial(_warm_up, make)) for name, make in tqdm(makers.items(), desc="first steps")}
    peaks = {name: found[1] for name, found in warmed.items() if found}
    warm = {name: found[0] for name, found in warmed.items() if found}
    time = partial(medians_in_turn, repetitions=repetitions, finish=partial(wait_for, device))
    steps = time({name: one.step for name, one in warm.items()}, what="training steps")
    for one in warm.values():
        one.train_mode(False)
    predictions = time({name: one.predict for name, one in warm.items()}, what="predictions")
    return {name: Measurements(steps.get(name), predictions.get(name), peaks.get(name)) for name in makers}


def _warm_up(make: Callable[[], Any]) -> tuple[Warm, int | None]:
    """A trainer after its first steps, and the peak of the memory of the next."""
    # What the trainers before this one hold.
    held = torch.cuda.memory_allocated()
    trainer = make()
    warm = Warm(trainer, random_batch(trainer))
    warm.train_mode(True)
    for _ in range(WARM_UP):
        warm.step()
    if trainer.device.type != "cuda":
        return warm, None
    torch.cuda.reset_peak_memory_stats()
    warm.step()
    return warm, torch.cuda.max_memory_allocated() - held
