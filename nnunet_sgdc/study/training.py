"""Doing trainings: what runs inside the jobs that submitit starts, here or on a cluster."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission

from nnunet_sgdc.executables import executable
from nnunet_sgdc.study.claim import claimed, heartbeat
from nnunet_sgdc.study.job_record import LOG, JobRecord, read_record
from nnunet_sgdc.study.job_state import plans_mismatch
from nnunet_sgdc.study.training_job import TrainingJob

# By these, trainings are stopped from outside; SIGKILL is also what happens when memory runs out.
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
POLL_SECONDS = 2


class TrainingStoppedError(Exception):
    """Somebody stopped a training, which is not to be tried again now."""


@dataclass(frozen=True)
class Training:
    """Do trainings one after the other, leaving out what is done or in other hands.

    Attributes:
        device: Where to train.
        gpus: GPUs of one training.
        retries: How often a training that fails is tried again.
        environment: Variables for the trainings.
        stop_file: When this file appears, running trainings are ended and no other is begun.
    """

    device: str
    gpus: int
    retries: int
    environment: Mapping[str, str]
    stop_file: Path

    def __call__(self, jobs: Sequence[TrainingJob]) -> None:
        """Do the trainings; one that fails does not keep the others from being done."""
        for job in jobs:
            if self.stop_file.exists():
                return
            with claimed(job.folder) as claim:
                if claim is not None and not _is_settled(job):
                    try:
                        self._train(job, claim)
                    except TrainingStoppedError:
                        return

    def checkpoint(self, jobs: Sequence[TrainingJob]) -> DelayedSubmission:
        """What submitit starts anew when the time of a job is over: the same, which goes on where it was left."""
        for job in jobs:
            record = read_record(job.folder)
            if record and record.state == "running" and record.is_ours:
                record.ended("interrupted").write(job.folder)
        return DelayedSubmission(self, jobs)

    def _train(self, job: TrainingJob, claim: int) -> None:
        record = JobRecord.of_this_process(job.schedule.seed)
        for attempt in range(1, self.retries + 2):
            record = replace(record, state="running", attempts=attempt)
            record.write(job.folder)
            # Written in any case, so that nobody waits for a process that is gone.
            end = record.ended("interrupted")
            try:
                reason = self._tried(job, claim)
                # It has failed only when it is not tried again.
                failed = "failed" if attempt > self.retries else "interrupted"
                end = record.ended(failed, reason) if reason else record.ended("done")
            finally:
                end.write(job.folder)
            if end.state == "done":
                return

    def _tried(self, job: TrainingJob, claim: int) -> str:
        try:
            return self._run(job, claim)
        except OSError as error:
            return str(error)

    def _run(self, job: TrainingJob, claim: int) -> str:
        """Run nnU-Net's command; returns why it failed, or nothing."""
        mismatch = plans_mismatch(job)
        if mismatch:
            return mismatch
        command = job.command(self.device, self.gpus)
        with (job.folder / LOG).open("a") as log, heartbeat(job.folder):
            log.write(f"{' '.join(command)}\n")
            log.flush()
            process = _start(command, {**os.environ, **self.environment}, log, claim)
            try:
                code = self._wait(process)
            finally:
                _end(process)
        if -code in STOPPING_SIGNALS or self.stop_file.exists():
            raise TrainingStoppedError
        return "" if job.is_finished else _reason(code)

    def _wait(self, process: "subprocess.Popen[bytes]") -> int:
        while True:
            try:
                return process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if self.stop_file.exists():
                    raise TrainingStoppedError from None


def _is_settled(job: TrainingJob) -> bool:
    """Whether nothing is left to do, or another process has found that it cannot be done."""
    record = read_record(job.folder)
    return job.is_finished or (record is not None and record.state == "failed")


def _start(command: Sequence[str], environment: Mapping[str, str], log: Any, claim: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [executable(command[0]), *command[1:]],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=(claim,),
        # A group of its own, so that its workers end with it.
        start_new_session=True,
        preexec_fn=_ignore_notice,
    )


def _ignore_notice() -> None:
    """Slurm tells all processes of a job that its time is nearly over; only submitit has an answer to that."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all of its group, gently and then not."""
    for step in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, step)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _reason(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, as happens when memory runs out"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"nnUNetv2_train left with {code}" if code else "nnUNetv2_train ended well but left no validation"
