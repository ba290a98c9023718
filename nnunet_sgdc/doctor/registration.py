"""Whether nnU-Net is told where our trainers are."""

import os
import shlex
from importlib import metadata

from nnunet_sgdc.discovery import TRAINER_FOLDER, VARIABLE, with_trainer_folder
from nnunet_sgdc.doctor.check import Check, passed, warning

AUTOLOAD_SWITCH = "TORCH_DEVICE_BACKEND_AUTOLOAD"


def check_autoload() -> Check:
    """Tell whether `import torch` calls our entry point."""
    setting = os.environ.get(AUTOLOAD_SWITCH, "1")
    if setting == "1":
        return passed("autoload", "on")
    return _without_entry_point("autoload", f"off ({AUTOLOAD_SWITCH}={setting})")


def check_entry_point() -> Check:
    """Tell whether our entry point is recorded in the environment."""
    if metadata.entry_points(group="torch.backends", name="nnunet_sgdc"):
        return passed("entry point", "found")
    return _without_entry_point("entry point", "missing, the package was not installed with pip")


def check_trainer_folder() -> Check:
    """Tell whether the path of our folder can stand in a list of folders."""
    if os.pathsep in str(TRAINER_FOLDER):
        detail = f"{TRAINER_FOLDER} contains {os.pathsep!r}, at which nnU-Net splits {VARIABLE}"
        return warning("trainer folder", detail, "install into a folder without it")
    return passed("trainer folder", str(TRAINER_FOLDER))


def export_line() -> str:
    """Give the line that makes the trainers known by hand, with the folders that are already set."""
    folders = with_trainer_folder(os.environ.get(VARIABLE, ""))
    if os.name == "nt":
        return f'set "{VARIABLE}={folders}"'
    return f"export {VARIABLE}={shlex.quote(folders)}"


def _without_entry_point(name: str, detail: str) -> Check:
    if str(TRAINER_FOLDER) in os.environ.get(VARIABLE, "").split(os.pathsep):
        return passed(name, f"{detail}, but {VARIABLE} names our trainers")
    # Only a warning: whether the trainers are found all the same is for check_trainers to say.
    return warning(name, detail, export_line())
