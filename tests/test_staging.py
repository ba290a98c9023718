"""Folders appear complete or not at all, and what killed processes left is put right by the next ones."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from releases import content_of, names

from nnunet_sgdc.errors import UserError
from nnunet_sgdc.staging import check_replaceable, recover, scratch, staged


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def old(target: Path) -> Path:
    """A folder from before, in the place of the new one."""
    target.mkdir()
    (target / "old.txt").touch()
    return target


def hidden(target: Path, kind: str, host: str = socket.gethostname(), process: int = os.getpid()) -> Path:
    """Where a process keeps a folder for this one: `partial`, `replaced` or `scratch`."""
    return target.with_name(f".{target.name}.{kind}-{host}-{process}")


def dead_process() -> int:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(timeout=60)
    return dead.pid


def write(target: Path, *, overwrite: bool = False, error: BaseException | None = None) -> None:
    with staged(target, overwrite) as folder:
        (folder / "new.txt").touch()
        if error:
            raise error


# What may be replaced


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_path_with_nothing_there_is_free(target: Path, overwrite: bool) -> None:
    check_replaceable(target, overwrite)


def test_an_old_folder_is_replaced_only_when_asked(old: Path) -> None:
    with pytest.raises(UserError, match=r"target exists already: give --overwrite to replace it, or choose another"):
        check_replaceable(old, overwrite=False)
    check_replaceable(old, overwrite=True)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_not_replaced(target: Path, tmp_path: Path, there: bool) -> None:
    target.symlink_to(tmp_path if there else tmp_path / "nowhere")
    with pytest.raises(UserError, match="target is a link, which cannot be replaced safely: remove it"):
        check_replaceable(target, overwrite=True)


# Folders that appear


def test_a_folder_appears_when_it_is_complete(target: Path) -> None:
    with staged(target, overwrite=False) as folder:
        (folder / "new.txt").touch()
        assert names(target.parent) == [folder.name]
        assert folder.name.startswith(".")
    assert names(target.parent) == ["target"]
    assert names(target) == ["new.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(target: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write(target, error=error)
    assert names(target.parent) == []


def test_the_old_folder_is_there_until_the_new_one_is(old: Path) -> None:
    with staged(old, overwrite=True):
        assert names(old) == ["old.txt"]
    assert names(old) == []
    assert names(old.parent) == ["target"]


def test_a_failure_keeps_the_old_folder(old: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(old, overwrite=True, error=KeyboardInterrupt())
    assert content_of(old.parent) == {"target/old.txt": b""}


def test_failure_of_the_last_rename_brings_the_old_folder_back(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if ".partial" in path.name:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        write(old, overwrite=True)
    assert content_of(old.parent) == {"target/old.txt": b""}
    assert names(old.parent) == ["target"]


def test_what_appears_in_the_meantime_is_not_replaced(target: Path) -> None:
    def overtaken() -> None:
        with staged(target, overwrite=False):
            target.mkdir()
            (target / "other.txt").touch()

    with pytest.raises(OSError, match="not empty"):
        overtaken()
    assert content_of(target.parent) == {"target/other.txt": b""}


# Scratch


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_scratch_disappears(tmp_path: Path, error: BaseException | None) -> None:
    with suppress(KeyboardInterrupt), scratch(tmp_path, "CoNIC") as folder:
        (folder / "copy.npy").touch()
        if error:
            raise error
    assert names(tmp_path) == []


def test_scratch_of_a_killed_process_is_cleared(tmp_path: Path) -> None:
    hidden(tmp_path / "CoNIC", "scratch", process=dead_process()).mkdir()
    with scratch(tmp_path, "CoNIC") as folder:
        assert names(folder) == []
        assert names(tmp_path) == [folder.name]


# What killed processes leave


def test_a_folder_that_was_being_replaced_comes_back(old: Path) -> None:
    old.rename(hidden(old, "replaced", process=dead_process()))
    recover(old)
    assert content_of(old.parent) == {"target/old.txt": b""}


def test_a_folder_that_was_being_replaced_comes_back_before_the_next_attempt(old: Path) -> None:
    old.rename(hidden(old, "replaced", process=dead_process()))
    with pytest.raises(KeyboardInterrupt):
        write(old, overwrite=True, error=KeyboardInterrupt())
    assert content_of(old.parent) == {"target/old.txt": b""}


@pytest.mark.parametrize("kind", ["partial", "replaced", "scratch"])
def test_leftovers_beside_the_folder_go(old: Path, kind: str) -> None:
    leftover = hidden(old, kind, process=dead_process())
    leftover.mkdir()
    (leftover / "half.txt").touch()
    recover(old)
    assert content_of(old.parent) == {"target/old.txt": b""}
    assert names(old.parent) == ["target"]


def test_leftover_of_an_earlier_process_of_the_same_number_is_cleared(target: Path) -> None:
    hidden(target, "partial").mkdir()
    write(target)
    assert names(target.parent) == ["target"]


def test_work_of_this_process_is_not_touched(target: Path) -> None:
    with staged(target, overwrite=False) as folder:
        recover(target)
        assert folder.is_dir()


def test_work_of_a_running_process_is_not_touched(target: Path) -> None:
    running = hidden(target, "partial", process=1)
    running.mkdir()
    write(target)
    assert running.is_dir()


def test_work_on_another_computer_is_not_touched(target: Path) -> None:
    elsewhere = hidden(target, "partial", host="another-host", process=dead_process())
    elsewhere.mkdir()
    write(target)
    assert elsewhere.is_dir()


@pytest.mark.parametrize("name", [".target.partial-notes", ".target.mine-me-too"])
def test_other_hidden_files_are_not_touched(target: Path, name: str) -> None:
    target.with_name(name).touch()
    write(target)
    assert target.with_name(name).exists()


def test_leftovers_of_another_folder_are_not_touched(target: Path) -> None:
    other = hidden(target.with_name("target2"), "partial", process=dead_process())
    other.mkdir()
    recover(target)
    assert other.is_dir()
