"""What a check of the doctor returns."""

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """Outcome of a check; only a failed one keeps a training from starting."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One finding.

    Args:
        name: What was looked at.
        status: Outcome.
        detail: What was found.
        remedy: What to do about it; empty where nothing is to be done.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def passed(name: str, detail: str) -> Check:
    """Report something that is as it should be."""
    return Check(name, Status.OK, detail)


def warning(name: str, detail: str, remedy: str) -> Check:
    """Report something that a training survives."""
    return Check(name, Status.WARNING, detail, remedy)


def failed(name: str, detail: str, remedy: str) -> Check:
    """Report something that keeps a training from starting."""
    return Check(name, Status.FAILED, detail, remedy)
