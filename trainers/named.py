"""Trainers whose names say how long they train and from which seed, for every trainer that nnU-Net finds.

    nnUNetTrainerSGDC_300epochs
    nnUNetTrainerBoundary_20epochs_50iterations_seed1
    nnUNetTrainer_seed2

Nobody has to write such classes: `named_trainer` makes them when nnU-Net asks for them, in training and in prediction.
"""

import random
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from nnunet_sgdc.schedule import Schedule, split_name
from nnunet_sgdc.trainers.resumable import ResumableTrainer

# nnU-Net validates 50 batches after every 250.
ITERATIONS_PER_VALIDATION = 5


class ScheduledTrainer(ResumableTrainer):
    """The mixin of named trainers.

    A seed fixes the weights at the start and, from epoch to epoch, all random numbers of the training process. With
    `nnUNet_n_proc_DA=0` nnU-Net draws and augments batches in that process, and a training on a CPU repeats to the last
    bit, even if it was interrupted and continued. With workers, nnU-Net's default, it seeds these from the clock on
    purpose, and what they draw differs. On CUDA the fastest algorithms, which nnU-Net has PyTorch choose, differ in the
    last bits from run to run as well.
    """

    schedule: ClassVar[Schedule]

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008  nnU-Net's own signature
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        epochs, iterations = self.schedule.epochs, self.schedule.iterations
        self._set_length(
            epochs or self.num_epochs,
            iterations or self.num_iterations_per_epoch,
            max(1, iterations // ITERATIONS_PER_VALIDATION) if iterations else self.num_val_iterations_per_epoch,
        )

    def initialize(self) -> None:
        """Build the network from weights that the seed decides."""
        self._seed(0)
        super().initialize()

    def on_epoch_start(self) -> None:
        """Give every epoch random numbers of its own, whether the training was interrupted before it or not."""
        self._seed(1, self.current_epoch, self.local_rank)
        super().on_epoch_start()

    def _seed(self, *place: int) -> None:
        if self.schedule.seed is None:
            return
        state = int(np.random.SeedSequence([self.schedule.seed, *place]).generate_state(1)[0])
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)


@cache
def named_trainer(name: str) -> type[Any] | None:
    """Make the trainer that a name describes.

    Args:
        name: Name of a trainer followed by `_<n>epochs`, `_<n>iterations` and `_seed<n>`, at least one of them and in
            this order.

    Returns:
        The class, each time the same; None if the name says nothing of this kind, or nnU-Net finds no such trainer.
    """
    base, schedule = split_name(name)
    if schedule == Schedule():
        return None
    try:
        kind = recursive_find_trainer_class_by_name(base)
    except RuntimeError:
        return None
    described = {"schedule": schedule, "__module__": "nnunet_sgdc.trainers", "__doc__": f"{base}{schedule}."}
    return type(name, (ScheduledTrainer, kind), described)
