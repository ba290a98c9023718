"""`nnunet_sgdc-profile`: what a training will cost, beside that of the stock trainer, before anyone trains.

nnunet_sgdc-profile DATASET -p nnUNetPlans -c 2d -tr nnUNetTrainer nnUNetTrainerSGDC -o costs.csv
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_sgdc.command_line import command_parser, run
from nnunet_sgdc.profiling.errors import ProfileError
from nnunet_sgdc.staging import check_replaceable

COMMAND = "nnunet_sgdc-profile"
DEFAULT_PLANS = "nnUNetPlans"
DEFAULT_TRAINERS = ["nnUNetTrainer", "nnUNetTrainerSGDC"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    parsed = _parser().parse_intermixed_args(arguments)
    run(COMMAND, lambda: _profile(parsed))


def _profile(parsed: argparse.Namespace) -> str:
    # nnU-Net and torch take seconds to import, which --help does without.
    from nnunet_sgdc.profiling.device import find_device
    from nnunet_sgdc.profiling.profile import profile
    from nnunet_sgdc.profiling.setting import read_setting
    from nnunet_sgdc.profiling.table import as_text, write_csv

    if parsed.output:
        _check_output(parsed.output, parsed.overwrite)
    setting = read_setting(parsed.dataset, parsed.plans, parsed.configuration)
    found = profile(setting, parsed.trainers, find_device(parsed.device), parsed.repetitions)
    if not parsed.output:
        return as_text(found)
    write_csv(found, parsed.output)
    return f"{as_text(found)}\n-> {parsed.output}"


def _check_output(path: Path, overwrite: bool) -> None:
    """Check, before anything is measured, that the file can appear."""
    if not path.parent.is_dir() or path.is_dir():
        raise ProfileError(f"-o must be a file in a folder that exists, got {path}: choose another one, or mkdir first")
    check_replaceable(path, overwrite)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(COMMAND, "Tell what trainers cost on the plans of a data set, before anyone trains.")
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="number or full name of a planned data set; nothing has to be preprocessed")
    add("-p", dest="plans", default=DEFAULT_PLANS, metavar="PLANS", help=f"(default: {DEFAULT_PLANS})")
    add("-c", dest="configuration", default="2d", metavar="CONFIGURATION", help="(default: 2d)")
    trainers = f"trainers, the first to compare with (default: {' '.join(DEFAULT_TRAINERS)})"
    add("-tr", dest="trainers", nargs="+", default=DEFAULT_TRAINERS, metavar="TRAINER", help=trainers)
    add("-device", choices=("cuda", "cpu", "mps"), help="where to measure (default: cuda if there is one)")
    add("--repetitions", type=int, default=7, metavar="N", help="how often each time is taken (default: 7)")
    add("-o", "--output", type=Path, metavar="FILE", help="write the numbers to this CSV file, too")
    add("--overwrite", action="store_true", help="replace what is there")
    return parser
