"""Measuring two formulations against each other: times in turn, memory each in a process of its own."""

import gc
import multiprocessing
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from unittest import mock

import torch

Work = Callable[[], object]
# Called in the process that measures, so that nothing of one formulation is there when the other is measured.
MakeWork = Callable[[], Work]

MEGABYTE = 2**20


def device() -> torch.device:
    """CUDA if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def times_in_turn(plain: Work, ours: Work, pairs: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median over pairs of plain / ours."""
    plain(), ours()
    seconds = [(_seconds(plain), _seconds(ours)) for _ in range(pairs)]
    return median(a for a, _ in seconds), median(b for _, b in seconds), median(a / b for a, b in seconds)


def extra_memory(make_work: MakeWork) -> float:
    """Peak megabytes that the work takes beyond its inputs."""
    context = multiprocessing.get_context("spawn")
    # glibc then gives back what is freed at once; what it keeps for later says nothing about what was needed.
    with mock.patch.dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536"), context.Pool(1) as pool:
        return pool.apply(partial(_extra_memory_here, make_work))


def print_row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def print_header(*cells: str) -> None:
    """Print the head of a Markdown table."""
    print_row(*cells)
    print_row(*("---" for _ in cells))


def _seconds(work: Work) -> float:
    _finish()
    start = time.perf_counter()
    work()
    _finish()
    return time.perf_counter() - start


def _finish() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def _extra_memory_here(make_work: MakeWork) -> float:
    # What the first run brings along for all times, libraries and threads, is no part of the work.
    make_work()()
    gc.collect()
    work = make_work()
    before = _memory("VmRSS")
    # The second run is measured: what the first leaves behind (gradients, momentum) counts.
    work()
    _reset_peak()
    work()
    return (_memory("VmHWM") - before) / MEGABYTE


def _reset_peak() -> None:
    if device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _memory(field: str) -> int:
    """Bytes that this process holds now (VmRSS) or at most since the reset (VmHWM); those of PyTorch on CUDA."""
    if device().type == "cuda":
        return torch.cuda.memory_allocated() if field == "VmRSS" else torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
