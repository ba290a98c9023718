"""Command line of the doctor: runs the checks and shows them."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from nnunet_sgdc.doctor.check import Check, Status
from nnunet_sgdc.doctor.folders import VARIABLES, check_folder
from nnunet_sgdc.doctor.installation import (
    PACKAGES,
    check_copies,
    check_nnunet_window,
    check_package,
    check_python,
)
from nnunet_sgdc.doctor.probe import probe_in_fresh_process
from nnunet_sgdc.doctor.registration import check_autoload, check_entry_point, check_trainer_folder
from nnunet_sgdc.doctor.training import check_compiler, check_devices, check_trainers


def main(arguments: Sequence[str] | None = None) -> int:
    """Show whether a training would start here.

    Args:
        arguments: Command line; that of the process if None.

    Returns:
        Exit status: 0 if a training would start, 1 if not.
    """
    parser = argparse.ArgumentParser(
        prog="nnunet_sgdc-doctor",
        description="Tells whether a training with the SGDC trainers would start here, and if not, what to do.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    checks = diagnose()
    print(as_json(checks) if options.json else as_table(checks))
    return 0 if would_train(checks) else 1


def diagnose() -> list[Check]:
    """Run every check."""
    probe = probe_in_fresh_process()
    return [
        check_python(),
        *map(check_package, PACKAGES),
        check_nnunet_window(),
        check_copies("nnunetv2"),
        check_copies("nnunet_sgdc"),
        check_autoload(),
        check_entry_point(),
        check_trainer_folder(),
        check_trainers(probe),
        check_devices(probe),
        check_compiler(probe),
        *map(check_folder, VARIABLES),
    ]


def would_train(checks: Sequence[Check]) -> bool:
    """Tell whether nothing keeps a training from starting."""
    return all(check.status is not Status.FAILED for check in checks)


def as_table(checks: Sequence[Check]) -> str:
    """Align the checks in columns, each remedy on a line of its own."""
    width = max(len(check.name) for check in checks)
    lines = [line for check in checks for line in _lines(check, width)]
    failures = sum(check.status is Status.FAILED for check in checks)
    verdict = f"Training would not start, checks that failed: {failures}." if failures else "Training would start."
    return "\n".join([*lines, "", verdict])


def as_json(checks: Sequence[Check]) -> str:
    """Put the checks into one JSON object."""
    return json.dumps({"would_train": would_train(checks), "checks": [asdict(check) for check in checks]}, indent=2)


def _lines(check: Check, width: int) -> list[str]:
    line = f"{check.status.value:<7}  {check.name:<{width}}  {check.detail}"
    return [line, f"{'':<7}  {'':<{width}}  -> {check.remedy}"] if check.remedy else [line]
