"""Folders that appear complete or not at all.

Everything is written to a hidden folder beside the target, which nnU-Net does not see, and renamed at the end. What a
killed process left behind is put right by the next one that writes the same folder.
"""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_sgdc.errors import UserError

# Hidden folders that this process is at work in.
_active: set[str] = set()


def check_replaceable(target: Path, overwrite: bool) -> None:
    """Check that a folder may appear under this path.

    Raises:
        UserError: Something is there and may not be replaced.
    """
    if target.is_symlink():
        raise UserError(f"{target} is a link, which cannot be replaced safely: remove it, or choose another one")
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists already: give --overwrite to replace it, or choose another one")


def check_apart(output: Path, *inputs: Path) -> None:
    """Check that writing a folder anew would not remove what it is made from.

    Args:
        output: The folder, resolved.
        inputs: Files or folders that are read.

    Raises:
        UserError: The folder is or holds one of them.
    """
    for path in inputs:
        if path.resolve().is_relative_to(output):
            raise UserError(f"output must be a folder of its own, got {output}, which holds {path}: choose another one")


@contextmanager
def staged(target: Path, overwrite: bool) -> Iterator[Path]:
    """Give a hidden empty folder that becomes `target` when the block ends well, and disappears when it does not.

    Args:
        target: The folder to appear.
        overwrite: Whether `target` may be replaced; the old one stays until the new one is complete.
    """
    with _hidden(target, "partial") as partial:
        try:
            yield partial
            if overwrite and target.exists():
                _swap(partial, target)
            else:
                partial.rename(target)
        except BaseException:
            if partial.exists():
                shutil.rmtree(partial)
            raise


@contextmanager
def scratch(place: Path, name: str) -> Iterator[Path]:
    """Give a hidden empty folder in a place with room, which disappears afterwards.

    Args:
        place: The folder to make it in.
        name: What it is for; what killed processes left under this name is removed.
    """
    with _hidden(place / name, "scratch") as folder:
        try:
            yield folder
        finally:
            # Files that are still mapped cannot be removed everywhere; the next process will.
            shutil.rmtree(folder, ignore_errors=True)


def recover(target: Path) -> None:
    """Put right what a killed process that wrote this folder left on this computer.

    A folder that was being replaced comes back; unfinished folders go. Those of processes that run, or that ran on
    other computers which share the disk, are not touched.
    """
    pattern = re.compile(re.escape(f".{target.name}.") + r"([a-z]+)-" + re.escape(socket.gethostname()) + "-([0-9]+)")
    for leftover in sorted(target.parent.iterdir()):
        found = pattern.fullmatch(leftover.name)
        if found is None or leftover.name in _active or _is_alive(int(found[2])):
            continue
        if found[1] == "replaced" and not target.exists():
            leftover.rename(target)
        else:
            # Another process may be clearing it as well.
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _hidden(target: Path, kind: str) -> Iterator[Path]:
    """A new folder beside the target that `recover` leaves alone as long as the block runs."""
    recover(target)
    folder = target.with_name(f".{target.name}.{kind}-{_owner()}")
    folder.mkdir()
    _active.add(folder.name)
    try:
        yield folder
    finally:
        _active.discard(folder.name)


def _owner() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        # It was another process of this number, as in containers.
        return False
    if os.name == "nt":
        # Windows has no signal that only asks.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _swap(new: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.replaced-{_owner()}")
    try:
        target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    # The new folder is in place, whatever becomes of the old one; the next process clears what cannot go now.
    shutil.rmtree(old, ignore_errors=True)
