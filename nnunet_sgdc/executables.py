"""The commands of this environment, whether it is activated or not."""

import os
import shutil
import sys
import sysconfig


def search_path() -> str:
    """Where commands are looked for: PATH, and before it the folder of this environment."""
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


def executable(command: str) -> str:
    """Path of a command.

    Args:
        command: Its name.

    Raises:
        FileNotFoundError: There is no such command.
    """
    found = shutil.which(command, path=search_path())
    if not found:
        raise FileNotFoundError(f"{command} must be a command of {sys.prefix}, but there is none: install it there")
    return found
