"""How nnU-Net is told where the trainers are, and which nnU-Net they accept."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from nnunet_sgdc import compatibility, discovery
from nnunet_sgdc.compatibility import UnsupportedNnunetError, require_supported_nnunet
from nnunet_sgdc.discovery import TRAINER_FOLDER, VARIABLE, register_trainers, with_trainer_folder

OURS = str(TRAINER_FOLDER)


def joined(*folders: str) -> str:
    return os.pathsep.join(folders)


def test_an_unset_variable_names_our_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    register_trainers()
    assert os.environ[VARIABLE] == OURS


def test_an_empty_variable_names_our_folder_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    register_trainers()
    assert os.environ[VARIABLE] == OURS


def test_folders_of_the_user_stay_and_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, joined("/home/user/trainers", "/opt/trainers"))
    register_trainers()
    assert os.environ[VARIABLE] == joined("/home/user/trainers", "/opt/trainers", OURS)


def test_registering_twice_adds_the_folder_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/home/user/trainers")
    register_trainers()
    register_trainers()
    assert os.environ[VARIABLE] == joined("/home/user/trainers", OURS)


@pytest.mark.parametrize("folders", [OURS, joined(OURS, "/after"), joined("/before", OURS, "/after")])
def test_a_list_with_our_folder_is_left_as_it_is(folders: str) -> None:
    assert with_trainer_folder(folders) == folders


def test_a_folder_that_only_begins_like_ours_is_another_one() -> None:
    other = f"{OURS}_of_somebody_else"
    assert with_trainer_folder(other) == joined(other, OURS)


def test_a_separator_in_our_own_path_does_not_make_the_list_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "TRAINER_FOLDER", Path(joined("/strange", "place")))
    once = with_trainer_folder("/home/user/trainers")
    assert with_trainer_folder(once) == once


def test_the_folder_holds_one_module_and_it_defines_nothing() -> None:
    (module,) = TRAINER_FOLDER.glob("*.py")
    assert "def " not in module.read_text(encoding="utf-8")
    assert "class " not in module.read_text(encoding="utf-8")


def test_the_entry_point_loads_nothing_but_the_standard_library() -> None:
    script = (
        "import sys, os, pathlib; before = set(sys.modules); import nnunet_sgdc.discovery;"
        "print(*sorted(set(sys.modules) - before))"
    )
    assert run_python(script).split() == ["nnunet_sgdc", "nnunet_sgdc.discovery"]


def test_import_torch_registers_the_folder() -> None:
    assert run_python(f"import os, torch; print(os.environ['{VARIABLE}'])") == OURS


@pytest.mark.parametrize("version", ["2.8", "2.8.0", "2.8.17", "2.8.1+local"])
def test_a_supported_nnunet_is_accepted(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", {"nnunetv2": version}.__getitem__)
    require_supported_nnunet()


@pytest.mark.parametrize("version", ["1.7.1", "2.7.0", "2.9", "2.9.0rc1", "2.80.1", "3.8.0", "unknown"])
def test_another_nnunet_is_refused_with_the_remedy(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", {"nnunetv2": version}.__getitem__)
    expected = f"needs nnunetv2>=2.8,<2.9, but nnunetv2 {version} is installed; run: pip install"
    with pytest.raises(UnsupportedNnunetError, match=re.escape(expected)):
        require_supported_nnunet()


def test_a_missing_nnunet_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_not_found(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", raise_not_found)
    with pytest.raises(UnsupportedNnunetError, match="nnunetv2 is not installed; run: pip install"):
        require_supported_nnunet()


def test_the_package_requires_the_versions_it_accepts() -> None:
    required = {requirement.replace(" ", "") for requirement in metadata.requires("nnunet_sgdc") or []}
    # The order of the bounds is the packager's choice.
    window = {"nnunetv2<2.9,>=2.8", compatibility.SUPPORTED_REQUIREMENT}
    assert required & window


def run_python(script: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
