"""Handing the trainings of a study to whoever runs them, and taking them back."""

from collections.abc import Sequence

import submitit

from nnunet_sgdc.study.allotment import STOP
from nnunet_sgdc.study.folders import study_folder
from nnunet_sgdc.study.local_workers import start_workers
from nnunet_sgdc.study.slurm_jobs import alive_in_slurm, cancel_in_slurm, note_submitted, submit_array, submitted
from nnunet_sgdc.study.study_file import LocalExecutor, SlurmExecutor, StudyFile
from nnunet_sgdc.study.training_job import TrainingJob

JOBS = "jobs"


def submit(study: StudyFile, jobs: Sequence[TrainingJob]) -> list[submitit.Job[None]]:
    """Start trainings; the folder of the study must be there.

    Args:
        study: The study.
        jobs: Those of its trainings that are to be done, in their order.

    Returns:
        Jobs of submitit: one for each training on Slurm, one for each worker here.

    Raises:
        StudyError: What is asked for is not there, or Slurm does not take the jobs.
    """
    folder = study_folder(study)
    (folder / STOP).unlink(missing_ok=True)
    match study.executor:
        case LocalExecutor() as local:
            return start_workers(study, local, jobs, folder / JOBS)
        case SlurmExecutor() as slurm:
            taken = submit_array(study, slurm, jobs, folder / JOBS)
            note_submitted(folder, jobs, taken)
            return taken


def stop(study: StudyFile) -> str:
    """End all trainings of a study that run or wait, whoever started them.

    Args:
        study: The study.

    Returns:
        What was done, for the reader.

    Raises:
        StudyError: Slurm does not do it.
    """
    folder = study_folder(study)
    if not folder.is_dir():
        return "nothing to cancel: the study was never run"
    (folder / STOP).touch()
    queued = sorted(waiting_in_slurm(study).values())
    if queued:
        cancel_in_slurm(queued)
        return f"{len(queued)} jobs of Slurm cancelled; 'run' goes on from their last checkpoints"
    return "running trainings end within seconds; 'run' goes on from their last checkpoints"


def waiting_in_slurm(study: StudyFile) -> dict[str, str]:
    """Trainings that Slurm has been given and has not ended: Slurm's numbers by their folder.

    Args:
        study: The study.

    Raises:
        StudyError: Slurm does not answer.
    """
    known = submitted(study_folder(study))
    alive = alive_in_slurm() if known else set()
    return {training: number for training, number in known.items() if number in alive}
