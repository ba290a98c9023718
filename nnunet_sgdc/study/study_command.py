"""`nnunet_sgdc-study`: trainers on data sets, folds and seeds, described in one file, here or on a cluster.

nnunet_sgdc-study plan STUDY.yaml       what would run, and how long it would take
nnunet_sgdc-study run STUDY.yaml        do what is missing; again after anything went wrong
nnunet_sgdc-study status STUDY.yaml     how every training stands
nnunet_sgdc-study cancel STUDY.yaml     end what runs and waits
nnunet_sgdc-study report STUDY.yaml     predict, score and compare
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live

from nnunet_sgdc.command_line import command_parser, run
from nnunet_sgdc.study.study_file import StudyFile, read_study_file

COMMAND = "nnunet_sgdc-study"
REFRESH_SECONDS = 5
FILE_WIDTH = 200


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    parsed = _parser().parse_args(arguments)
    action: Callable[[StudyFile, argparse.Namespace], object] = parsed.action
    unfinished = "run it again to go on where it was left"
    run(COMMAND, lambda: action(read_study_file(parsed.study), parsed), unfinished)


# torch and nnU-Net take seconds to import, which `status` and `cancel` do without.
def _run(study: StudyFile, parsed: argparse.Namespace) -> str:
    from nnunet_sgdc.study.run import run_study

    state = run_study(study, _console(), detach=parsed.detach)
    if parsed.detach:
        return f"handed over; see {COMMAND} status {parsed.study}"
    if state.missing:
        return f"{len(state.missing)} trainings are not done; run it again to go on"
    return f"done; next: {COMMAND} report {parsed.study}"


def _plan(study: StudyFile, _: argparse.Namespace) -> str:
    from nnunet_sgdc.study.plan_study import plan_study

    return plan_study(study)


def _status(study: StudyFile, parsed: argparse.Namespace) -> str:
    from nnunet_sgdc.study.status_table import read_state, status_table

    with Live(status_table(study, read_state(study)), console=_console(), auto_refresh=False) as live:
        while parsed.watch:
            time.sleep(REFRESH_SECONDS)
            live.update(status_table(study, read_state(study)), refresh=True)
    return ""


def _cancel(study: StudyFile, _: argparse.Namespace) -> str:
    from nnunet_sgdc.study.execution import stop

    return stop(study)


def _report(study: StudyFile, parsed: argparse.Namespace) -> object:
    from nnunet_sgdc.evaluation.evaluate_command import command_line
    from nnunet_sgdc.study.status_table import read_state
    from nnunet_sgdc.study.study_report import write_report

    state, command = read_state(study), command_line()
    return write_report(study, state, partial=parsed.partial, gallery=parsed.gallery, command=command)


def _console() -> Console:
    # Files and pipes have no width; nothing has to be broken there.
    return Console(width=None if sys.stdout.isatty() else FILE_WIDTH)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(COMMAND, "Run a comparison study that one file describes.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_action(actions, _plan, "plan", "tell what would run, and how long it would take")
    runs = _add_action(actions, _run, "run", "do what is missing, and show how it stands")
    runs.add_argument("--detach", action="store_true", help="return as soon as the trainings are handed over")
    status = _add_action(actions, _status, "status", "show how every training stands")
    status.add_argument("--watch", action="store_true", help="go on showing it until Ctrl-C")
    _add_action(actions, _cancel, "cancel", "end what runs and waits; 'run' goes on from the last checkpoints")
    report = _add_action(actions, _report, "report", "predict the test sets, score everything, compare the trainers")
    report.add_argument("--partial", action="store_true", help="compare what is done although trainings are missing")
    report.add_argument("--no-gallery", dest="gallery", action="store_false", help="show no pictures of cases")
    return parser


def _add_action(actions: object, action: object, name: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=description, description=description)  # type: ignore[attr-defined]
    parser.add_argument("study", type=Path, metavar="STUDY.yaml", help="the study file, see studies/")
    parser.set_defaults(action=action)
    return parser
