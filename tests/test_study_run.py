"""`nnunet_sgdc-study` as a user runs it, with nnU-Net's real trainings: undisturbed, killed in the middle, reported."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from study_runs import MODELS, fold_folders, kill_all, wait_until, write_study
from workspaces import Workspace

pytestmark = pytest.mark.nnunet


def scores(folder: Path) -> list[dict[str, Any]]:
    """nnU-Net's own validation, without the paths."""
    summary = json.loads((folder / "validation" / "summary.json").read_text())
    return [case["metrics"] for case in summary["metric_per_case"]]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint_final.pth", weights_only=False)["network_weights"]


def modification_times(workspace: Workspace) -> dict[Path, float]:
    return {folder: (folder / "checkpoint_final.pth").stat().st_mtime for folder in fold_folders(workspace)}


@pytest.fixture(scope="module")
def killed(undisturbed: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A study that was killed in its first training and completed by a second call."""
    workspace = Workspace.create(tmp_path_factory.mktemp("user") / "killed")
    # Preparing it again shows nothing new.
    for name in ("raw", "preprocessed"):
        shutil.copytree(undisturbed.folder / name, workspace.folder / name, dirs_exist_ok=True)
    study = write_study(workspace)
    with workspace.start("nnunet_sgdc-study", "run", study):
        wait_until(lambda: list(workspace.folder.glob("results/*/*/*/checkpoint_latest.pth")))
        kill_all(workspace)
    (workspace.folder / "before.txt").write_text(workspace.run("nnunet_sgdc-study", "status", study))
    workspace.run("nnunet_sgdc-study", "run", study)
    return workspace


@pytest.fixture(scope="module")
def report(undisturbed: Workspace) -> str:
    return undisturbed.run("nnunet_sgdc-study", "report", str(undisturbed.folder / "study.yaml"))


def test_every_training_is_done(undisturbed: Workspace) -> None:
    said = undisturbed.run("nnunet_sgdc-study", "status", str(undisturbed.folder / "study.yaml"))
    assert "smoke: 4 done of 4 trainings" in said
    assert len(fold_folders(undisturbed)) == 4


def test_seeds_are_on_record_beside_the_results(undisturbed: Workspace) -> None:
    records = [json.loads((folder / "study.json").read_text()) for folder in fold_folders(undisturbed)]
    assert [(record["state"], record["seed"], record["attempts"]) for record in records] == [("done", 0, 1)] * 4


def test_running_again_does_nothing(undisturbed: Workspace) -> None:
    before = modification_times(undisturbed)
    undisturbed.run("nnunet_sgdc-study", "run", str(undisturbed.folder / "study.yaml"))
    assert modification_times(undisturbed) == before


def test_a_killed_study_knows_what_is_left(killed: Workspace) -> None:
    said = (killed.folder / "before.txt").read_text()
    assert re.search(r"smoke: .*\b[1-4] waiting|running", said)
    assert "4 done" not in said


def test_a_killed_training_goes_on_from_its_checkpoint(killed: Workspace) -> None:
    logs = [len(list(folder.glob("training_log_*.txt"))) for folder in fold_folders(killed)]
    # Two are done at once.
    assert 2 in logs


def test_a_killed_and_completed_study_scores_like_an_undisturbed_one(killed: Workspace, undisturbed: Workspace) -> None:
    pairs = list(zip(fold_folders(killed), fold_folders(undisturbed), strict=True))
    assert [scores(ours) for ours, _ in pairs] == [scores(theirs) for _, theirs in pairs]


def test_a_killed_and_completed_study_has_the_weights_of_an_undisturbed_one(
    killed: Workspace, undisturbed: Workspace
) -> None:
    for ours, theirs in zip(fold_folders(killed), fold_folders(undisturbed), strict=True):
        torch.testing.assert_close(weights(ours), weights(theirs), rtol=0, atol=0)


def test_the_report_compares_on_validation_and_test(undisturbed: Workspace, report: str) -> None:
    assert "nnUNetTrainerSGDC against nnUNetTrainer" in report
    page = (undisturbed.folder / "results" / "study_smoke" / "report" / "report.html").read_text()
    assert f"{MODELS}/Ts" in page
    assert "_seed0" not in re.sub(r"<code>.*?</code>", "", page.split("provenance")[0])


def test_missing_trainings_are_told_before_anything_is_predicted(undisturbed: Workspace, report: str) -> None:
    study = write_study(undisturbed, folds=[0, 1, 2])
    said = undisturbed.run("nnunet_sgdc-study", "report", study, returncode=1)
    assert "all trainings must be done before they are compared, but 2: " in said


def test_a_plan_tells_what_is_missing_and_how_long_it_takes(undisturbed: Workspace, report: str) -> None:
    study = write_study(undisturbed, folds=[0, 1, 2])
    said = undisturbed.run("nnunet_sgdc-study", "plan", study)
    assert re.search(r"train    Dataset998_Phantoms 2d nnUNetTrainer_\S+_seed0 nnUNetPlans fold 2  0:00:\d\d", said)
    assert re.search(r"smoke: 2 of 6 trainings to do, about 0:00:\d\d of training, done after .* with 2 at once", said)


def test_a_cancelled_study_stops_within_seconds(undisturbed: Workspace, report: str) -> None:
    study = write_study(undisturbed, folds=[3], epochs=100)
    with undisturbed.start("nnunet_sgdc-study", "run", study) as process:
        wait_until(lambda: list(undisturbed.folder.glob("results/*/*100epochs*/fold_3/checkpoint_latest.pth")))
        said = undisturbed.run("nnunet_sgdc-study", "cancel", study)
        printed, _ = process.communicate(timeout=60)
    assert "'run' goes on from their last checkpoints" in said
    assert "2 trainings are not done; run it again to go on" in printed
