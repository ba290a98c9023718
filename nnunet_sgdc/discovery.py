"""Tells nnU-Net where our trainers are.

nnU-Net looks for trainers in the folders that the environment variable `nnUNet_extTrainer` names. `import torch` calls
`register_trainers` in every process (entry point group `torch.backends`), while torch itself is half imported and
before nnU-Net reads the variable. An exception here would break `import torch` for every program of the environment,
so this module asks nothing of the machine: it handles strings only and touches neither disk nor another package.
"""

import os
from pathlib import Path

VARIABLE = "nnUNet_extTrainer"

# A folder of its own: nnU-Net imports every module below it a second time, under another name.
TRAINER_FOLDER = Path(__file__).with_name("ext_trainers")


def register_trainers() -> None:
    """Append our trainer folder to `nnUNet_extTrainer`, behind what the user has set."""
    os.environ[VARIABLE] = with_trainer_folder(os.environ.get(VARIABLE, ""))


def with_trainer_folder(folders: str) -> str:
    """Add our trainer folder to a list of folders, unless it is there.

    Args:
        folders: Folders separated by `os.pathsep`, may be empty.

    Returns:
        The same folders in the same order, ours last.
    """
    separator, ours = os.pathsep, str(TRAINER_FOLDER)
    # Searched as text, not split: a separator inside our own path must not add it again in every child process.
    if f"{separator}{ours}{separator}" in f"{separator}{folders}{separator}":
        return folders
    return f"{folders}{separator}{ours}" if folders else ours
