"""Which packages are installed, where they come from, and whether there are several copies."""

import platform
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from nnunet_sgdc.compatibility import UnsupportedNnunetError, require_supported_nnunet
from nnunet_sgdc.doctor.check import Check, failed, passed, warning

PACKAGES = (
    "nnunetv2",
    "nnunet_sgdc",
    "torch",
    "numpy",
    "dynamic_network_architectures",
    "batchgenerators",
    "batchgeneratorsv2",
    "SimpleITK",
    "blosc2",
)


def check_python() -> Check:
    """Name the interpreter."""
    return passed("python", f"{platform.python_version()}  {sys.executable}")


def check_package(name: str) -> Check:
    """Name the version of a package and the folder it is imported from."""
    folder, versions = imported_from(name), recorded_versions(name)
    if folder is None:
        return failed(name, "is not installed", f"pip install {name}")
    if not versions:
        return warning(name, f"unknown version  {folder}", f"pip install {name}, which also records the version")
    return passed(name, f"{versions[0]}  {folder}")


def check_nnunet_window() -> Check:
    """Tell whether the trainers work with the installed nnU-Net."""
    name = "nnunetv2 version"
    try:
        require_supported_nnunet()
    except UnsupportedNnunetError as error:
        problem, _, remedy = str(error).partition("; run: ")
        return failed(name, problem, remedy)
    return passed(name, "supported")


def check_copies(name: str) -> Check:
    """Warn if a package is there more than once: only the first copy on the path is used."""
    folders, versions = copies(name), recorded_versions(name)
    if len(folders) < 2 and len(versions) < 2:
        return passed(f"{name} copies", "one")
    found = [*map(str, folders), *(f"recorded as {version}" for version in versions)]
    remedy = f"pip uninstall {name}, until it says that {name} is not installed; then install it once"
    return warning(f"{name} copies", f"several, the first is used: {', '.join(found)}", remedy)


def imported_from(name: str) -> Path | None:
    """Find the folder from which a package would be imported, without importing it."""
    spec = find_spec(name)
    locations = list(spec.submodule_search_locations or []) if spec else []
    return Path(locations[0]) if locations else None


def copies(name: str) -> list[Path]:
    """List the folders of a package, the imported one first."""
    on_path = [Path(entry, name) for entry in sys.path if Path(entry, name, "__init__.py").is_file()]
    first = imported_from(name)
    folders = [first, *on_path] if first else on_path
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def recorded_versions(name: str) -> list[str]:
    """List the versions of a package in the metadata of the environment, the one that counts first."""
    return list(dict.fromkeys(found.version for found in metadata.distributions(name=name)))
