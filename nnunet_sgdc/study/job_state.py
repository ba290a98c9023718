"""How a training stands, read from the files beside its results; no other memory is kept, and none can disagree."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nnunet_sgdc.evaluation.plans_hash import plans_hash
from nnunet_sgdc.study.job_record import LOG, is_running, read_record
from nnunet_sgdc.study.training_job import TrainingJob
from nnunet_sgdc.study.training_log import Progress, last_lines, read_progress

DONE, RUNNING, WAITING, FAILED = "done", "running", "waiting", "failed"
STATES = (RUNNING, WAITING, FAILED, DONE)


@dataclass(frozen=True)
class JobState:
    """How a training stands.

    Attributes:
        kind: `done`, `running`, `waiting` or `failed`.
        progress: How far it has come; None if it has not begun.
        detail: Why it failed, or why it waits although it has begun.
    """

    kind: str
    progress: Progress | None = None
    detail: str = ""


def job_state(job: TrainingJob) -> JobState:
    """Read how a training stands.

    Args:
        job: The training.

    Raises:
        OSError: A file cannot be read.
    """
    record = read_record(job.folder)
    if is_running(job.folder, record):
        return JobState(RUNNING, read_progress(job.folder))
    mismatch = plans_mismatch(job)
    if mismatch:
        return JobState(FAILED, detail=mismatch)
    if job.is_finished:
        return JobState(DONE)
    progress = read_progress(job.folder)
    if record and record.state == "failed":
        return JobState(FAILED, progress, f"{record.reason}: {last_lines(job.folder / LOG)}")
    return JobState(WAITING, progress, "interrupted, goes on from its last checkpoint" if progress else "")


def plans_mismatch(job: TrainingJob) -> str:
    """Why results that are there cannot be those of the job; nothing if they can, or if there are none."""
    # nnU-Net writes the plans when a training begins.
    if not (job.folder.is_dir() and (job.model / "plans.json").is_file() and job.plans_file.is_file()):
        return ""
    if _hash_of(job.model / "plans.json") == _hash_of(job.plans_file):
        return ""
    return (
        f"{job.model} holds a training on other plans than {job.plans_file}: move it away to train again, or restore "
        "the plans"
    )


def _hash_of(plans_file: Path) -> str:
    return _hash_of_version(plans_file, plans_file.stat().st_mtime_ns)


# All folds of a model share a file.
@lru_cache(maxsize=1024)
def _hash_of_version(plans_file: Path, _: int) -> str:
    return plans_hash(json.loads(plans_file.read_text(encoding="utf-8")))
