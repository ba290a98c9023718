"""Trainings under Slurm: each is one task of an array job, and Slurm decides when and where it runs."""

import getpass
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError

from nnunet_sgdc.study.allotment import Allotment
from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.study_file import SlurmExecutor, StudyFile
from nnunet_sgdc.study.training_job import TrainingJob

SUBMITTED = "submitted.json"


def submit_array(
    study: StudyFile, slurm: SlurmExecutor, jobs: Sequence[TrainingJob], folder: Path
) -> list[submitit.Job[None]]:
    """Give trainings to Slurm.

    Args:
        study: The study.
        slurm: Options of its executor.
        jobs: Trainings, in the order in which they are to begin.
        folder: Where submitit keeps its files.

    Raises:
        StudyError: Slurm is not there or does not take them.
    """
    training = Allotment(slurm.device, slurm.cpus, max(1, slurm.gpus)).training(study)
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=slurm.requeues)
        executor.update_parameters(**_parameters(study, slurm))
        return list(executor.map_array(training, [[job] for job in jobs]))
    except (RuntimeError, FailedJobError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"Slurm must take the jobs, but does not ({reason}): check executor") from error


def note_submitted(folder: Path, jobs: Sequence[TrainingJob], taken: Sequence[submitit.Job[None]]) -> None:
    """Keep Slurm's numbers of trainings, so that nobody gives them to it twice.

    Args:
        folder: The folder of the study.
        jobs: Trainings.
        taken: What Slurm has made of them.
    """
    numbers = {str(job.folder): slurm.job_id for job, slurm in zip(jobs, taken, strict=True)}
    partial = folder / f"{SUBMITTED}.partial"
    partial.write_text(json.dumps({**submitted(folder), **numbers}, indent=1), encoding="utf-8")
    os.replace(partial, folder / SUBMITTED)


def submitted(folder: Path) -> dict[str, str]:
    """Slurm's numbers of all trainings that were ever given to it, by their folder.

    Args:
        folder: The folder of the study.
    """
    try:
        numbers: dict[str, str] = json.loads((folder / SUBMITTED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return numbers


def alive_in_slurm() -> set[str]:
    """Numbers of the user's jobs that wait or run, tasks of arrays as in `12_3`; none where there is no Slurm.

    Raises:
        StudyError: Slurm does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        return set()
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise StudyError(f"squeue must tell which jobs there are, but failed ({reason}): try again") from error
    return set(listing.stdout.split())


def cancel_in_slurm(numbers: Sequence[str]) -> None:
    """Cancel jobs.

    Raises:
        StudyError: Slurm does not do it.
    """
    finished = subprocess.run(["scancel", *numbers], capture_output=True, text=True)
    if finished.returncode:
        reason = " ".join(finished.stderr.split())
        raise StudyError(f"scancel must end the jobs, but failed ({reason}): try again")


def _parameters(study: StudyFile, slurm: SlurmExecutor) -> dict[str, Any]:
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
