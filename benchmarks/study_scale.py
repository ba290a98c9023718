"""A study of 400 trainings: how long `nnunet_sgdc-study status` takes, and how well the longest-first order packs.

The folders are those that trainings leave, with logs of 1000 epochs, and hold no results; the queue is simulated.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest import mock

import yaml
from numpy.random import default_rng

from benchmarks.measure import print_header, print_row
from benchmarks.plans import plan
from nnunet_sgdc.study.folders import folder_named
from nnunet_sgdc.study.queue_order import longest_first, makespan
from nnunet_sgdc.study.study_file import read_study_file
from nnunet_sgdc.study.training_job import TrainingJob, training_jobs

DATASET, TRAININGS, EPOCHS = "Dataset998_Phantoms", 400, 1000
STUDY = {
    "name": "scale",
    "datasets": [998],
    "trainers": [f"nnUNetTrainer{n}" for n in range(8)],
    "seeds": list(range(10)),
}
COMMAND = Path(sys.executable).with_name("nnunet_sgdc-study")
REPETITIONS = 5
WORKERS = (4, 16, 64)


def main() -> None:
    """Print both tables."""
    with TemporaryDirectory() as name, mock.patch.dict(os.environ, _folders(Path(name))):
        file = Path(name, "scale.yaml")
        file.write_text(yaml.safe_dump(STUDY))
        _write_planned()
        jobs = training_jobs(read_study_file(file))
        for number, job in enumerate(jobs):
            _write_training(job, is_done=number % 2 == 0)
        seconds = [_time_status(file) for _ in range(REPETITIONS)]
    print(f"nnunet_sgdc-study status, {len(jobs)} trainings: {median(seconds):.2f} s, median of {REPETITIONS}\n")
    _print_packing()


def _folders(root: Path) -> dict[str, str]:
    return {f"nnUNet_{kind}": str(root / kind) for kind in ("raw", "preprocessed", "results")}


def _write_planned() -> None:
    folder = folder_named("nnUNet_preprocessed") / DATASET
    folder.mkdir(parents=True)
    (folder / "nnUNetPlans.json").write_text(json.dumps(plan("PlainConvUNet", (256, 256)).plans))


def _write_training(job: TrainingJob, is_done: bool) -> None:
    (job.folder / "validation").mkdir(parents=True)
    (job.model / "plans.json").write_text(job.plans_file.read_text())
    (job.folder / "debug.json").write_text(json.dumps({"num_epochs": str(EPOCHS)}))
    epochs = EPOCHS if is_done else EPOCHS // 2
    lines = (f"2026-01-01 00:00:00: Epoch {n} \n2026-01-01 00:01:00: Epoch time: 60.0 s \n" for n in range(epochs))
    (job.folder / "training_log_2026_1_1_00_00_00.txt").write_text("".join(lines))
    if is_done:
        (job.folder / "checkpoint_final.pth").touch()
        (job.folder / "validation" / "summary.json").write_text("{}")


def _time_status(file: Path) -> float:
    start = time.perf_counter()
    subprocess.run([COMMAND, "status", file], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _print_packing() -> None:
    """Lengths of three kinds of trainer, each with some spread, in units of an hour."""
    random = default_rng(0)
    hours = {job: float(random.choice([1, 2, 5]) * random.uniform(1, 1.5)) for job in range(TRAININGS)}
    print(f"{TRAININGS} trainings on simulated workers, longest first\n")
    print_header("workers", "least hours", "hours", "more than the least")
    for workers in WORKERS:
        least = max(sum(hours.values()) / workers, max(hours.values()))
        took = makespan(longest_first(list(hours), hours), hours, workers)
        print_row(workers, f"{least:.1f}", f"{took:.1f}", f"{took / least - 1:.1%}")


if __name__ == "__main__":
    main()
