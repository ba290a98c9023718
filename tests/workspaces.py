"""Folders of a user of nnU-Net and the real commands run on them, from another folder and in a clean environment."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

COMMANDS = Path(sys.executable).parent
TIMEOUT = 300
DATASET = "Dataset001_ISIC2016"

LabelMaps = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Workspace:
    """Folders of a user and the commands run on them, with the variables of nnU-Net and no others."""

    folder: Path
    results: str = "results"
    plans: str = "nnUNetPlans"
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def trainers(self) -> Path:
        return self.folder / "trainers" / "mine.py"

    @property
    def raw(self) -> Path:
        return self.folder / "raw" / DATASET

    @property
    def preprocessed(self) -> Path:
        return self.folder / "preprocessed" / DATASET

    @property
    def variables(self) -> dict[str, str]:
        folders = {"raw": "raw", "preprocessed": "preprocessed", "results": self.results}
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            **{f"nnUNet_{kind}": str(self.folder / name) for kind, name in folders.items()},
            "nnUNet_n_proc_DA": "1",
            "nnUNet_def_n_proc": "1",
            # Threads that wait must not keep the workers of nnU-Net from theirs.
            "OMP_WAIT_POLICY": "PASSIVE",
            **self.settings,
        }

    @classmethod
    def create(cls, folder: Path, **options: Any) -> "Workspace":
        for name in ("raw", "preprocessed", "results", "elsewhere"):
            (folder / name).mkdir(parents=True)
        return cls(folder, **options)

    def model(self, trainer: str) -> Path:
        return self.folder / self.results / DATASET / f"{trainer}__{self.plans}__2d"

    def with_settings(self, **settings: str) -> "Workspace":
        return replace(self, settings={**self.settings, **settings})

    @contextmanager
    def start(self, command: str, *arguments: str) -> Iterator[Popen[str]]:
        """Start a command; it and its children are gone afterwards, whatever happens."""
        with Popen(
            [str(COMMANDS / command), *arguments],
            cwd=self.folder / "elsewhere",
            env=self.variables,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, command: str, *arguments: str, returncode: int = 0) -> str:
        with self.start(command, *arguments) as process:
            printed, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == returncode, printed
        return printed

    def train(self, trainer: str, fold: int, *arguments: str, **expected: int) -> "Training":
        line = ("1", "2d", str(fold), "-p", self.plans, "-tr", trainer, "-device", "cpu", *arguments)
        return Training(self.model(trainer) / f"fold_{fold}", self.run("nnUNetv2_train", *line, **expected))

    def predict(self, trainer: str, images: Path, name: str) -> LabelMaps:
        model = ("-d", "1", "-c", "2d", "-f", "0", "-p", self.plans, "-tr", trainer)
        folders = ("-i", str(images), "-o", str(self.folder / name))
        self.run("nnUNetv2_predict", *model, *folders, "-npp", "1", "-nps", "1", "-device", "cpu")
        return label_maps(self.folder / name)


@dataclass(frozen=True)
class Training:
    """What a training left behind and printed."""

    folder: Path
    printed: str

    def checkpoint(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = torch.load(self.folder / f"checkpoint_{name}.pth", weights_only=False)
        return content

    def numbers(self, pattern: str) -> list[float]:
        """What a pattern with one group has found in the log, over the epochs."""
        return [float(number) for number in re.findall(pattern, self.printed)]


def label_maps(folder: Path) -> LabelMaps:
    return {path.stem: np.asarray(Image.open(path)) for path in folder.glob("*.png")}


def read_until(text: str, process: Popen[str]) -> str:
    printed = ""
    for line in process.stdout or ():
        printed += line
        if text in line:
            return printed
    raise AssertionError(f"ended without {text!r}:\n{printed}")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())
