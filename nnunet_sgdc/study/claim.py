"""That no two processes do the same training, on one machine or on several that share a file system."""

import fcntl
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnunet_sgdc.study.job_record import BEAT_SECONDS, RECORD, SILENCE_SECONDS, is_running, read_record

LOCK = "study.lock"


@contextmanager
def claimed(folder: Path) -> Iterator[int | None]:
    """Try to claim the folder of a training.

    Args:
        folder: nnU-Net's folder of a fold; it is made.

    Yields:
        A file descriptor if the training is ours, else None. Every process that inherits it holds the claim, too: a
        training that has lost the process that started it is still not done twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield None if _is_held_elsewhere(folder) else file.fileno()


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Wait until no other process is in such a block.

    Args:
        lock: A file for this purpose; its folder must be there.
    """
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def heartbeat(folder: Path) -> Iterator[None]:
    """Touch the record of a training again and again while the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            # What a full or failing disk does not take now, it may take next time.
            with suppress(OSError):
                (folder / RECORD).touch()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _is_held_elsewhere(folder: Path) -> bool:
    """Whether another machine, which may not see our lock, is at it.

    A job that goes on after its time was over may come to a new machine before the old one has fallen silent.
    """
    record = read_record(folder)
    # Of this machine, the lock has told.
    if record is None or record.host == socket.gethostname():
        return False
    deadline = time.monotonic() + SILENCE_SECONDS
    while is_running(folder, read_record(folder)) and time.monotonic() < deadline:
        time.sleep(BEAT_SECONDS)
    return is_running(folder, read_record(folder))
