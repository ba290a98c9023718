"""What was planned, as the user reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from nnunet_sgdc.errors import listed
from nnunet_sgdc.networks import SGDCUNet
from nnunet_sgdc.planning.options import CONFIGURATION

TRAINER = "nnUNetTrainerSGDC"


class Preprocessing(Enum):
    """What became of the preprocessed data."""

    REUSED = "reused, nothing was preprocessed"
    MADE = "made"
    MISSING = "still to be made"


@dataclass(frozen=True)
class PlanReport:
    """What was planned for a data set; its text is the summary for the reader.

    Attributes:
        dataset_id: Number of the data set.
        plans: The plans.
        file: Where they are.
        preprocessing: What became of the preprocessed data.
    """

    dataset_id: int
    plans: Mapping[str, Any]
    file: Path
    preprocessing: Preprocessing

    def __str__(self) -> str:
        configuration = self.plans["configurations"][CONFIGURATION]
        name, identifier = self.plans["plans_name"], configuration["data_identifier"]
        architecture = configuration["architecture"]
        rows = {
            "plans": self.file,
            "patch size": " x ".join(map(str, configuration["patch_size"])),
            "batch size": configuration["batch_size"],
            "stages": architecture["arch_kwargs"]["n_stages"],
            "SGDC at": f"the strides {listed(sgdc_strides(architecture))}",
            "data": f"{self.file.with_name(identifier)}, {self.preprocessing.value}",
        }
        if self.preprocessing is Preprocessing.MISSING:
            rows["preprocess"] = f"nnUNetv2_preprocess -d {self.dataset_id} -plans_name {name} -c {CONFIGURATION}"
        rows["train"] = f"nnUNetv2_train {self.dataset_id} {CONFIGURATION} 0 -p {name} -tr {TRAINER}"
        return "\n".join([self.plans["dataset_name"], *(f"  {key:<12}{value}" for key, value in rows.items())])


def sgdc_strides(architecture: Mapping[str, Any]) -> list[int]:
    """The strides of the decoder stages that carry SGDC, finest first.

    Args:
        architecture: The `architecture` entry of a configuration of our plans.
    """
    described = (architecture[key] for key in ("network_class_name", "arch_kwargs", "_kw_requires_import"))
    # Neither the channels nor the weights matter.
    with torch.device("meta"):
        network: SGDCUNet = get_network_from_plans(*described, 1, 2, allow_init=False)
    return sorted(network.decoder_strides[int(stage)] for stage in network.decoder.sgdc)
