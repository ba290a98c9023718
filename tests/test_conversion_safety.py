"""A conversion ends with the whole data set or leaves everything as it was, whatever stops it."""

import re
import signal
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
