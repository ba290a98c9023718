"""A conversion ends with the whole data set or leaves everything as it was, whatever stops it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ordinary_user import as_ordinary_user, public_folder
from releases import COMMAND, content_of, convert, names, pixels, write_release

from nnunet_sgdc.datasets.case_writer import CaseWriter
from nnunet_sgdc.datasets.collection import Case
from nnunet_sgdc.datasets.convert_isic import main
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.record import CaseRecord
from nnunet_sgdc.datasets.report import ConversionReport
from nnunet_sgdc.errors import UserError
from nnunet_sgdc.staging import scratch, staged


def converted(release: Path, size: int, *, overwrite: bool = False) -> ConversionReport:
    return convert(release, 1, size=size, overwrite=overwrite)


def fail_at(monkeypatch: pytest.MonkeyPatch, identifier: str, error: BaseException) -> None:
    write = CaseWriter.write

    def failing(writer: CaseWriter, case: Case) -> CaseRecord:
        if case.identifier == identifier:
            raise error
        return write(writer, case)

    monkeypatch.setattr(CaseWriter, "write", failing)


def test_existing_data_set_is_kept_and_the_remedy_named(release: Path, raw: Path) -> None:
    converted(release, 32)
    with pytest.raises(UserError, match="exists already: give --overwrite"):
        converted(release, 64)
    assert pixels(raw / "Dataset001_ISIC2016" / "labelsTr" / "0.png").shape == (32, 32)


def test_overwriting_replaces_the_data_set(release: Path, raw: Path) -> None:
    (converted(release, 32).folder / "imagesTr" / "stale_0000.png").touch()
    folder = converted(release, 64, overwrite=True).folder
    assert pixels(folder / "labelsTr" / "0.png").shape == (64, 64)
    assert "stale_0000.png" not in names(folder / "imagesTr")
    assert names(raw) == ["Dataset001_ISIC2016"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_halfway_leaves_nothing(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    fail_at(monkeypatch, "4", error)
    with pytest.raises(type(error)):
        converted(release, 32)
    assert names(raw) == []


def test_failure_cancels_what_has_not_begun(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def failing(_: CaseWriter, case: Case) -> None:
        begun.append(case.identifier)
        time.sleep(0.1)
        raise ConversionError("broken")

    monkeypatch.setattr(CaseWriter, "write", failing)
    with pytest.raises(ConversionError, match="broken"):
        convert(write_release(tmp_path / "release", counts=(20,)), 1, workers=1)
    assert len(begun) < 5


def test_failure_while_overwriting_keeps_the_old_data_set(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted(release, 32)
    fail_at(monkeypatch, "4", OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        converted(release, 64, overwrite=True)
    assert names(raw) == ["Dataset001_ISIC2016"]
    assert pixels(raw / "Dataset001_ISIC2016" / "labelsTr" / "0.png").shape == (32, 32)


def test_failure_of_the_last_rename_brings_the_old_data_set_back(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted(release, 32)
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if ".partial" in path.name:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        converted(release, 64, overwrite=True)
    assert names(raw) == ["Dataset001_ISIC2016"]


def test_data_set_behind_a_link_is_not_replaced(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (raw / "Dataset001_ISIC2016").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link"):
        converted(release, 32, overwrite=True)


def killed_while(release: Path, raw: Path, *options: str) -> None:
    """Kill the command in the middle of its work."""
    command = [sys.executable, "-c", COMMAND, str(release), "1", "--size", "2000", "--workers", "1", *options]
    process = subprocess.Popen(command)
    while not list(raw.glob(".Dataset001*/imagesTr/*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait(timeout=60)


def test_killed_conversion_leaves_nothing_that_nnunet_sees(tmp_path: Path, raw: Path) -> None:
    killed_while(write_release(tmp_path / "release", counts=(100,)), raw)
    assert list(raw.glob("Dataset*")) == []
    assert len(names(raw)) == 1


def test_killed_overwriting_leaves_the_old_data_set(tmp_path: Path, raw: Path) -> None:
    old = content_of(convert(write_release(tmp_path / "release", counts=(50,)), size=32).folder)
    killed_while(tmp_path / "release", raw, "--overwrite")
    assert content_of(raw / "Dataset001_ISIC2016") == old


def test_next_conversion_clears_what_a_killed_one_left(tmp_path: Path, raw: Path) -> None:
    release = write_release(tmp_path / "release", counts=(100,))
    killed_while(release, raw)
    convert(release, size=16)
    assert names(raw) == ["Dataset001_ISIC2016"]


def leave_behind(folder: Path, kind: str) -> int:
    """Rename the data set as a process does that is killed while it replaces it; returns the dead process."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(timeout=60)
    folder.rename(folder.with_name(f".{folder.name}.{kind}-{socket.gethostname()}-{dead.pid}"))
    return dead.pid


