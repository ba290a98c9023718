"""Looks for the trainers and the devices in a fresh process, as `nnUNetv2_train` would."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

Finding = TypeVar("Finding")

# The commands of nnU-Net do not see modules of the current folder; nor may this process.
SCRIPT = "import sys; sys.path[:] = filter(None, sys.path); from nnunet_sgdc.doctor.probe import main; main()"


@dataclass(frozen=True)
class Probe:
    """What the fresh process found.

    Args:
        trainers: The module each of our trainers was found in.
        trainer_error: Why the trainers were not found; empty if they were.
        gpus: Name and memory of each CUDA device.
        has_mps: Whether there is an Apple GPU.
        device_error: Why the devices were not found; empty if they were.
    """

    trainers: dict[str, str] = field(default_factory=dict)
    trainer_error: str = ""
    gpus: list[str] = field(default_factory=list)
    has_mps: bool = False
    device_error: str = ""


def probe_in_fresh_process() -> Probe:
    """Start a Python like that of `nnUNetv2_train` and return what it found."""
    # nnU-Net prints while it searches, so the answer goes through a file.
    with TemporaryDirectory() as folder:
        answer = Path(folder, "probe.json")
        ended = subprocess.run([sys.executable, "-c", SCRIPT, str(answer)], capture_output=True, text=True)
        if answer.exists():
            return Probe(**json.loads(answer.read_text(encoding="utf-8")))
    last_line = (ended.stderr.strip() or f"exit status {ended.returncode}").splitlines()[-1]
    return Probe(trainer_error=last_line, device_error=last_line)


def main() -> None:
    """Write what this process finds to the file named on the command line."""
    Path(sys.argv[1]).write_text(json.dumps(asdict(probe())), encoding="utf-8")


def probe() -> Probe:
    """Look for the trainers and the devices in this process."""
    trainers, trainer_error = _attempt(resolve_trainers)
    devices, device_error = _attempt(find_devices)
    gpus, has_mps = devices or ([], False)
    return Probe(trainers or {}, trainer_error, gpus, has_mps, device_error)


def resolve_trainers() -> dict[str, str]:
    """Find every trainer of ours through nnU-Net's own search, and the module it comes from."""
    find = import_module("nnunetv2.run.run_training").recursive_find_trainer_class_by_name
    return {name: find(name).__module__ for name in import_module("nnunet_sgdc.trainers").__all__}


def find_devices() -> tuple[list[str], bool]:
    """Name the CUDA devices, and tell whether there is an Apple GPU."""
    import torch

    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    gpus = [f"{device.name} ({device.total_memory / 2**30:.1f} GiB)" for device in properties]
    return gpus, torch.backends.mps.is_available()


def _attempt(search: Callable[[], Finding]) -> tuple[Finding | None, str]:
    # Whatever goes wrong here is what the user has to read.
    try:
        return search(), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
