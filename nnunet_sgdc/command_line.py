"""How commands end: the same errors and exit codes everywhere.

Exit code 0 means that the result is there, 1 that it is not and one sentence said why, 2 that the command line itself
was wrong.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

from PIL import Image

from nnunet_sgdc import __version__
from nnunet_sgdc.errors import UserError


def command_parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser with what all commands have.

    Args:
        command: Name of the command.
        description: What it does, one sentence.
    """
    parser = argparse.ArgumentParser(prog=command, description=description)
    parser.add_argument("--version", action="version", version=f"nnunet_sgdc {__version__}")
    return parser


def run(command: str, action: Callable[[], object], unfinished: str = "nothing was written") -> None:
    """Print what the action returns; leaves with 1 and one sentence on an error and on Ctrl-C.

    Args:
        command: Name of the command.
        action: What it does.
        unfinished: What remains of an action that is broken off.
    """
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        result = action()
    except UserError as error:
        _leave(command, f"error: {error}")
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _leave(command, f"error: {place}{error.strerror or error}; put that right and start again, {unfinished}")
    except KeyboardInterrupt:
        _leave(command, f"interrupted: {unfinished}")
    _print(result)


def _print(result: object) -> None:
    try:
        print(result, flush=True)
    except BrokenPipeError:
        # Whoever reads has seen enough. Without this, Python would write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(command: str, message: str) -> NoReturn:
    print(f"{command}: {message}", file=sys.stderr)
    sys.exit(1)
