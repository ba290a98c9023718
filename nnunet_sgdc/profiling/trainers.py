"""The trainers that are profiled: nnU-Net's own search finds them, and a folder of their own keeps what they write."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nnunetv2
import torch
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from nnunet_sgdc.discovery import VARIABLE
from nnunet_sgdc.errors import listed
from nnunet_sgdc.networks import ungraft_architecture
from nnunet_sgdc.profiling.errors import ProfileError
from nnunet_sgdc.profiling.setting import Setting
from nnunet_sgdc.trainers import __all__ as our_trainers
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

# What nnU-Net says of names that no trainer has.
REFUSALS = ("Could not find requested nnunet trainer", "must inherit from")
CLASS = re.compile(r"^class (\w+)", re.MULTILINE)


def find_trainer(name: str) -> type[Any]:
    """Find the class of a trainer as `nnUNetv2_train -tr` does.

    Raises:
        ProfileError: There is no such trainer.
    """
    try:
        kind: type[Any] = recursive_find_trainer_class_by_name(name)
    except (RuntimeError, AssertionError) as error:
        if not any(refusal in str(error) for refusal in REFUSALS):
            raise
        near = listed(get_close_matches(name, _known_names()))
        remedy = f"did you mean {near}?" if near else f"check it, and that {VARIABLE} names its folder"
        raise ProfileError(f"-tr must name trainers that nnU-Net finds, got {name!r}: {remedy}") from error
    return kind


def has_sgdc(kind: type[Any]) -> bool:
    """Whether a trainer grafts SGDC onto the network of the plans."""
    return issubclass(kind, nnUNetTrainerSGDC)


def make_trainer(kind: type[Any], setting: Setting, device: torch.device, *, initialize: bool = True) -> Any:
    """Make a trainer that is ready for its first step; plans that name SGDC lose it for trainers without.

    Args:
        kind: Class of the trainer.
        setting: What it is to train on.
        device: Where it is to train.
        initialize: Whether it gets its network; without, it only knows how long it would train.

    Raises:
        ProfileError: The trainer cannot do with the plans.
    """
    plans = {**deepcopy(setting.plans), "continue_training": False}
    if not has_sgdc(kind):
        architecture = ungraft_architecture(setting.configured.configuration["architecture"])
        plans["configurations"][setting.configuration]["architecture"] = architecture
    try:
        trainer = kind(plans, setting.configuration, 0, deepcopy(setting.dataset_json), device)
        if initialize:
            trainer.initialize()
    except ValueError as error:
        raise ProfileError(
            f"{kind.__name__} cannot train the configuration {setting.configuration} of {setting.plans_name} ({error}):"
            " choose another configuration with -c, other plans with -p, or another trainer with -tr"
        ) from error
    return trainer


@contextmanager
def quarantine(setting: Setting) -> Iterator[None]:
    """Let trainers write into a folder that disappears, print nothing, and see a preprocessed data set."""
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        cases = Path(folder, setting.dataset, setting.configured.data_identifier)
        cases.mkdir(parents=True)
        # From the ending nnU-Net takes how cases are stored.
        (cases / "case.b2nd").touch()
        folders = {"nnUNet_preprocessed": folder, "nnUNet_results": folder}
        # Trainers open an online run as soon as they are made, where that is on.
        with _environment({**folders, "nnUNet_wandb_enabled": "0"}):
            yield


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


def _known_names() -> list[str]:
    """Names of classes where nnU-Net looks for trainers, of which nothing is imported."""
    folders = [Path(nnunetv2.__path__[0], "training", "nnUNetTrainer")]
    folders += map(Path, filter(str.strip, os.environ.get(VARIABLE, "").split(os.pathsep)))
    texts = [path.read_text(encoding="utf-8", errors="replace") for folder in folders for path in folder.rglob("*.py")]
    return [*our_trainers, *(name for text in texts for name in CLASS.findall(text))]
