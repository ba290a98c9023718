"""Where a study finds and keeps things: nnU-Net's folders, and one of its own beside the results."""

import os
from pathlib import Path

from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.study_file import StudyFile

# A stand-in for the name of a data set that nobody has made yet.
UNNAMED = "Dataset{:03d}_unknown"


def folder_named(variable: str) -> Path:
    """The folder that one of nnU-Net's environment variables names.

    Args:
        variable: As in `nnUNet_results`.

    Raises:
        StudyError: The variable is not set.
    """
    value = os.environ.get(variable)
    if not value:
        raise StudyError(
            f"the environment variable {variable} must name one of nnU-Net's folders, but is not set: export "
            f"{variable}=/path/to/{variable}"
        )
    return Path(value)


def study_folder(study: StudyFile) -> Path:
    """Where a study keeps what belongs to no single training.

    Args:
        study: The study.
    """
    return folder_named("nnUNet_results") / f"study_{study.name}"


def dataset_name(identifier: int) -> str:
    """Full name of a data set in any of nnU-Net's folders, or a stand-in where there is none yet.

    Args:
        identifier: Its number.
    """
    try:
        return str(maybe_convert_to_dataset_name(identifier))
    except RuntimeError:
        return UNNAMED.format(identifier)
