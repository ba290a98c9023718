"""What trainers are profiled on: the plans of a data set, of which nothing but these has to be there."""

import json
import os
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.utilities.dataset_name_id_conversion import convert_dataset_name_to_id, maybe_convert_to_dataset_name
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_sgdc.errors import listed
from nnunet_sgdc.profiling.errors import ProfileError

VARIABLE = "nnUNet_preprocessed"


@dataclass(frozen=True)
class Setting:
    """A configuration of the plans of a data set.

    Attributes:
        dataset: Full name of the data set, as in `Dataset116_ISIC2016`.
        plans_name: Name of the plans.
        configuration: Name of the configuration, such as `2d`.
        plans: nnU-Net's plans.
        dataset_json: What nnU-Net knows of channels and labels.
    """

    dataset: str
    plans_name: str
    configuration: str
    plans: dict[str, Any]
    dataset_json: dict[str, Any]

    @property
    def configured(self) -> ConfigurationManager:
        """The configuration with what it inherits."""
        return PlansManager(deepcopy(self.plans)).get_configuration(self.configuration)

    @property
    def channels(self) -> int:
        """Channels of a patch."""
        manager = PlansManager(self.plans)
        return int(determine_num_input_channels(manager, self.configured, self.dataset_json))

    @property
    def outputs(self) -> str:
        """What the network tells apart, as in `2 classes` or `3 regions`; the background is a class."""
        labels = PlansManager(self.plans).get_label_manager(self.dataset_json)
        return f"{labels.num_segmentation_heads} {'regions' if labels.has_regions else 'classes'}"


def read_setting(dataset: str, plans_name: str, configuration: str) -> Setting:
    """Read the plans of a data set.

    Args:
        dataset: Number or full name of the data set.
        plans_name: Name of the plans.
        configuration: Name of a configuration.

    Raises:
        ProfileError: There is no such data set or configuration, or nobody has planned yet.
        OSError: A file cannot be read.
    """
    folder = _dataset_folder(dataset)
    plans_file = folder / f"{plans_name}.json"
    if not plans_file.is_file():
        there = listed(sorted(path.stem for path in folder.glob("*Plans*.json"))) or "none"
        raise ProfileError(
            f"-p must name plans of {folder.name}, got {plans_name!r}, which is not among them ({there}): choose "
            f"others, or make them with {_planning(folder.name, plans_name)}"
        )
    plans = _read_json(plans_file, "configurations")
    if configuration not in plans["configurations"]:
        raise ProfileError(
            f"-c must name a configuration of {plans_name}, got {configuration!r}: choose among "
            f"{listed(plans['configurations'])}"
        )
    return Setting(folder.name, plans_name, configuration, plans, _read_json(folder / "dataset.json", "labels"))


def _dataset_folder(dataset: str) -> Path:
    preprocessed = os.environ.get(VARIABLE)
    if not preprocessed:
        raise ProfileError(
            f"the environment variable {VARIABLE} must name the folder that holds the plans, but is not set: export "
            f"{VARIABLE}=/path/to/{VARIABLE}"
        )
    name = _dataset_name(dataset)
    folder = Path(preprocessed, name)
    if not folder.is_dir():
        raise ProfileError(
            f"{preprocessed} must hold the plans of {name}, but has no such folder: check the name, or plan with "
            f"{_planning(name)}"
        )
    return folder


def _dataset_name(dataset: str) -> str:
    try:
        return str(maybe_convert_to_dataset_name(dataset))
    except (RuntimeError, ValueError) as error:
        # The rest of the message spreads over many lines.
        reason = str(error).split(". ")[0]
        raise ProfileError(
            f"DATASET must be the number or the full name of a data set in nnU-Net's folders, got {dataset!r} "
            f"({reason}): check it, and {VARIABLE}"
        ) from error


def _planning(name: str, plans_name: str = "") -> str:
    """The command that plans a data set and preprocesses nothing."""
    number = name.removeprefix("Dataset")[:3]
    given = convert_dataset_name_to_id(name) if number.isdigit() else "DATASET"
    # Our planners name their plans so.
    return (
        f"nnunet_sgdc-plan -d {given}" if "SGDC" in plans_name else f"nnUNetv2_plan_and_preprocess -d {given} --no_pp"
    )


def _read_json(path: Path, key: str) -> dict[str, Any]:
    """The JSON object in a file of the data set, which must have this key."""
    remedy = f"plan again with {_planning(path.parent.name)}"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProfileError(f"{path} must be there, but is missing: {remedy}") from None
    except ValueError as error:
        raise ProfileError(f"{path} must be JSON, got other content ({error}): {remedy}") from error
    if not isinstance(content, dict) or key not in content:
        raise ProfileError(f"{path} must be nnU-Net's and have {key!r}, but has other content: {remedy}")
    return content
