"""What a study would run, and how long it would take, before anything runs."""

import shlex
from collections.abc import Mapping
from datetime import timedelta

from nnunet_sgdc.study.estimate import seconds_by_experience, seconds_by_profile
from nnunet_sgdc.study.local_workers import allotments
from nnunet_sgdc.study.preparation import check_trainers, preparation
from nnunet_sgdc.study.queue_order import longest_first, makespan
from nnunet_sgdc.study.status_table import read_state
from nnunet_sgdc.study.study_file import LocalExecutor, StudyFile
from nnunet_sgdc.study.training_job import TrainingJob


def plan_study(study: StudyFile) -> str:
    """Tell what is missing of a study and how long it will take.

    Args:
        study: The study.

    Returns:
        Lines for the reader.

    Raises:
        UserError: The study cannot be run as it is.
        OSError: A file cannot be read.
    """
    check_trainers(study)
    lines = [f"prepare  {shlex.join(command)}" for command in preparation(study)]
    state = read_state(study)
    if not state.missing:
        lines.append(f"{study.name}: none of {len(state.jobs)} trainings to do, 'report' can compare them")
        return "\n".join(lines)
    known = seconds_by_experience(state.jobs)
    # Data sets that are still to be planned cannot be measured.
    unknown = [job for job in state.missing if job not in known and job.plans_file.is_file()]
    workers, cpus = _workers(study)
    known |= seconds_by_profile(unknown, study.executor.device, cpus) if unknown else {}
    ordered = longest_first(state.missing, known)
    lines += [f"train    {job}{_shown(known.get(job))}" for job in ordered]
    return "\n".join([*lines, _summary(study, ordered, len(state.jobs), known, workers)])


def _summary(
    study: StudyFile, missing: list[TrainingJob], count: int, seconds: Mapping[TrainingJob, float], workers: int
) -> str:
    head = f"{study.name}: {len(missing)} of {count} trainings to do"
    told = [job for job in missing if job in seconds]
    if len(told) < len(missing):
        return f"{head}, {len(missing) - len(told)} of them of unknown length; 'run' prepares their data sets first"
    total = sum(seconds[job] for job in missing)
    span = makespan(missing, seconds, workers)
    return (
        f"{head}, about {_time(total)} of training, done after {_time(span)} with {workers} at once; measured without "
        "loading and validation, on this machine or where the study has run"
    )


def _workers(study: StudyFile) -> tuple[int, int]:
    """How many trainings there are at once, and the processors of one."""
    executor = study.executor
    if not isinstance(executor, LocalExecutor):
        return executor.parallel, executor.cpus
    given = allotments(executor)
    return len(given), given[0].cpus


def _shown(seconds: float | None) -> str:
    return "" if seconds is None else f"  {_time(seconds)}"


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
