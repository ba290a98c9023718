"""Whether nnU-Net's three folders are set and usable."""

import os
import shlex
import shutil
from pathlib import Path

from nnunet_sgdc.doctor.check import Check, failed, passed, warning

VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


def check_folder(variable: str) -> Check:
    """Tell whether a folder of nnU-Net is set, there or can be made, and writable."""
    value = os.environ.get(variable)
    if not value:
        return failed(variable, "is not set", f"export {variable}=/path/to/{variable}")
    folder = Path(value).absolute()
    existing = nearest_existing(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        remedy = f"make it a folder you may write to, or choose another: export {variable}=/path/to/{variable}"
        return failed(variable, f"{existing} is not a writable folder", remedy)
    free = f"{shutil.disk_usage(existing).free / 2**30:.1f} GiB free"
    if existing != folder:
        return warning(variable, f"{folder} does not exist yet, {free}", f"mkdir -p {shlex.quote(str(folder))}")
    return passed(variable, f"{folder}, {free}")


def nearest_existing(path: Path) -> Path:
    """Find the lowest of an absolute path and its parents that exists."""
    # os.path.exists, since Path.exists raises below a folder that may not be entered.
    return next(candidate for candidate in (path, *path.parents) if os.path.exists(candidate))
