"""Running the smoke study for real, and killing what runs."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from workspaces import Workspace

SMOKE = Path(__file__).parents[1] / "studies" / "smoke.yaml"
MODELS = "Dataset998_Phantoms"
EPOCHS = 2


def processes_with(text: str) -> list[int]:
    """All processes that have this text in a variable of their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if text.encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
    return found


def kill_all(workspace: Workspace) -> None:
    """What a power failure does to everything that works on these folders."""
    while processes := processes_with(f"nnUNet_results={workspace.folder}/"):
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


def write_study(workspace: Workspace, **changes: Any) -> str:
    path = workspace.folder / "study.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(SMOKE.read_text()), "epochs": EPOCHS, **changes}))
    return str(path)


def fold_folders(workspace: Workspace) -> list[Path]:
    return sorted((workspace.folder / "results" / MODELS).glob("*/fold_*"))


def wait_until(condition: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
