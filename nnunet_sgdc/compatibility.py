"""The versions of nnU-Net that the trainers work with."""

from importlib import metadata

# The trainer hooks change between minor versions; setup.py names the same window.
SUPPORTED_SERIES = ["2", "8"]
SUPPORTED_REQUIREMENT = "nnunetv2>=2.8,<2.9"


class UnsupportedNnunetError(ImportError):
    """The installed nnU-Net is missing or outside the supported versions."""


def require_supported_nnunet() -> None:
    """Refuse an nnU-Net that the trainers were not made for.

    Raises:
        UnsupportedNnunetError: If nnunetv2 is not installed or outside the supported versions.
    """
    installed = _installed_nnunet()
    if _series(installed) != SUPPORTED_SERIES:
        message = f"nnunet_sgdc needs {SUPPORTED_REQUIREMENT}, but nnunetv2 {installed} is installed"
        raise UnsupportedNnunetError(f"{message}; run: pip install '{SUPPORTED_REQUIREMENT}'")


def _installed_nnunet() -> str:
    try:
        return metadata.version("nnunetv2")
    except metadata.PackageNotFoundError as error:
        message = f"nnunet_sgdc needs {SUPPORTED_REQUIREMENT}, but nnunetv2 is not installed"
        raise UnsupportedNnunetError(f"{message}; run: pip install '{SUPPORTED_REQUIREMENT}'") from error


def _series(version: str) -> list[str]:
    return version.partition("+")[0].split(".")[:2]
