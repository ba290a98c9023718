"""How commands end: the same errors and exit codes everywhere.

Exit code 0 means that the result is there, 1 that it is not and one sentence said why, 2 that the command line itself
was wrong.
"""

import argparse
import sys
import warnings
from collections.abc import Callable

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


def run(command: str, action: Callable[[], object]) -> None:
    """Print what the action returns; leaves with 1 and one sentence on an error and on Ctrl-C."""
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        print(action())
    except UserError as error:
        _leave(command, f"error: {error}")
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _leave(command, f"error: {place}{error.strerror or error}; put that right and start again, nothing was written")
    except KeyboardInterrupt:
        _leave(command, "interrupted: nothing was written")


def _leave(command: str, message: str) -> None:
    print(f"{command}: {message}", file=sys.stderr)
    sys.exit(1)
