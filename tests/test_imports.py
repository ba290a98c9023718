"""What importing a part of the package brings along; the rules between our own modules are import-linter's."""

import subprocess
import sys
from importlib import metadata

import pytest

import nnunet_sgdc


def loaded_by(module: str) -> set[str]:
    """Names of the top-level modules that a fresh process holds after an import."""
    script = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("module", ["nnunet_sgdc.ops", "nnunet_sgdc.blocks"])
def test_operators_and_blocks_leave_nnunet_alone(module: str) -> None:
    assert loaded_by(module) & {"nnunetv2", "dynamic_network_architectures"} == set()


@pytest.mark.parametrize(
    "module",
    [
        "nnunet_sgdc",
        "nnunet_sgdc.datasets.convert_isic",
        "nnunet_sgdc.doctor",
        "nnunet_sgdc.evaluation.metrics",
        "nnunet_sgdc.evaluation.show_command",
        "nnunet_sgdc.planning.plan_command",
    ],
)
def test_a_command_without_a_network_does_not_wait_for_torch(module: str) -> None:
    assert loaded_by(module) & {"torch", "nnunetv2"} == set()


def test_the_package_names_the_version_that_is_installed() -> None:
    assert nnunet_sgdc.__version__ == metadata.version("nnunet_sgdc")
