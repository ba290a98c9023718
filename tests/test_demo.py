"""The demonstration, run as a command from another folder with a trainer of a few iterations."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnunet_sgdc.datasets.phantoms import write_phantoms

TRAINER = """
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

class nnUNetTrainerSGDC_glance(nnUNetTrainerSGDC):
    epochs, iterations_per_epoch, val_iterations_per_epoch = 1, 4, 1
"""


def run_demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "nnunet_sgdc-demo"), "--device", "cpu", "--size", "64", *options]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**kept, "nnUNet_extTrainer": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "mine.py").write_text(TRAINER)
    run = run_demo(folder, "--trainer", "nnUNetTrainerSGDC_glance")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "demo", run.stdout


@pytest.mark.nnunet
def test_the_demo_prints_scores_and_the_files_it_wrote(demo: tuple[Path, str]) -> None:
    folder, output = demo
    summary = output[output.index("=== Mean of 8 test cases") :].splitlines()
    assert [line.split()[0] for line in summary[1:4]] == ["Dice", "IoU", "HD95"]
    assert all(Path(line).exists() and Path(line).is_relative_to(folder) for line in summary[4:])


@pytest.mark.nnunet
def test_the_demo_scores_every_test_case(demo: tuple[Path, str]) -> None:
    with (demo[0] / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    assert all(0 <= float(row["iou"]) <= float(row["dice"]) <= 1 for row in rows)


@pytest.mark.nnunet
def test_the_demo_draws_its_cases(demo: tuple[Path, str]) -> None:
    picture = np.asarray(Image.open(demo[0] / "predictions.png").convert("RGB"))
    assert picture.shape[0] > picture.shape[1] > 500
    assert picture.std() > 20


def test_a_release_without_test_truth_is_refused_before_training(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "release", training=2, test=1)
    (tmp_path / "release" / "ISBI2016_ISIC_Part1_Test_GroundTruth").rename(tmp_path / "elsewhere")
    run = run_demo(tmp_path, "--isic", "release")
    assert run.returncode == 1
    assert "must hold a test or validation split with its ground truth" in run.stderr
    assert "Plan and preprocess" not in run.stdout


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    treasure = tmp_path / "mine" / "nnUNet_raw" / "Dataset001_Mine" / "dataset.json"
    treasure.parent.mkdir(parents=True)
    treasure.touch()
    run = run_demo(tmp_path, "--output", "mine")
    assert run.returncode == 1
    assert "--output must be a new or empty folder" in run.stderr
    assert [path for path in (tmp_path / "mine").rglob("*") if path.is_file()] == [treasure]
