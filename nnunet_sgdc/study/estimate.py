"""How long trainings take: told by those that have run, or measured on this machine before any has."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch

from nnunet_sgdc.profiling.device import find_device
from nnunet_sgdc.profiling.measuring import Measurements
from nnunet_sgdc.profiling.profile import profile
from nnunet_sgdc.profiling.setting import Setting, read_setting
from nnunet_sgdc.profiling.trainers import find_trainer, make_trainer, quarantine
from nnunet_sgdc.study.training_job import TrainingJob
from nnunet_sgdc.study.training_log import read_progress

REPETITIONS = 3


def seconds_by_experience(jobs: Sequence[TrainingJob]) -> dict[TrainingJob, float]:
    """What trainings of the same trainer on the same plans took, or what is left of those that have begun.

    Args:
        jobs: Trainings of a study, those that are done among them.

    Returns:
        Seconds by training, of those that are known.
    """
    progress = {job: read_progress(job.folder) for job in jobs}
    lengths = defaultdict(list)
    for job, come in progress.items():
        if come and come.epochs and come.epoch_seconds:
            lengths[_alike(job)].append((come.epochs, come.epoch_seconds))
    expected = {}
    for job, come in progress.items():
        if known := lengths.get(_alike(job)):
            epochs = median(count for count, _ in known) - (come.epoch if come else 0)
            expected[job] = max(0.0, epochs) * median(seconds for _, seconds in known)
    return expected


def seconds_by_profile(jobs: Sequence[TrainingJob], device: str | None, cpus: int) -> dict[TrainingJob, float]:
    """Measure a step of every trainer on every plans, on this machine, and multiply.

    Loading, augmentation and the validation at the end are not in it.

    Args:
        jobs: Trainings whose data sets are planned.
        device: Where to measure; None takes CUDA if there is any.
        cpus: Processors of one training; measured on those of all, each would seem faster than it is.

    Raises:
        ProfileError: A trainer cannot do with the plans.
    """
    alike: dict[Any, list[TrainingJob]] = defaultdict(list)
    for job in jobs:
        alike[job.dataset, job.plans, job.configuration].append(job)
    with _threads(min(cpus, os.cpu_count() or 1)):
        measured = [_measured(place, group, device) for place, group in alike.items()]
    return {job: seconds for known in measured for job, seconds in known.items()}


def _measured(place: tuple[str, str, str], jobs: Sequence[TrainingJob], device: str | None) -> dict[TrainingJob, float]:
    setting = read_setting(*place)
    trainers = list(dict.fromkeys(job.unseeded().trainer_name for job in jobs))
    costs = {cost.trainer: cost for cost in profile(setting, trainers, find_device(device), REPETITIONS).costs}
    seconds = {name: _seconds(name, costs[name].measurements, setting) for name in trainers}
    found = ((job, seconds[job.unseeded().trainer_name]) for job in jobs)
    return {job: known for job, known in found if known is not None}


def _seconds(trainer_name: str, measured: Measurements, setting: Setting) -> float | None:
    """Time of all epochs; None where the memory was too small."""
    if measured.step_seconds is None or measured.prediction_seconds is None:
        return None
    with quarantine(setting):
        trainer = make_trainer(find_trainer(trainer_name), setting, torch.device("cpu"), initialize=False)
    training = trainer.num_iterations_per_epoch * measured.step_seconds
    # A patch was measured, and a batch is validated.
    validation = trainer.num_val_iterations_per_epoch * measured.prediction_seconds * setting.configured.batch_size
    return float(trainer.num_epochs * (training + validation))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _alike(job: TrainingJob) -> tuple[str, str, str, str]:
    """What trainings of the same length have in common."""
    return job.dataset, job.plans, job.configuration, job.unseeded().trainer_name
