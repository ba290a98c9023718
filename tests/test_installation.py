"""The package as users get it: built, installed into a fresh environment, found by nnU-Net, and uninstalled.

Every environment is a new one without packages of its own. It sees the packages that the tests run with, except
nnunet_sgdc, through a folder of links: the path of the folder stands in a .pth file, while naming site-packages itself
there would also bring in the metadata of the nnunet_sgdc under development.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.install

REPOSITORY = Path(__file__).parents[1]

NNUNET_PACKAGES = ("nnunetv2", "dynamic_network_architectures")

# Prints, as its last line, where nnU-Net's own search finds the named classes.
FIND = """
import json, sys
from nnunetv2.run.run_training import recursive_find_trainer_class_by_name as find
found = {name: find(name) for name in sys.argv[1:]}
print(json.dumps({name: cls.__module__ for name, cls in found.items()}))
"""

# Prints, as its last line, whether the class found is the one a program imports, and survives pickling.
COMPARE = """
import pickle
from nnunetv2.run.run_training import recursive_find_trainer_class_by_name as find
from nnunet_sgdc.trainers import nnUNetTrainerSGDC
found = find("nnUNetTrainerSGDC")
print(found is nnUNetTrainerSGDC, pickle.loads(pickle.dumps(found)) is found)
"""

OWN_TRAINER = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
class nnUNetTrainerOfTheUser(nnUNetTrainer):
    pass
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, used from an empty folder and without the variables of the developer."""

    folder: Path

    @property
    def site_packages(self) -> Path:
        (folder,) = self.folder.glob("lib/python*/site-packages")
        return folder

    def run(
        self, *arguments: str, cwd: Path | None = None, variables: dict[str, str] | None = None
    ) -> CompletedProcess[str]:
        command = [str(self.folder / "bin" / "python"), *arguments]
        setting = clean_variables() | (variables or {})
        ended = subprocess.run(command, env=setting, cwd=cwd or self.folder, capture_output=True, text=True)
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
        return ended

    def find(self, *names: str, **variables: str) -> dict[str, str]:
        printed = self.run("-c", FIND, *names, variables=variables).stdout
        modules: dict[str, str] = json.loads(printed.splitlines()[-1])
        return modules

    def pip(self, *arguments: str) -> None:
        self.run("-m", "pip", "--no-cache-dir", *arguments)

    def install(self, *arguments: str) -> None:
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", *arguments)


MakeEnvironment = Callable[..., Environment]


