"""What the doctor says about good and broken installations."""

import json
import os
from importlib import metadata
from pathlib import Path

import numpy
import pytest

from nnunet_sgdc.discovery import TRAINER_FOLDER, VARIABLE
from nnunet_sgdc.doctor import command, main, probe, training
from nnunet_sgdc.doctor.check import Check, Status, failed, passed, warning
from nnunet_sgdc.doctor.folders import check_folder
from nnunet_sgdc.doctor.installation import check_copies, check_nnunet_window, check_package
from nnunet_sgdc.doctor.probe import Probe
from nnunet_sgdc.doctor.registration import check_autoload, check_entry_point, check_trainer_folder
from nnunet_sgdc.doctor.training import check_compiler, check_devices, check_trainers

WITH_GPU = Probe(trainers={"nnUNetTrainerSGDC": "nnunet_sgdc.trainers.x"}, gpus=["NVIDIA H100 (80.0 GiB)"])


@pytest.fixture
def ready_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, str(tmp_path))
    # A machine with a GPU may lack a compiler.
    monkeypatch.setenv("nnUNet_compile", "f")


# Packages


def test_a_package_is_shown_with_its_version_and_its_folder() -> None:
    check = check_package("numpy")
    assert check.detail == f"{numpy.__version__}  {Path(numpy.__file__).parent}"


def test_a_missing_package_fails_with_the_command_that_installs_it() -> None:
    assert check_package("no_such_package") == failed(
        "no_such_package", "is not installed", "pip install no_such_package"
    )


def test_an_unsupported_nnunet_fails_with_the_command_that_replaces_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", {"nnunetv2": "2.9.1"}.__getitem__)
    check = check_nnunet_window()
    assert check.status is Status.FAILED
    assert check.remedy == "pip install 'nnunetv2>=2.8,<2.9'"


def test_a_second_copy_on_the_path_is_reported_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fork = tmp_path / "nnunetv2"
    fork.mkdir()
    (fork / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    check = check_copies("nnunetv2")
    assert check.status is Status.WARNING
    assert str(fork.resolve()) in check.detail


def test_two_recorded_versions_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "nnunetv2-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: nnunetv2\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "recorded as 1.0" in check_copies("nnunetv2").detail


def test_a_single_copy_passes() -> None:
    assert check_copies("torch") == passed("torch copies", "one")


# Registration


def test_autoload_is_on_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_DEVICE_BACKEND_AUTOLOAD", raising=False)
    assert check_autoload() == passed("autoload", "on")


def test_without_autoload_the_line_to_type_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    monkeypatch.delenv(VARIABLE, raising=False)
    assert check_autoload().remedy == f"export {VARIABLE}={TRAINER_FOLDER}"


def test_the_line_to_type_keeps_the_folders_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    monkeypatch.setenv(VARIABLE, "/home/my user/trainers")
    assert check_autoload().remedy == f"export {VARIABLE}='/home/my user/trainers{os.pathsep}{TRAINER_FOLDER}'"


def test_without_autoload_a_variable_set_by_hand_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    monkeypatch.setenv(VARIABLE, str(TRAINER_FOLDER))
    assert check_autoload().status is Status.OK


def test_the_installed_entry_point_is_found() -> None:
    assert check_entry_point() == passed("entry point", "found")


def test_a_missing_entry_point_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(metadata, "entry_points", lambda **_: ())
    assert check_entry_point().status is Status.WARNING


def test_a_separator_in_the_installation_path_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Path(f"/strange{os.pathsep}place")
    monkeypatch.setattr("nnunet_sgdc.doctor.registration.TRAINER_FOLDER", strange)
    assert check_trainer_folder().status is Status.WARNING


# Trainers and devices


def test_trainers_found_by_nnunet_are_named() -> None:
    assert check_trainers(WITH_GPU) == passed("trainers", "nnUNetTrainerSGDC")


def test_the_reason_why_a_trainer_is_not_importable_is_shown() -> None:
    check = check_trainers(Probe(trainer_error="ImportError: no module named blocks"))
    assert check.status is Status.FAILED
    assert check.detail == "ImportError: no module named blocks"


def test_a_trainer_that_nnunet_does_not_find_gets_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    check = check_trainers(Probe(trainer_error="RuntimeError: Could not find requested nnunet trainer X in ..."))
    assert check.remedy == f"export {VARIABLE}={TRAINER_FOLDER}"


def test_a_trainer_of_the_same_name_from_elsewhere_is_reported() -> None:
    check = check_trainers(Probe(trainers={"nnUNetTrainerSGDC": "my_trainers"}))
    assert check.status is Status.WARNING
    assert "nnUNetTrainerSGDC from my_trainers" in check.detail


def test_gpus_are_listed() -> None:
    assert check_devices(WITH_GPU).detail.endswith("NVIDIA H100 (80.0 GiB)")


@pytest.mark.parametrize(("has_mps", "device"), [(False, "cpu"), (True, "mps")])
def test_without_a_cuda_device_the_flag_for_training_is_shown(has_mps: bool, device: str) -> None:
    assert check_devices(Probe(has_mps=has_mps)).remedy.endswith(f"-device {device}")


def test_a_torch_that_cannot_be_imported_fails() -> None:
    assert check_devices(Probe(device_error="OSError: libcudart.so")).status is Status.FAILED


def test_no_compiler_is_needed_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "missing_for_compilation", lambda: ["a C compiler"])
    assert check_compiler(Probe()).status is Status.OK


