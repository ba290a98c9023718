"""How far a training has come, read from the files that nnU-Net writes while it trains."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

EPOCH = re.compile(r": Epoch (\d+) ?$", re.MULTILINE)
EPOCH_TIME = re.compile(r": Epoch time: ([\d.]+) s ?$", re.MULTILINE)
# Far more than the last ten epochs take.
TAIL_BYTES = 2**16
RECENT = 10
SHOWN_LINES = 3


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        epoch: Epochs that are done.
        epochs: Epochs in all; None if nnU-Net has not said.
        epoch_seconds: Median time of the last epochs; None before the first is done.
    """

    epoch: int
    epochs: int | None
    epoch_seconds: float | None

    @property
    def seconds_left(self) -> float | None:
        """Time until the last epoch is done, if it can be told."""
        if self.epochs is None or self.epoch_seconds is None:
            return None
        return max(0, self.epochs - self.epoch) * self.epoch_seconds


def read_progress(folder: Path) -> Progress | None:
    """Read the newest training log.

    Args:
        folder: nnU-Net's folder of a fold.

    Returns:
        The progress; None if no training has begun.
    """
    logs = sorted(folder.glob("training_log_*.txt"), key=lambda path: path.stat().st_mtime)
    if not logs:
        return None
    text = "\n".join(_tail(path) for path in logs[-2:])
    begun, timed = list(EPOCH.finditer(text)), list(EPOCH_TIME.finditer(text))
    recent = [float(time[1]) for time in timed[-RECENT:]]
    return Progress(_epochs_done(begun, timed), _epochs(folder), median(recent) if recent else None)


def last_lines(file: Path) -> str:
    """The last lines of a log that say something; nothing if there is none."""
    try:
        lines = [line.strip() for line in _tail(file).splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return " | ".join(lines[-SHOWN_LINES:])


def _epochs_done(begun: Sequence[re.Match[str]], timed: Sequence[re.Match[str]]) -> int:
    if not begun:
        return 0
    # An epoch gets its time when it is done.
    is_done = bool(timed) and timed[-1].start() > begun[-1].start()
    return int(begun[-1][1]) + is_done


def _tail(file: Path) -> str:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
        return stream.read().decode("utf-8", errors="replace")


def _epochs(folder: Path) -> int | None:
    """What nnU-Net notes of its trainer when a training begins."""
    try:
        return int(json.loads((folder / "debug.json").read_text(encoding="utf-8"))["num_epochs"])
    except (FileNotFoundError, KeyError, ValueError):
        return None
