"""What a study knows of one training beside nnU-Net's own files: study.json in the folder of the fold.

The process that trains touches the file again and again, so that others see, on whatever machine, that it is alive.
"""

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

RECORD, LOG = "study.json", "study.log"
BEAT_SECONDS = 5
# Clocks of machines and network file systems lag.
SILENCE_SECONDS = 60


@dataclass(frozen=True)
class JobRecord:
    """How a training stands.

    Attributes:
        state: `running`, `interrupted`, `failed` or `done`.
        attempts: How often it was started since it last ended well or was asked for anew.
        host: The machine that it ran on.
        process: The number of the process there.
        seed: The seed, so that it is on record beside the results.
        reason: Why it failed, in a sentence.
    """

    state: str
    attempts: int = 0
    host: str = ""
    process: int = 0
    seed: int | None = None
    reason: str = ""

    @classmethod
    def of_this_process(cls, seed: int | None) -> "JobRecord":
        """The record of a training that begins now."""
        return cls("running", host=socket.gethostname(), process=os.getpid(), seed=seed)

    @property
    def is_ours(self) -> bool:
        """Whether this process does the training."""
        return (self.host, self.process) == (socket.gethostname(), os.getpid())

    def write(self, folder: Path) -> None:
        """Write beside and rename."""
        partial = folder / f"{RECORD}.partial"
        partial.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        os.replace(partial, folder / RECORD)

    def ended(self, state: str, reason: str = "") -> "JobRecord":
        """The record of a training that does not run any more."""
        return replace(self, state=state, reason=reason)


def read_record(folder: Path) -> JobRecord | None:
    """The record in the folder of a training; None if no study has had to do with it.

    Args:
        folder: nnU-Net's folder of a fold.
    """
    try:
        return JobRecord(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def is_running(folder: Path, record: JobRecord | None) -> bool:
    """Whether a training is being done, as far as can be told from here.

    Args:
        folder: nnU-Net's folder of a fold.
        record: The record in it.
    """
    if record is None or record.state != "running":
        return False
    if record.host == socket.gethostname() and not Path(f"/proc/{record.process}").exists():
        return False
    return time.time() - (folder / RECORD).stat().st_mtime < SILENCE_SECONDS
