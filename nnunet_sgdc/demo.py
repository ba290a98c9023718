"""The whole job in one command: convert, plan, train, predict, score, look.

The demonstration runs the same commands that a user would type, in folders of its own, on phantoms written in the
layout of ISIC 2016 or on a real release.
"""

import argparse
import csv
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from nnunet_sgdc.datasets.phantoms import write_phantoms
from nnunet_sgdc.evaluation import Scores, score_masks
from nnunet_sgdc.evaluation.boundary_map import BoundaryMapper
from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.gallery import draw_contact_sheet
from nnunet_sgdc.evaluation.panel import Panel
from nnunet_sgdc.evaluation.selection import from_worst_to_best
from nnunet_sgdc.executables import executable, search_path

DATASET_ID = 999
DATASET = f"Dataset{DATASET_ID}_SGDCDemo"
FOLD = 0
SHOWN_CASES = 4
NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
# Nothing is removed from a folder that the demonstration did not make.
MARKER = ".nnunet_sgdc-demo"


@dataclass(frozen=True)
class Job:
    """What is run and where.

    Attributes:
        folder: Folder for everything the demonstration writes.
        release: Folder of an ISIC release.
        size: Side of the square images in pixels.
        trainer: Name of the trainer.
        device: "cuda", "mps" or "cpu".
    """

    folder: Path
    release: Path
    size: int
    trainer: str
    device: str

    @property
    def raw(self) -> Path:
        """The raw data set."""
        return self.folder / "nnUNet_raw" / DATASET

    @property
    def scored_images(self) -> Path:
        """The images to predict: those of the test split, or else of the validation split."""
        return self.raw / f"images{self._scored_split}"

    @property
    def scored_labels(self) -> Path:
        """The ground truth of the images to predict."""
        return self.raw / f"labels{self._scored_split}"

    @property
    def model(self) -> Path:
        """nnU-Net's folder of the trained model."""
        return self.folder / "nnUNet_results" / DATASET / f"{self.trainer}__nnUNetPlans__2d"

    @property
    def predictions(self) -> Path:
        """The predicted label maps of the test set."""
        return self.folder / "predictions"

    def conversion(self) -> list[str]:
        """The command that makes the raw data set; which images are scored is known once it has run."""
        convert = ["nnunet_sgdc-convert-isic", str(self.release), str(DATASET_ID), "--name", "SGDCDemo", "--overwrite"]
        return [*convert, "--size", str(self.size)]

    def commands(self) -> dict[str, list[str]]:
        """The commands that train on the raw data set and predict, each under what it does."""
        identifier, device = str(DATASET_ID), ["-device", self.device]
        plan = ["nnUNetv2_plan_and_preprocess", "-d", identifier, "-c", "2d", "--verify_dataset_integrity"]
        train = ["nnUNetv2_train", identifier, "2d", str(FOLD), "-tr", self.trainer, *device]
        folders = ["-i", str(self.scored_images), "-o", str(self.predictions)]
        predict = ["nnUNetv2_predict", *folders, "-d", identifier, "-c", "2d", "-f", str(FOLD), "-tr", self.trainer]
        return {
            "Plan and preprocess": [*plan, "-np", str(_workers())],
            "Train": train,
            "Predict the test set": [*predict, *device, "-npp", "1", "-nps", "1"],
        }

    def environment(self) -> dict[str, str]:
        """The environment of the commands: nnU-Net's folders inside that of the job, and no more workers than cores."""
        folders = {name: str(self.folder / name) for name in NNUNET_FOLDERS}
        workers = {name: str(_workers()) for name in ("nnUNet_n_proc_DA", "nnUNet_def_n_proc")}
        return {**workers, **os.environ, **folders}

    @property
    def _scored_split(self) -> str:
        return "Ts" if (self.raw / "labelsTs").is_dir() else "Val"