def clean_variables() -> dict[str, str]:
    ours = ("PYTHON", "nnUNet", "TORCH_DEVICE", "VIRTUAL_ENV", "PIP_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def link_packages(folder: Path, without: Collection[str]) -> None:
    """Link what the tests can import from site-packages; the earlier folder on the path wins."""
    folder.mkdir()
    for site_packages in (Path(entry) for entry in sys.path if entry.endswith("-packages")):
        for package in site_packages.iterdir():
            link = folder / package.name
            if not any(name in package.name for name in without) and not link.exists():
                link.symlink_to(package)


@pytest.fixture(scope="module")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> MakeEnvironment:
    def make(without: Collection[str] = ()) -> Environment:
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, symlinks=True)
        link_packages(folder / "links", {"nnunet_sgdc", *without})
        environment = Environment(folder)
        (environment.site_packages / "links.pth").write_text(str(folder / "links"))
        return environment

    return make


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged, so that no build touches the repository, in a folder named like the package."""
    folder = tmp_path_factory.mktemp("checkout") / "nnunet_sgdc"
    folder.mkdir()
    for entry in REPOSITORY.iterdir():
        if (entry / "__init__.py").exists():
            shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif entry.is_file():
            shutil.copy(entry, folder)
    return folder


@pytest.fixture(scope="module")
def distributions(source: Path) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", str(source)]
    subprocess.run(command, check=True, capture_output=True, env=clean_variables())
    return source / "dist"


@pytest.fixture(scope="module")
def from_wheel(distributions: Path, make_environment: MakeEnvironment) -> Environment:
    environment = make_environment()
    environment.install(*map(str, distributions.glob("*.whl")))
    return environment


@pytest.fixture(scope="module")
def from_sdist(distributions: Path, make_environment: MakeEnvironment) -> Environment:
    environment = make_environment()
    environment.install(*map(str, distributions.glob("*.tar.gz")))
    return environment


@pytest.fixture(scope="module")
def from_checkout(source: Path, make_environment: MakeEnvironment) -> Environment:
    environment = make_environment()
    environment.install("--editable", str(source))
    return environment


@pytest.mark.parametrize("kind", ["from_wheel", "from_sdist", "from_checkout"])
def test_nnunet_finds_the_very_class_that_a_program_imports(kind: str, request: pytest.FixtureRequest) -> None:
    environment: Environment = request.getfixturevalue(kind)
    assert environment.run("-c", COMPARE).stdout.splitlines()[-1] == "True True"


def test_a_trainer_of_the_user_is_found_beside_ours(from_wheel: Environment, tmp_path: Path) -> None:
    (tmp_path / "own_trainer.py").write_text(OWN_TRAINER)
    found = from_wheel.find("nnUNetTrainerOfTheUser", "nnUNetTrainerSGDC", nnUNet_extTrainer=str(tmp_path))
    assert found["nnUNetTrainerOfTheUser"] == "own_trainer"
    assert found["nnUNetTrainerSGDC"].startswith("nnunet_sgdc.trainers")


def test_the_line_of_the_doctor_replaces_the_autoload_of_torch(from_wheel: Environment) -> None:
    script = "from nnunet_sgdc.doctor.registration import export_line; print(export_line())"
    variable, _, folder = from_wheel.run("-c", script).stdout.strip().removeprefix("export ").partition("=")
    found = from_wheel.find("nnUNetTrainerSGDC", TORCH_DEVICE_BACKEND_AUTOLOAD="0", **{variable: folder})
    assert found["nnUNetTrainerSGDC"].startswith("nnunet_sgdc.trainers")


def test_torch_can_be_imported_beside_a_checkout_named_like_the_package(
    from_checkout: Environment, source: Path
) -> None:
    script = "import os, torch; print(os.environ['nnUNet_extTrainer'])"
    folder = source / "nnunet_sgdc" / "ext_trainers"
    assert from_checkout.run("-c", script, cwd=source.parent).stdout == f"{folder}\n"


def test_the_wheel_says_that_it_is_typed_and_brings_its_licence(from_wheel: Environment) -> None:
    assert (from_wheel.site_packages / "nnunet_sgdc" / "py.typed").is_file()
    assert list(from_wheel.site_packages.glob("nnunet_sgdc-*.dist-info/licenses/LICENSE"))


def test_operators_and_blocks_work_without_nnunet(distributions: Path, make_environment: MakeEnvironment) -> None:
    environment = make_environment(without=NNUNET_PACKAGES)
    environment.install(*map(str, distributions.glob("*.whl")))
    script = (
        "import torch; from nnunet_sgdc.ops import dynamic_conv2d; from nnunet_sgdc.blocks import SGDC, SGE;"
        "print(dynamic_conv2d(torch.ones(1, 4, 5, 5), torch.ones(1, 2, 9, 5, 5))[0, 0, 2, 2].item())"
    )
    assert environment.run("-c", script).stdout == "9.0\n"


def test_nothing_is_left_after_uninstalling(distributions: Path, make_environment: MakeEnvironment) -> None:
    environment = make_environment()
    environment.install(*map(str, distributions.glob("*.whl")))
    environment.pip("uninstall", "--yes", "nnunet_sgdc")
    script = "import os, torch; print(os.environ.get('nnUNet_extTrainer'))"
    ended = environment.run("-c", script)
    assert (ended.stdout, ended.stderr) == ("None\n", "")
    assert environment.find("nnUNetTrainer") == {"nnUNetTrainer": "nnunetv2.training.nnUNetTrainer.nnUNetTrainer"}
    assert not [path for path in environment.folder.rglob("*nnunet_sgdc*") if "links" not in path.parts]