def test_data_set_that_was_being_replaced_comes_back(release: Path, raw: Path) -> None:
    folder = convert(release, size=32).folder
    leave_behind(folder, "replaced")
    with pytest.raises(ConversionError, match="broken"), staged(folder, overwrite=True):
        raise ConversionError("broken")
    assert pixels(folder / "labelsTr" / "0.png").shape == (32, 32)


def test_scratch_of_a_killed_conversion_is_cleared(raw: Path) -> None:
    with scratch(raw, "CoNIC") as folder:
        (folder / "copy.npy").touch()
        (raw / "CoNIC").mkdir()
        leave_behind(raw / "CoNIC", "scratch")
    with scratch(raw, "CoNIC") as folder:
        assert names(folder) == []
        assert names(raw) == [folder.name]
    assert names(raw) == []


@pytest.mark.parametrize("meanwhile", ["Dataset001_Other", "Dataset001_ISIC2016/external_PH2"])
def test_what_appears_in_the_meantime_is_not_lost(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    old = converted(release, 32).folder
    write = CaseWriter.write

    def interrupted(writer: CaseWriter, case: Case) -> CaseRecord:
        (raw / meanwhile).mkdir(exist_ok=True)
        return write(writer, case)

    monkeypatch.setattr(CaseWriter, "write", interrupted)
    with pytest.raises(ConversionError):
        converted(release, 64, overwrite=True)
    assert (raw / meanwhile).is_dir()
    assert pixels(old / "labelsTr" / "0.png").shape == (32, 32)


def test_leftover_of_an_earlier_process_of_the_same_number_is_cleared(release: Path, raw: Path) -> None:
    (raw / f".Dataset001_ISIC2016.partial-{socket.gethostname()}-{os.getpid()}").mkdir()
    convert(release)
    assert names(raw) == ["Dataset001_ISIC2016"]


@pytest.mark.parametrize("name", [".Dataset001_ISIC2016.partial-notes", ".Dataset001_ISIC2016.mine-me-too"])
def test_other_hidden_files_are_not_touched(release: Path, raw: Path, name: str) -> None:
    (raw / name).touch()
    convert(release)
    assert (raw / name).exists()


def test_work_of_a_running_conversion_is_not_touched(release: Path, raw: Path) -> None:
    running = raw / f".Dataset001_ISIC2016.partial-{socket.gethostname()}-1"
    elsewhere = raw / ".Dataset001_ISIC2016.partial-another-host-1"
    running.mkdir()
    elsewhere.mkdir()
    convert(release)
    assert running.exists()
    assert elsewhere.exists()


def test_external_test_sets_are_not_overwritten(release: Path, raw: Path) -> None:
    (convert(release).folder / "external_PH2").mkdir()
    with pytest.raises(ConversionError, match=r"external test sets made for it \(external_PH2\), which --overwrite"):
        convert(release, overwrite=True)


def test_read_only_target_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with public_folder() as folder:
        release = write_release(folder / "release")
        (folder / "raw").mkdir(mode=0o555)
        with as_ordinary_user(), pytest.raises(SystemExit, match="1"):
            main([str(release), "1", "--raw", str(folder / "raw")])
    assert re.fullmatch(
        r"nnunet_sgdc-convert-isic: error: .*/\.Dataset001_ISIC2016\.partial-\S+: Permission denied; put that right "
        r"and start again, nothing was written\n",
        capsys.readouterr().err,
    )


def test_error_without_a_file_name_is_one_sentence(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_at(monkeypatch, "1", OSError(28, "No space left on device"))
    with pytest.raises(SystemExit, match="1"):
        main([str(release), "1"])
    assert capsys.readouterr().err == (
        "nnunet_sgdc-convert-isic: error: No space left on device; put that right and start again, "
        "nothing was written\n"
    )


def test_full_disk_is_one_sentence(release: Path, raw: Path, tmp_path: Path) -> None:
    # The kernel stops files at this size, as a full disk would.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); "
    command = [sys.executable, "-c", limit + COMMAND, str(release), "1", "--size", "900"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"nnunet_sgdc-convert-isic: error: .*File too large; put that right .*\n", result.stderr)
    assert names(raw) == []


def test_ctrl_c_leaves_nothing_and_exits_with_1(tmp_path: Path, raw: Path) -> None:
    release = write_release(tmp_path / "release", counts=(100,))
    command = [sys.executable, "-c", COMMAND, str(release), "1", "--size", "2000", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(raw.glob(".Dataset001*/imagesTr/*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "nnunet_sgdc-convert-isic: interrupted: nothing was written\n"
    assert process.returncode == 1
    assert names(raw) == []
