"""The device on which trainers are profiled."""

import platform

import torch

from nnunet_sgdc.evaluation.evaluate_model import default_device
from nnunet_sgdc.profiling.errors import ProfileError


def find_device(name: str | None) -> torch.device:
    """The device to measure on.

    Args:
        name: Its name; None takes CUDA if there is one, else the CPU.

    Raises:
        ProfileError: This machine has no such device.
    """
    name = name or default_device()
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not there[name]:
        found = " or ".join(device for device in there if there[device])
        raise ProfileError(f"-device must be one that this machine has, got {name}: choose {found}")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """What the device is, for readers."""
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"{device.type.upper()} ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"


def wait_for(device: torch.device) -> None:
    """Return when everything that was started on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()
