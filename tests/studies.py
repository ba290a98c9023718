"""Studies on fabricated folders, and a stand-in for nnUNetv2_train that leaves what nnU-Net leaves."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trained_models import stock_plans

from nnunet_sgdc.study.study_file import StudyFile
from nnunet_sgdc.study.training_job import TrainingJob, training_jobs

DATASET = "Dataset007_Phantoms"
# Fails as often as the file says, then trains; what it does is on record in calls.txt.
STAND_IN = """#!{python}
import json, os, pathlib, sys, time
dataset, configuration, fold = sys.argv[1:4]
trainer, plans = (sys.argv[sys.argv.index(option) + 1] for option in ("-tr", "-p"))
model = pathlib.Path(os.environ["nnUNet_results"], dataset, f"{{trainer}}__{{plans}}__{{configuration}}")
folder = model / f"fold_{{fold}}"
with open(os.environ["CALLS"], "a") as calls:
    print(trainer, fold, os.environ.get("CUDA_VISIBLE_DEVICES", ""), file=calls)
preprocessed = pathlib.Path(os.environ["nnUNet_preprocessed"], dataset)
(model / "plans.json").write_text((preprocessed / f"{{plans}}.json").read_text())
(folder / "training_log_1.txt").write_text("2026-01-01 00:00:00: Epoch 3 \\n2026-01-01 00:00:01: Epoch time: 2.0 s \\n")
(folder / "debug.json").write_text(json.dumps({{"num_epochs": "10"}}))
time.sleep(float(os.environ.get("SECONDS_OF_TRAINING", "0")))
failures = folder / "failures.txt"
if failures.exists() and int(failures.read_text()):
    failures.write_text(str(int(failures.read_text()) - 1))
    print("the data is\\nbroken")
    sys.exit(3)
(folder / "checkpoint_final.pth").touch()
(folder / "validation").mkdir(exist_ok=True)
(folder / "validation" / "summary.json").write_text("{{}}")
"""


def study(**changes: Any) -> StudyFile:
    """One data set, two trainers, two folds."""
    content = {"name": "test", "datasets": [7], "trainers": ["nnUNetTrainer", "nnUNetTrainerSGDC"], "folds": [0, 1]}
    return StudyFile.model_validate({**content, **changes})


def one_job(**changes: Any) -> TrainingJob:
    return training_jobs(study(**{"trainers": ["nnUNetTrainer"], "folds": [0], **changes}))[0]


def write_planned(root: Path, plans: str = "nnUNetPlans") -> None:
    """A data set that is planned."""
    preprocessed = root / "nnUNet_preprocessed" / DATASET
    preprocessed.mkdir(parents=True, exist_ok=True)
    (preprocessed / f"{plans}.json").write_text(json.dumps(stock_plans()))


def write_finished(job: TrainingJob) -> None:
    """What a training that has come to its end leaves."""
    (job.folder / "validation").mkdir(parents=True)
    (job.folder / "validation" / "summary.json").write_text("{}")
    (job.folder / "checkpoint_final.pth").touch()
    (job.model / "plans.json").write_text(job.plans_file.read_text())


def write_log(job: TrainingJob, *lines: str, epochs: int = 10) -> None:
    """What nnU-Net writes while it trains."""
    job.folder.mkdir(parents=True, exist_ok=True)
    stamped = "".join(f"2026-01-01 00:00:0{number}.5: {line} \n" for number, line in enumerate(lines))
    (job.folder / "training_log_2026_1_1_00_00_00.txt").write_text(stamped)
    (job.folder / "debug.json").write_text(json.dumps({"num_epochs": str(epochs)}))


@pytest.fixture
def planned(tmp_path: Path, raw: Path) -> Path:
    """nnU-Net's folders with a planned data set."""
    write_planned(tmp_path)
    return tmp_path


@pytest.fixture
def calls(planned: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The stand-in takes the place of nnUNetv2_train; gives the trainings that it was called for."""
    script = planned / "nnUNetv2_train"
    script.write_text(STAND_IN.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setattr("nnunet_sgdc.study.training.executable", lambda command: str(script))
    record = planned / "calls.txt"
    monkeypatch.setenv("CALLS", str(record))
    return lambda: record.read_text().splitlines() if record.exists() else []
