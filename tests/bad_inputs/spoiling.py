"""Ways to spoil the files of a release, whatever they hold; paths are relative to its folder."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from bad_inputs.entry import Spoil


def unspoilt(folder: Path) -> None:
    pass


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for each in spoils:
            each(folder)

    return spoil


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def copied(old: str, *copies: str) -> Spoil:
    def spoil(folder: Path) -> None:
        copy = shutil.copytree if (folder / old).is_dir() else shutil.copy
        for new in copies:
            (folder / new).parent.mkdir(parents=True, exist_ok=True)
            copy(folder / old, folder / new)

    return spoil


def moved(old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)

    return spoil


def removed(*names: str) -> Spoil:
    def spoil(folder: Path) -> None:
        for path in (folder / name for name in names):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def holding(file: str, content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / file).write_bytes(content)

    return spoil


def altered(file: str, change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(folder: Path) -> None:
        before = (folder / file).read_bytes()
        after = change(before)
        assert after != before
        (folder / file).write_bytes(after)

    return spoil


def text(file: str, old: str, new: str) -> Spoil:
    """Replace the first occurrence of a text; characters beyond ASCII are written as Latin-1."""
    return altered(file, lambda content: content.replace(old.encode(), new.encode("latin-1"), 1))


def truncated(file: str) -> Spoil:
    return altered(file, lambda content: content[: len(content) // 2])


def linked(name: str, target: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def closed(name: str) -> Spoil:
    return lambda folder: os.chmod(folder / name, 0)
