"""nnU-Net's plans files of a data set in nnUNet_preprocessed: reading all of them, and writing ours."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_sgdc.planners.errors import PlanningError

# nnU-Net separates the parts of the name of a model by two underscores.
NAME_PATTERN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|_(?!_))*")
PRESETS = ("M", "L", "XL")
# What the planners of nnU-Net and ours call their plans.
DEFAULT_NAMES = frozenset(
    {
        "nnUNetPlans",
        "nnUNetResEncUNetPlans",
        *(f"nnUNetResEncUNet{preset}Plans" for preset in PRESETS),
        "nnUNetSGDCPlans",
        *(f"nnUNetSGDCResEncUNet{preset}Plans" for preset in PRESETS),
    }
)
# Other files of nnU-Net in the same folder.
OTHER_FILES = frozenset({"dataset", "dataset_fingerprint", "splits_final"})
PARTIAL = ".partial"


def check_plans_name(folder: Path, name: str, planner: str, default: str) -> None:
    """Check that a planner may save its plans under a name.

    Args:
        folder: The data set in nnUNet_preprocessed.
        name: Name of the plans.
        planner: Name of the planner.
        default: Name of the plans of that planner where none is given.

    Raises:
        PlanningError: The name is none, or it belongs to another planner.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise PlanningError(
            f"-overwrite_plans_name must consist of letters, digits, '-' and single '_', got {name!r}: choose another"
        )
    if name != default and name in DEFAULT_NAMES | OTHER_FILES:
        raise PlanningError(
            f"-overwrite_plans_name must be a name of your own, got {name}, which is what nnU-Net or another planner "
            f"calls its file: choose another, or leave it out for {default}"
        )
    path = folder / f"{name}.json"
    owner = read_json(path).get("experiment_planner_used") if path.exists() else planner
    if owner != planner:
        raise PlanningError(
            f"{path} must be plans of {planner} to be replaced, but is of {owner}: choose another name with "
            "-overwrite_plans_name"
        )


def plans_files(folder: Path) -> list[dict[str, Any]]:
    """The contents of all plans files of a data set, by their names.

    Args:
        folder: The data set in nnUNet_preprocessed.

    Raises:
        PlanningError: A file is damaged.
    """
    others = {f"{name}.json" for name in OTHER_FILES}
    paths = [path for path in sorted(folder.glob("*.json")) if path.name not in others and PARTIAL not in path.suffixes]
    return [plans for plans in map(read_json, paths) if "configurations" in plans]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        PlanningError: It is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PlanningError(
            f"{path} must be JSON, got other content ({error}): remove it, and make it again if it is needed"
        ) from error
    if not isinstance(content, dict):
        raise PlanningError(f"{path} must hold one JSON object, got {type(content).__name__}: move it elsewhere")
    return content


@contextmanager
def written_beside(folder: Path, name: str) -> Iterator[str]:
    """Give the name of a copy of plans that replaces them when the block ends well.

    Args:
        folder: The data set in nnUNet_preprocessed.
        name: Name of the plans, which need not be there.
    """
    target, partial = folder / f"{name}.json", folder / f"{name}{PARTIAL}.json"
    # A killed process may have left one.
    partial.unlink(missing_ok=True)
    if target.exists():
        # nnU-Net keeps configurations that a user has added.
        shutil.copy(target, partial)
    try:
        yield f"{name}{PARTIAL}"
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
