"""How a study stands, as a table for the terminal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nnunet_sgdc.study.execution import waiting_in_slurm
from nnunet_sgdc.study.job_state import DONE, FAILED, RUNNING, STATES, WAITING, JobState, job_state
from nnunet_sgdc.study.study_file import StudyFile
from nnunet_sgdc.study.training_job import TrainingJob, training_jobs
from nnunet_sgdc.study.training_log import Progress

COLOURS = {DONE: "green", RUNNING: "cyan", WAITING: "yellow", FAILED: "red"}


@dataclass(frozen=True)
class StudyState:
    """How all trainings of a study stand.

    Attributes:
        jobs: The trainings.
        states: How each of them stands.
        queued: Slurm's numbers of trainings that wait or run there, by their folder.
    """

    jobs: tuple[TrainingJob, ...]
    states: tuple[JobState, ...]
    queued: dict[str, str]

    def of_kind(self, *kinds: str) -> list[TrainingJob]:
        """The trainings that stand in one of these ways."""
        return [job for job, state in zip(self.jobs, self.states, strict=True) if state.kind in kinds]

    @property
    def missing(self) -> list[TrainingJob]:
        """The trainings that are not done."""
        return self.of_kind(RUNNING, WAITING, FAILED)


def read_state(study: StudyFile) -> StudyState:
    """Read how a study stands.

    Args:
        study: The study.

    Raises:
        StudyError: nnU-Net's folders are not set.
        OSError: A file cannot be read.
    """
    jobs = training_jobs(study)
    return StudyState(tuple(jobs), tuple(map(job_state, jobs)), waiting_in_slurm(study))


def status_table(study: StudyFile, state: StudyState) -> RenderableType:
    """A row for every training, and the counts.

    Args:
        study: The study.
        state: How it stands.
    """
    table = Table()
    for header in ("data set", "trainer", "seed", "fold", "state", "epoch", "left", ""):
        # Narrow terminals get more lines, not less letters.
        table.add_column(header, overflow="fold")
    for job, stands in zip(state.jobs, state.states, strict=True):
        table.add_row(*_cells(job, stands, state.queued.get(str(job.folder), "")))
    counts = Counter(stands.kind for stands in state.states)
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in STATES if counts[kind])
    return Group(table, Text(f"{study.name}: {summary} of {len(state.jobs)} trainings\n"))


def _cells(job: TrainingJob, state: JobState, number: str) -> Sequence[RenderableType]:
    detail = state.detail or (f"Slurm {number}" if number else "")
    return (
        *(job.dataset, job.label, "" if job.schedule.seed is None else str(job.schedule.seed), job.fold),
        Text(state.kind, COLOURS[state.kind]),
        *_progress_cells(state.progress),
        Text(detail),
    )


def _progress_cells(progress: Progress | None) -> tuple[str, str]:
    if progress is None:
        return "", ""
    left = progress.seconds_left
    shown = "" if left is None else str(timedelta(seconds=round(left)))
    return f"{progress.epoch}/{progress.epochs or '?'}", shown
