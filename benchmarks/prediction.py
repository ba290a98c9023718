"""nnUNetv2_predict with models of nnUNetTrainerSGDC and of nnUNetTrainer, which nobody has trained.

The command runs as it is, in a process and an environment of its own. What it takes for one image is its start; what it
takes for more beyond that is the prediction.
"""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from numpy.random import default_rng
from PIL import Image

from benchmarks.measure import Work, device, print_header, print_row, times_in_turn
from benchmarks.plans import CONFIGURATION, DATASET, plan
from nnunet_sgdc.datasets.phantoms import phantom
from nnunet_sgdc.profiling.setting import Setting
from nnunet_sgdc.profiling.trainers import make_trainer, quarantine
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

IMAGES = 20
EDGE = 512
PAIRS = 3
NETWORK = "PlainConvUNet"
TRAINERS = (nnUNetTrainer, nnUNetTrainerSGDC)
COMMAND = Path(sys.executable).with_name("nnUNetv2_predict")


def main() -> None:
    """Print a table."""
    print(f"nnUNetv2_predict, {NETWORK}, {EDGE} x {EDGE}, mirrored, {device().type}; medians of {PAIRS} pairs\n")
    print_header("images", "stock", "SGDC", "time")
    with TemporaryDirectory() as name:
        folder, setting = Path(name), plan(NETWORK, (EDGE, EDGE))
        for kind in TRAINERS:
            write_model(folder / "results", kind, setting)
        seconds = {count: _print_times(folder, count) for count in (1, IMAGES)}
    _print_row("each further one", *((many - one) / (IMAGES - 1) for one, many in zip(*seconds.values(), strict=True)))
    print()


def write_model(results: Path, kind: type[nnUNetTrainer], setting: Setting) -> None:
    """Write the folder that a training leaves, with the weights that it starts from."""
    folder = results / DATASET / f"{kind.__name__}__{setting.plans_name}__{CONFIGURATION}"
    (folder / "fold_0").mkdir(parents=True)
    with quarantine(setting):
        trainer = make_trainer(kind, setting, torch.device("cpu"))
        trainer.save_checkpoint(str(folder / "fold_0" / "checkpoint_final.pth"))
    (folder / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (folder / "dataset.json").write_text(json.dumps(setting.dataset_json))


def write_images(folder: Path, count: int) -> Path:
    """Write phantoms under names that nnU-Net takes."""
    folder.mkdir()
    for number in range(count):
        image, _ = phantom(default_rng(number), (EDGE, EDGE))
        Image.fromarray(image).save(folder / f"case_{number:02d}_0000.png")
    return folder


def make_work(folder: Path, images: Path, trainer: str) -> Work:
    """The command with the model of a trainer."""
    files, model = ["-i", images, "-o", folder / "predictions"], ["-d", DATASET, "-c", CONFIGURATION, "-tr", trainer]
    line = [COMMAND, *files, *model, "-f", 0, "-device", device().type, "-npp", 1, "-nps", 1]
    return partial(subprocess.run, [*map(str, line)], env=_environment(folder), check=True, stdout=subprocess.DEVNULL)


def _print_times(folder: Path, count: int) -> tuple[float, float]:
    """Seconds of both trainers."""
    images = write_images(folder / f"images{count}", count)
    stock, ours, _ = times_in_turn(*(make_work(folder, images, kind.__name__) for kind in TRAINERS), pairs=PAIRS)
    _print_row(str(count), stock, ours)
    return stock, ours


def _print_row(images: str, stock: float, ours: float) -> None:
    print_row(images, f"{stock:.2f} s", f"{ours:.2f} s", f"{ours / stock:.2f} x")


def _environment(folder: Path) -> dict[str, str]:
    """The environment without what the user has set for nnU-Net and for us."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().startswith("nnunet")}
    folders = {f"nnUNet_{kind}": str(folder / kind) for kind in ("raw", "preprocessed", "results")}
    return kept | folders


if __name__ == "__main__":
    main()