def test_a_missing_compiler_fails_and_the_switch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_compile", raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    check = check_compiler(WITH_GPU)
    assert check.status is Status.FAILED
    assert "a C compiler" in check.detail
    assert "export nnUNet_compile=f" in check.remedy


def test_a_missing_compiler_does_not_matter_with_compilation_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "missing_for_compilation", lambda: ["a C compiler"])
    monkeypatch.setenv("nnUNet_compile", "f")
    assert check_compiler(WITH_GPU) == passed("torch.compile", "off (nnUNet_compile=f)")


def test_a_compiler_named_by_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", "/opt/compiler/cc")
    assert not any("C compiler" in name for name in training.missing_for_compilation())


# Folders


def test_a_folder_that_is_not_set_fails_with_the_line_that_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_raw", raising=False)
    assert check_folder("nnUNet_raw") == failed("nnUNet_raw", "is not set", "export nnUNet_raw=/path/to/nnUNet_raw")


def test_a_writable_folder_passes_with_its_free_space(ready_environment: None, tmp_path: Path) -> None:
    check = check_folder("nnUNet_raw")
    assert check.status is Status.OK
    assert check.detail.startswith(f"{tmp_path}, ")
    assert check.detail.endswith(" GiB free")


def test_a_folder_that_can_be_made_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "a" / "b"))
    check = check_folder("nnUNet_raw")
    assert check.status is Status.WARNING
    assert check.remedy == f"mkdir -p {tmp_path}/a/b"


def test_a_file_in_the_way_of_a_folder_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "file" / "nnUNet_raw"))
    assert check_folder("nnUNet_raw").detail == f"{tmp_path / 'file'} is not a writable folder"


def test_a_folder_that_may_not_be_written_fails(ready_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere, so the answer of the system is replaced.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert check_folder("nnUNet_raw").status is Status.FAILED


# The fresh process


def test_an_exception_of_the_search_is_reported_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, str]:
        raise ImportError("broken on purpose")

    monkeypatch.setattr(probe, "resolve_trainers", fail)
    assert probe.probe().trainer_error == "ImportError: broken on purpose"


def test_a_process_that_dies_is_reported_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SCRIPT", "import sys; sys.exit('out of luck')")
    assert probe.probe_in_fresh_process().trainer_error == "out of luck"


def test_a_process_that_dies_silently_is_reported_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SCRIPT", "import os; os._exit(7)")
    assert probe.probe_in_fresh_process().device_error == "exit status 7"


# The command


def test_every_finding_has_a_line_and_every_remedy_the_next_one() -> None:
    table = command.as_table([passed("a", "good"), warning("longer", "odd", "do this")])
    assert table.splitlines()[:3] == [
        "ok       a       good",
        "warning  longer  odd",
        "                 -> do this",
    ]


def test_the_table_ends_with_the_verdict() -> None:
    assert command.as_table([passed("a", "good")]).endswith("\n\nTraining would start.")
    assert command.as_table([failed("a", "bad", "do this")]).endswith("would not start, checks that failed: 1.")


@pytest.mark.parametrize(
    ("check", "status"), [(passed("a", ""), 0), (warning("a", "", "do"), 0), (failed("a", "", "do"), 1)]
)
def test_only_a_failed_check_makes_the_command_fail(check: Check, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "diagnose", lambda: [check])
    assert main([]) == status


def test_the_json_holds_every_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "diagnose", lambda: [failed("a", "bad", "do this")])
    main(["--json"])
    assert json.loads(capsys.readouterr().out) == {
        "would_train": False,
        "checks": [{"name": "a", "status": "failed", "detail": "bad", "remedy": "do this"}],
    }


@pytest.mark.usefixtures("ready_environment")
def test_the_doctor_lets_a_training_start_in_this_environment(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--json"])
    report = json.loads(capsys.readouterr().out)
    assert [check for check in report["checks"] if check["status"] == "failed"] == []
    assert status == 0
