"""Studies through a real Slurm: an array job, one of its jobs cancelled and resumed, one that runs out of its time."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from slurm_cluster import SlurmCluster, missing_programs, slurm_cluster
from study_runs import SMOKE, fold_folders, wait_until
from workspaces import Workspace

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(missing_programs()), reason=missing_programs())]

EXECUTOR = {"kind": "slurm", "device": "cpu", "gpus": 0, "cpus": 1, "hours": 1}
# Slurm looks at its jobs every 30 seconds: it tells such a job 25 to 55 seconds after its start.
ONE_MINUTE = {**EXECUTOR, "hours": 1 / 60, "notice_seconds": 5}
# A checkpoint is written after every tenth of these epochs.
LONG, SHORT = 100, 40


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with slurm_cluster(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def workspace(cluster: SlurmCluster, undisturbed: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.create(tmp_path_factory.mktemp("user") / "all", settings=cluster.environment)
    for name in ("raw", "preprocessed"):
        shutil.copytree(undisturbed.folder / name, workspace.folder / name, dirs_exist_ok=True)
    return workspace


def write_study(workspace: Workspace, name: str, **changes: Any) -> str:
    path = workspace.folder / f"{name}.yaml"
    path.write_text(
        yaml.safe_dump({**yaml.safe_load(SMOKE.read_text()), "name": name, "executor": EXECUTOR, **changes})
    )
    return str(path)


def submitted(workspace: Workspace, name: str) -> dict[str, str]:
    """Slurm's numbers of the trainings, by `trainer fold`."""
    numbers = json.loads((workspace.folder / "results" / f"study_{name}" / "submitted.json").read_text())
    return {f"{Path(path).parent.name.split('_')[0]} {path[-1]}": number for path, number in numbers.items()}


def accounted(cluster: SlurmCluster, number: str) -> list[str]:
    """The states through which a job has gone, from Slurm's accounting."""
    options = ("--duplicates", "--noheader", "--allocations", "--parsable2", "--format=State")
    return [line.split()[0] for line in cluster.run("sacct", *options, f"--jobs={number}").splitlines()]


def status(workspace: Workspace, study: str) -> str:
    return workspace.run("nnunet_sgdc-study", "status", study)


@pytest.fixture(scope="module")
def array(workspace: Workspace) -> str:
    """The smoke study, one of whose jobs was cancelled."""
    study = write_study(workspace, "smoke", epochs=LONG, folds=[0], retries=0)
    workspace.run("nnunet_sgdc-study", "run", "--detach", study)
    return study


@pytest.fixture(scope="module")
def cancelled(workspace: Workspace, cluster: SlurmCluster, array: str) -> str:
    """The number of a job that was cancelled after its first checkpoint; the other one has been left alone."""
    wait_until(lambda: len(list(workspace.folder.glob("results/*/*/*/checkpoint_latest.pth"))) == 2)
    number = submitted(workspace, "smoke")["nnUNetTrainer 0"]
    cluster.run("scancel", number)
    wait_until(lambda: "CANCELLED" in accounted(cluster, number))
    return number


def test_trainings_are_the_tasks_of_one_array_job(workspace: Workspace, array: str) -> None:
    numbers = sorted(submitted(workspace, "smoke").values())
    assert [re.fullmatch(r"\d+_(\d)", number)[1] for number in numbers] == ["0", "1"]
    assert len({number.split("_")[0] for number in numbers}) == 1


def test_what_slurm_has_is_not_handed_over_again(workspace: Workspace, array: str) -> None:
    before = submitted(workspace, "smoke")
    workspace.run("nnunet_sgdc-study", "run", "--detach", array)
    assert submitted(workspace, "smoke") == before


def test_a_cancelled_job_waits_and_the_other_one_runs_on(workspace: Workspace, array: str, cancelled: str) -> None:
    said = status(workspace, array)
    assert "1 running, 1 waiting of 2 trainings" in said
    assert "interrupted" in said


def test_running_again_resumes_the_cancelled_job_from_its_checkpoint(
    workspace: Workspace, cluster: SlurmCluster, array: str, cancelled: str
) -> None:
    workspace.run("nnunet_sgdc-study", "run", "--detach", array)
    numbers = submitted(workspace, "smoke")
    assert numbers["nnUNetTrainer 0"] != cancelled
    (folder,) = (folder for folder in fold_folders(workspace) if "nnUNetTrainer_" in str(folder))
    wait_until(lambda: len(list(folder.glob("training_log_*.txt"))) == 2)
    wait_until(lambda: re.search(r"Epoch [1-9]\d+ ", max(folder.glob("training_log_*.txt")).read_text()))
    workspace.run("nnunet_sgdc-study", "cancel", array)
    wait_until(lambda: {"CANCELLED"} == {accounted(cluster, number)[-1] for number in numbers.values()})


def test_a_job_whose_time_is_over_is_requeued_and_ends_from_its_checkpoint(
    workspace: Workspace, cluster: SlurmCluster, array: str
) -> None:
    study = write_study(workspace, "short", trainers=["nnUNetTrainer"], folds=[1], epochs=SHORT, executor=ONE_MINUTE)
    workspace.run("nnunet_sgdc-study", "run", "--detach", study)
    (number,) = submitted(workspace, "short").values()
    (folder,) = map(Path, json.loads((workspace.folder / "results" / "study_short" / "submitted.json").read_text()))
    wait_until((folder / "validation" / "summary.json").exists, seconds=300)
    wait_until(lambda: accounted(cluster, number)[-1] == "COMPLETED")
    assert accounted(cluster, number)[0] == "REQUEUED"
    assert len(list(folder.glob("training_log_*.txt"))) >= 2
    assert "1 done of 1 trainings" in status(workspace, study)


def test_jobs_that_slurm_does_not_take_are_told_in_one_sentence(workspace: Workspace, array: str) -> None:
    study = write_study(workspace, "wrong", executor={**EXECUTOR, "partition": "nowhere"}, seeds=[7])
    said = workspace.run("nnunet_sgdc-study", "run", study, returncode=1)
    assert re.search(r"error: Slurm must take the jobs, but does not \(.*invalid partition", said)
