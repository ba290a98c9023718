"""Everything of this project that needs a GPU, in less than eight minutes: `python -m benchmarks.gpu`.

Every step is a command in a process of its own, with a budget. What a step does not use, the next ones may; a step that
takes too long is stopped, and what it has printed by then stands.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch

from benchmarks.measure import print_header, print_row
from nnunet_sgdc.command_line import run
from nnunet_sgdc.errors import UserError, listed

ROOT = Path(__file__).parents[1]


class Step(NamedTuple):
    """A check or a timing.

    Attributes:
        name: What it is.
        module: What `python -m` runs, and its arguments.
        budget: Seconds that it may take.
        settings: Variables of its environment.
    """

    name: str
    module: tuple[str, ...]
    budget: int
    settings: Mapping[str, str] = MappingProxyType({})


STEPS = (
    Step("Triton kernels, checked", ("pytest", "-q", "tests/triton_kernels.py"), 50),
    Step("Mixed precision, checked", ("benchmarks.mixed_precision",), 60),
    Step("Operator, eager and compiled", ("benchmarks.dynamic_conv",), 70),
    Step("Operator, Triton kernels", ("benchmarks.dynamic_conv",), 50, {"NNUNET_SGDC_TRITON": "1"}),
    Step("SGE", ("benchmarks.sge",), 20),
    Step("Training step, eager", ("benchmarks.training_step",), 50, {"nnUNet_compile": "f"}),
    Step("Training step, compiled", ("benchmarks.training_step",), 80, {"nnUNet_compile": "t"}),
    Step("Planner's estimate of memory", ("benchmarks.memory_estimate",), 40),
    Step("Prediction", ("benchmarks.prediction",), 50),
)


class MeasurementError(UserError):
    """The GPU is missing, or something did not work on it."""


def main() -> None:
    """Run the steps and print what they print, then what became of them; leaves with 1 unless all went well."""
    run("benchmarks.gpu", _run_all, unfinished="what is printed above is all there is")


def run_steps(steps: Sequence[Step]) -> dict[str, str]:
    """Run steps one after the other.

    Args:
        steps: The steps.

    Returns:
        What became of each, by its name.
    """
    deadline = time.monotonic() + sum(step.budget for step in steps)
    outcomes = {}
    for index, step in enumerate(steps):
        print(f"\n## {step.name}\n", flush=True)
        later = sum(step.budget for step in steps[index + 1 :])
        outcomes[step.name] = _run_step(step, deadline - later - time.monotonic())
    return outcomes


def _run_all() -> str:
    if not torch.cuda.is_available():
        raise MeasurementError(
            f"this needs a GPU that PyTorch reaches through CUDA, which torch {torch.__version__} does not find: check "
            "nvidia-smi, and that torch is built for CUDA"
        )
    print_header("GPU", "compute capability", "memory", "torch", "CUDA", "nnunetv2", "triton")
    gpu = torch.cuda.get_device_properties(0)
    versions = torch.__version__, torch.version.cuda, _version("nnunetv2"), _version("triton")
    print_row(gpu.name, f"{gpu.major}.{gpu.minor}", f"{gpu.total_memory / 2**30:.0f} GB", *versions)
    outcomes = run_steps(STEPS)
    print("\n## What became of the steps\n")
    print_header("step", "")
    for name, outcome in outcomes.items():
        print_row(name, outcome)
    failed = [name for name, outcome in outcomes.items() if outcome.startswith("failed")]
    if failed:
        raise MeasurementError(f"all steps must end well, but {listed(failed)} failed: see above, and tell us")
    return ""


def _run_step(step: Step, limit: float) -> str:
    """Run a step for so many seconds at most and tell what became of it."""
    start = time.monotonic()
    command, environment = [sys.executable, "-m", *step.module], {**os.environ, **step.settings}
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            return f"stopped after {limit:.0f} s, the rest is skipped"
        finally:
            # With the processes that it has started.
            _end_group(process)
    took = f"{time.monotonic() - start:.0f} s"
    return f"done in {took}" if process.returncode == 0 else f"failed with exit code {process.returncode} after {took}"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    # As a rule nothing of it is left.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
