"""Trainings on this machine: a worker for each GPU, or for a share of the processors, takes one after the other.

submitit starts the workers and would start everything else at once as well, so it is given no more than these.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import submitit

from nnunet_sgdc.study.allotment import VISIBLE, Allotment
from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.study_file import LocalExecutor, StudyFile
from nnunet_sgdc.study.training_job import TrainingJob

MINUTES_OF_A_YEAR = 365 * 24 * 60


def allotments(local: LocalExecutor) -> list[Allotment]:
    """What every worker on this machine is given.

    Args:
        local: Options of the executor.

    Raises:
        StudyError: A GPU is asked for that is not there.
    """
    import torch  # takes seconds

    cpus, count = os.cpu_count() or 1, torch.cuda.device_count() if local.device in (None, "cuda") else 0
    gpus = range(count) if local.gpus is None else local.gpus
    missing = [gpu for gpu in gpus if gpu >= count]
    if missing or (local.device == "cuda" and not gpus):
        raise StudyError(
            f"executor.gpus must be among the {count} of this machine, got {missing or 'none'}: change it, or train on "
            "another device"
        )
    workers = len(gpus) or local.workers
    share = max(1, cpus // workers)
    if gpus:
        return [Allotment("cuda", share, visible=_visible(gpu)) for gpu in gpus]
    return [Allotment(local.device or "cpu", share)] * workers


def start_workers(
    study: StudyFile, local: LocalExecutor, jobs: Sequence[TrainingJob], folder: Path
) -> list[submitit.Job[None]]:
    """Start workers, which outlive this process.

    Args:
        study: The study.
        local: Options of its executor.
        jobs: Trainings, in the order in which they are taken.
        folder: Where submitit keeps its files.

    Raises:
        StudyError: A GPU is asked for that is not there.
    """
    executor = submitit.LocalExecutor(folder)
    executor.update_parameters(timeout_min=MINUTES_OF_A_YEAR)
    given = allotments(local)[: len(jobs)]
    return [executor.submit(allotment.training(study), list(jobs)) for allotment in given]


def _visible(gpu: int) -> str:
    """What CUDA_VISIBLE_DEVICES calls a GPU; this process may itself be shown only some."""
    shown = os.environ.get(VISIBLE)
    return shown.split(",")[gpu].strip() if shown else str(gpu)
