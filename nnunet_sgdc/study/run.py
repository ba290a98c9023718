"""Running a study: prepare what is missing, hand over what is not done, and watch."""

import time
from collections.abc import Sequence

import submitit
from rich.console import Console
from rich.live import Live

from nnunet_sgdc.study.claim import only_one
from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.estimate import seconds_by_experience
from nnunet_sgdc.study.execution import submit
from nnunet_sgdc.study.folders import study_folder
from nnunet_sgdc.study.job_record import read_record
from nnunet_sgdc.study.job_state import DONE, FAILED, RUNNING, WAITING, plans_mismatch
from nnunet_sgdc.study.preparation import check_trainers, preparation, prepare
from nnunet_sgdc.study.queue_order import longest_first
from nnunet_sgdc.study.status_table import StudyState, read_state, status_table
from nnunet_sgdc.study.study_file import LocalExecutor, StudyFile
from nnunet_sgdc.study.training_job import TrainingJob

REFRESH_SECONDS = 2
# Each look at a cluster is a question to a Slurm that serves many.
CLUSTER_REFRESH_SECONDS = 30
LOCK = "submission.lock"


def run_study(study: StudyFile, console: Console, *, detach: bool = False) -> StudyState:
    """Do what is missing of a study; what is done, or in the hands of others, is left alone.

    Args:
        study: The study.
        console: Where the live table goes.
        detach: Whether to return as soon as the trainings are handed over.

    Returns:
        How the study stands at the end.

    Raises:
        StudyError: Something that a training needs is missing and cannot be made, or trainings failed.
        OSError: A file cannot be read or written.
    """
    check_trainers(study)
    folder = study_folder(study)
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / LOCK):
        prepare(study, preparation(study), folder)
        handed = _hand_over(study)
    if not detach:
        _watch(study, handed, console)
    state = read_state(study)
    failed = state.of_kind(FAILED)
    if failed and not detach:
        raise StudyError(
            f"{len(failed)} of {len(state.jobs)} trainings failed, the first of them {failed[0]}: see "
            "'nnunet_sgdc-study status', put that right, and run again"
        )
    return state


def _hand_over(study: StudyFile) -> list[submitit.Job[None]]:
    state = read_state(study)
    # What seems to run may have lost its machine; workers leave alone what really runs.
    jobs = [job for job in state.of_kind(WAITING, FAILED, RUNNING) if str(job.folder) not in state.queued]
    for job in jobs:
        _forget_failure(job)
    ready = longest_first(jobs, seconds_by_experience(state.jobs))
    return submit(study, ready) if ready else []


def _forget_failure(job: TrainingJob) -> None:
    """Have a training tried again that failed earlier."""
    record = read_record(job.folder)
    if record and record.state == "failed" and not plans_mismatch(job):
        record.ended("interrupted").write(job.folder)


def _watch(study: StudyFile, handed: Sequence[submitit.Job[None]], console: Console) -> None:
    """Show the table until everything that was handed over has ended, here or by others."""
    pause = REFRESH_SECONDS if isinstance(study.executor, LocalExecutor) else CLUSTER_REFRESH_SECONDS
    state = read_state(study)
    with Live(status_table(study, state), console=console, auto_refresh=False) as live:
        while not _is_over(state, handed):
            time.sleep(pause)
            state = read_state(study)
            live.update(status_table(study, state), refresh=True)


def _is_over(state: StudyState, handed: Sequence[submitit.Job[None]]) -> bool:
    if len(state.of_kind(DONE, FAILED)) == len(state.jobs):
        return True
    return all(map(_has_ended, handed)) and not state.queued


def _has_ended(job: submitit.Job[None]) -> bool:
    # Slurm is asked for all of its jobs at once, see StudyState.queued.
    return not isinstance(job, submitit.LocalJob) or job.done()
