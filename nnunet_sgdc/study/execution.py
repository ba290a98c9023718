"""Handing trainings to submitit, which starts them as processes of this machine or as jobs of Slurm.

On a cluster every training is one task of an array job, and Slurm decides when it runs. On one machine submitit starts
everything at once; there, a worker for each GPU takes one training after the other.
"""

import getpass
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import submitit

from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.study_file import LocalExecutor, SlurmExecutor, StudyFile
from nnunet_sgdc.study.training import Training
from nnunet_sgdc.study.training_job import TrainingJob, folder_named

JOBS, SUBMITTED, STOP = "jobs", "submitted.json", "stop"
MINUTES_OF_A_YEAR = 365 * 24 * 60
VISIBLE = "CUDA_VISIBLE_DEVICES"
# How many processes nnU-Net takes at most to augment, and to export predictions.
PROCESSES = {"nnUNet_n_proc_DA": 12, "nnUNet_def_n_proc": 8}


def study_folder(study: StudyFile) -> Path:
    """Where a study keeps what belongs to no single training, beside nnU-Net's results."""
    return folder_named("nnUNet_results") / f"study_{study.name}"


def submit(study: StudyFile, jobs: Sequence[TrainingJob]) -> list[submitit.Job[None]]:
    """Start trainings; the folder of the study must be there.

    Args:
        study: The study.
        jobs: Those of its trainings that are to be done, in their order.

    Returns:
        Jobs of submitit: one for each training on Slurm, one for each worker here.

    Raises:
        StudyError: Slurm is not there or does not take the jobs.
    """
    folder = study_folder(study)
    (folder / STOP).unlink(missing_ok=True)
    match study.executor:
        case LocalExecutor() as local:
            return _start_workers(study, local, jobs, folder)
        case SlurmExecutor() as slurm:
            return _submit_array(study, slurm, jobs, folder)


def stop(study: StudyFile) -> str:
    """End all trainings of a study that run or wait, whoever started them.

    Args:
        study: The study.

    Returns:
        What was done, for the reader.
    """
    folder = study_folder(study)
    if not folder.is_dir():
        return "nothing to cancel: the study was never run"
    (folder / STOP).touch()
    known = set(_submitted(folder).values())
    alive = sorted(known & alive_in_slurm()) if known else []
    if alive:
        subprocess.run(["scancel", *alive], check=True)
        return f"{len(alive)} jobs of Slurm cancelled; 'run' goes on from their last checkpoints"
    return "running trainings end within seconds; 'run' goes on from their last checkpoints"


def waiting_in_slurm(study: StudyFile) -> dict[str, str]:
    """Trainings that Slurm has already been given and has not ended: their folders and Slurm's numbers."""
    submitted = _submitted(study_folder(study))
    alive = alive_in_slurm() if submitted else set()
    return {training: number for training, number in submitted.items() if number in alive}


def alive_in_slurm() -> set[str]:
    """Numbers of the user's jobs that wait or run, tasks of arrays as in `12_3`; none where there is no Slurm."""
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        return set()
    except subprocess.CalledProcessError as error:
        raise StudyError(
            f"squeue must tell which jobs there are, but failed ({error.stderr.strip()}): try again"
        ) from error
    return set(listing.stdout.split())


def worker_devices(local: LocalExecutor) -> list[tuple[str, tuple[int, ...]]]:
    """Device and GPUs of every worker on this machine.

    Args:
        local: Options of the executor.

    Raises:
        StudyError: A GPU is asked for that is not there.
    """
    import torch

    count = torch.cuda.device_count() if local.device in (None, "cuda") else 0
    gpus = range(count) if local.gpus is None else local.gpus
    missing = [gpu for gpu in gpus if gpu >= count]
    if missing or (local.device == "cuda" and not gpus):
        raise StudyError(f"executor.gpus must be among the {count} of this machine, got {missing or 'none'}: change it")
    if gpus:
        return [("cuda", (gpu,)) for gpu in gpus]
    return [(local.device or "cpu", ())] * local.workers


def _start_workers(
    study: StudyFile, local: LocalExecutor, jobs: Sequence[TrainingJob], folder: Path
) -> list[submitit.Job[None]]:
    workers = worker_devices(local)[: len(jobs)]
    return [_start_worker(study, device, gpus, jobs, folder) for device, gpus in workers]


def _start_worker(
    study: StudyFile, device: str, gpus: tuple[int, ...], jobs: Sequence[TrainingJob], folder: Path
) -> submitit.Job[None]:
    executor = submitit.LocalExecutor(folder / JOBS)
    executor.update_parameters(timeout_min=MINUTES_OF_A_YEAR)
    training = _training(study, device, 1, folder, os.cpu_count() or 1)
    environment = {**training.environment, VISIBLE: ",".join(map(_visible, gpus))}
    return executor.submit(replace(training, environment=environment), list(jobs))


def _visible(gpu: int) -> str:
    """What CUDA_VISIBLE_DEVICES calls a GPU; this process may itself be shown only some."""
    shown = os.environ.get(VISIBLE)
    return shown.split(",")[gpu].strip() if shown else str(gpu)


def _submit_array(
    study: StudyFile, slurm: SlurmExecutor, jobs: Sequence[TrainingJob], folder: Path
) -> list[submitit.Job[None]]:
    try:
        executor = submitit.SlurmExecutor(folder / JOBS, max_num_timeout=slurm.requeues)
        executor.update_parameters(**_slurm_parameters(study, slurm))
        training = _training(study, slurm.device, slurm.gpus, folder, slurm.cpus)
        submitted: list[submitit.Job[None]] = executor.map_array(training, [[job] for job in jobs])
    except (RuntimeError, submitit.core.utils.FailedJobError) as error:
        raise StudyError(
            f"Slurm must take the jobs, but does not ({' '.join(str(error).split())}): check executor"
        ) from error
    numbers = {str(job.folder): taken.job_id for job, taken in zip(jobs, submitted, strict=True)}
    _write_submitted(folder, {**_submitted(folder), **numbers})
    return submitted


def _slurm_parameters(study: StudyFile, slurm: SlurmExecutor) -> dict[str, Any]:
    parameters = {
        "job_name": study.name,
        "time": max(1, round(slurm.hours * 60)),
        "partition": slurm.partition,
        "gpus_per_node": slurm.gpus or None,
        "cpus_per_task": slurm.cpus,
        "mem": f"{round(slurm.memory_gb * 1024)}MB" if slurm.memory_gb else None,
        "signal_delay_s": slurm.notice_seconds,
        "array_parallelism": slurm.parallel,
        "setup": list(slurm.setup) or None,
        # A node that fails, or a job of more importance, sends a training back into the queue.
        "additional_parameters": {"requeue": True, **slurm.options},
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _training(study: StudyFile, device: str, gpus: int, folder: Path, cpus: int) -> Training:
    # nnU-Net's own numbers do not know how many processors a training is given.
    usual = {name: str(min(most, cpus)) for name, most in PROCESSES.items() if name not in os.environ}
    given = {name: str(value) for name, value in study.environment.items()}
    return Training(device, gpus, study.retries, {**usual, **given}, folder / STOP)


def _submitted(folder: Path) -> dict[str, str]:
    """Slurm's numbers of the trainings that were given to it."""
    try:
        numbers: dict[str, str] = json.loads((folder / SUBMITTED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return numbers


def _write_submitted(folder: Path, numbers: dict[str, str]) -> None:
    partial = folder / f"{SUBMITTED}.partial"
    partial.write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    os.replace(partial, folder / SUBMITTED)