def run_demo(job: Job) -> dict[str, Scores]:
    """Run the job and print where its results are.

    Args:
        job: What to run.

    Returns:
        Scores of the test cases.

    Raises:
        FileExistsError: If the folder holds other things than an earlier demonstration.
        FileNotFoundError: If the release has no test or validation split with ground truth.
        subprocess.CalledProcessError: If a command fails.
    """
    _claim(job.folder)
    for name in (*NNUNET_FOLDERS, "predictions"):
        _remove(job.folder / name)
        (job.folder / name).mkdir()
    _run("Convert the release", job.conversion(), job.environment())
    _require_test_truth(job)
    for step, command in job.commands().items():
        _run(step, command, job.environment())
    scores = _score(job)
    table, picture = job.folder / "scores.csv", job.folder / "predictions.png"
    _write_scores(scores, table)
    _draw(job, scores, picture)
    _print_summary(job, scores, [table, picture])
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command `nnunet_sgdc-demo`.

    Args:
        arguments: The command line; None takes that of the process.
    """
    options = _parser().parse_args(arguments)
    folder = options.output.resolve()
    try:
        release = options.isic.resolve() if options.isic else _write_release(folder)
        run_demo(Job(folder, release, options.size, options.trainer, options.device))
    except subprocess.CalledProcessError as error:
        sys.exit(f"nnunet_sgdc-demo: this command failed, see above: {shlex.join(error.cmd)}")
    except (FileNotFoundError, FileExistsError) as error:
        sys.exit(f"nnunet_sgdc-demo: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nnunet_sgdc-demo", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--isic", type=Path, metavar="FOLDER", help="a real ISIC release instead of phantoms")
    add("--output", type=Path, default=Path("demo"), metavar="FOLDER", help="where everything goes (default: demo)")
    add("--size", type=int, default=128, metavar="N", help="side of the images in pixels (default: %(default)s)")
    add("--trainer", default="nnUNetTrainerSGDC_demo", help="any trainer (default: %(default)s)")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", choices=("cpu", "cuda", "mps"), default=device, help="(default here: %(default)s)")
    return parser


def _write_release(folder: Path) -> Path:
    _announce("Draw phantoms")
    _claim(folder)
    release = folder / "phantoms"
    _remove(release)
    write_phantoms(release)
    return release


def _claim(folder: Path) -> None:
    """Mark a folder as the demonstration's, which may then be emptied; one with other things in it is refused."""
    marker = folder / MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise FileExistsError(f"--output must be a new or empty folder, or that of an earlier demo, got {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _run(step: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    _announce(f"{step}: {shlex.join(command)}")
    subprocess.run([executable(command[0]), *command[1:]], env={**environment, "PATH": search_path()}, check=True)


def _require_test_truth(job: Job) -> None:
    """Notice before an hour of training that there is nothing to score."""
    if not job.scored_labels.is_dir():
        raise FileNotFoundError(f"{job.release} must hold a test or validation split with its ground truth, to score")


def _score(job: Job) -> dict[str, Scores]:
    truths = sorted(job.scored_labels.glob("*.png"))
    return {
        truth.stem: score_masks(_mask(truth), _mask(job.predictions / truth.name)) for truth in tqdm(truths, "Score")
    }


def _write_scores(scores: Mapping[str, Scores], file: Path) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["case", "dice", "iou", "hd95"])
        writer.writeheader()
        writer.writerows({"case": case, **asdict(score)} for case, score in scores.items())


def _draw(job: Job, scores: Mapping[str, Scores], file: Path) -> None:
    """Draw cases spread evenly from the worst to the best."""
    chosen = from_worst_to_best({case: score.dice for case, score in scores.items()}, SHOWN_CASES)
    boundary_map = BoundaryMapper.of_model(job.model, [str(FOLD)], torch.device(job.device))
    draw_contact_sheet([_panel(job, case, scores[case], boundary_map) for case in tqdm(chosen, "Draw")], file)


def _panel(job: Job, case: str, score: Scores, boundary_map: BoundaryMapper) -> Panel:
    image = job.scored_images / f"{case}_0000.png"
    return Panel(
        title=f"{case}   Dice {score.dice:.3f}   HD95 {score.hd95:.1f} px",
        image=np.asarray(Image.open(image)),
        prediction=_mask(job.predictions / f"{case}.png").astype(np.uint8),
        labels=LabelScheme({"lesion": 1}),
        truth=_mask(job.scored_labels / f"{case}.png").astype(np.uint8),
        boundary=boundary_map(image),
    )


def _mask(file: Path) -> NDArray[np.bool_]:
    return np.asarray(Image.open(file)) > 0


def _print_summary(job: Job, scores: Mapping[str, Scores], files: Sequence[Path]) -> None:
    _announce(f"Mean of {len(scores)} test cases, HD95 in pixels of {job.size} x {job.size}")
    for name, label in (("dice", "Dice"), ("iou", "IoU"), ("hd95", "HD95")):
        print(f"{label:5} {np.mean([getattr(score, name) for score in scores.values()]):.3f}")
    for file in (*files, job.predictions, job.model / f"fold_{FOLD}"):
        print(file)


def _announce(text: str) -> None:
    print(f"\n=== {text}", flush=True)


def _workers() -> int:
    return max(1, min(8, os.cpu_count() or 1))
