"""The raw data set that is planned: found by its id, and complete."""

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw
from nnunetv2.utilities.dataset_name_id_conversion import find_candidate_datasets
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.planners import PlanningError
from nnunet_sgdc.planners.plans_files import read_json

REQUIRED = ("channel_names", "labels", "numTraining", "file_ending")


@dataclass(frozen=True)
class RawData:
    """A data set in nnUNet_raw.

    Attributes:
        dataset_id: Its number.
        name: Its full name, as in `Dataset116_ISIC2016`.
        channels: Number of channels of its images.
        cases: For each training case the files of its `images` and its `label`.
    """

    dataset_id: int
    name: str
    channels: int
    cases: Mapping[str, Mapping[str, Any]]

    @property
    def preprocessed(self) -> Path:
        """The data set in nnUNet_preprocessed."""
        return Path(nnUNet_preprocessed, self.name)

    @property
    def changed(self) -> int:
        """When the newest of its files changed, in nanoseconds as in `st_mtime_ns`."""
        return max(os.stat(file).st_mtime_ns for files in self.cases.values() for file in _files_of(files))


def find_raw_data(dataset_id: int) -> RawData:
    """Find a data set and check that its training cases are there.

    Raises:
        PlanningError: A variable of nnU-Net is not set, the id stands for no data set or several, or something of the
            data set is missing.
    """
    for variable in (nnUNet_raw, nnUNet_preprocessed):
        if not variable.get():
            name = variable.env_var_name
            raise PlanningError(
                f"the environment variable {name} must name nnU-Net's folder, but is not set: export {name}=/path/to/"
                f"{name}"
            )
    name = _dataset_name(dataset_id)
    folder = Path(nnUNet_raw, name)
    content = _dataset_json(folder / "dataset.json")
    raw = RawData(dataset_id, name, len(content["channel_names"]), _cases(folder, content))
    _check_cases(raw, folder, content["numTraining"])
    return raw


def _dataset_name(dataset_id: int) -> str:
    # nnU-Net looks for names that begin so.
    names = [str(name) for name in find_candidate_datasets(dataset_id)]
    if not names:
        raise PlanningError(
            f"-d must be ids of data sets in {nnUNet_raw}, got {dataset_id}: check it, or convert the data set first"
        )
    if len(names) > 1:
        raise PlanningError(
            f"-d must be ids that stand for one data set each, but {dataset_id} stands for {listed(names)} in "
            "nnUNet_raw, nnUNet_preprocessed and nnUNet_results: rename all but one of them"
        )
    return names[0]


def _dataset_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise PlanningError(f"{path} must describe the raw data set, but is missing: convert it first, or restore it")
    content = read_json(path)
    missing = [key for key in REQUIRED if key not in content]
    if missing:
        raise PlanningError(f"{path} must hold {listed(REQUIRED)}, but lacks {listed(missing)}: add that")
    return content


def _cases(folder: Path, dataset_json: dict[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    if "dataset" not in dataset_json and not (folder / "imagesTr").is_dir():
        raise PlanningError(f"{folder} must hold the training images in imagesTr, but does not: restore that folder")
    # nnU-Net completes paths inside the dictionary that it is given.
    cases: Mapping[str, Mapping[str, Any]] = get_filenames_of_train_images_and_targets(
        str(folder), deepcopy(dataset_json)
    )
    return cases


def _check_cases(raw: RawData, folder: Path, expected: int) -> None:
    if len(raw.cases) != expected:
        raise PlanningError(
            f"{folder} must hold the {expected} training cases that numTraining in its dataset.json says, but holds "
            f"{len(raw.cases)}: restore the others, or put the number right"
        )
    lacking = [case for case, files in raw.cases.items() if not all(map(os.path.isfile, _files_of(files)))]
    if lacking:
        raise PlanningError(
            f"{folder} must hold the images and the label map of every training case, but some lack one "
            f"({counted(lacking)}): restore them"
        )


def _files_of(files: Mapping[str, Any]) -> list[str]:
    return [*files["images"], files["label"]]
