"""The commands of this environment, whether it is activated or not."""

import os
import shutil
import sys
import sysconfig

from nnunet_sgdc.study.errors import StudyError


def executable(command: str) -> str:
    """Path of a command.

    Args:
        command: Its name.

    Raises:
        StudyError: There is no such command.
    """
    search = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    found = shutil.which(command, path=search)
    if not found:
        raise StudyError(f"{command} must be a command of {sys.prefix}, but there is none: install it there")
    return found
