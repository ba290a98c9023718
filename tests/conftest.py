"""What every test starts from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from releases import write_release
from study_runs import write_study
from workspaces import Workspace


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """In networks this small, threads wait for each other longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path / "nnUNet_raw"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The smoke study from nothing to its end, which takes minutes."""
    workspace = Workspace.create(tmp_path_factory.mktemp("user") / "undisturbed")
    workspace.run("nnunet_sgdc-study", "run", write_study(workspace))
    return workspace
