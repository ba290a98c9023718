"""Which folder of preprocessed data the plans name: one that other plans fill alike, or one of their own.

A folder does not say how its data was made. Plans that name it do, so a folder is shared only where all plans of the
data set that name it, an earlier version of the same plans included, preprocess alike; otherwise a new one is named.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_sgdc.planners.plans_files import plans_files
from nnunet_sgdc.planners.preprocessed import is_preprocessed

CONFIGURATION = "2d"
# nnU-Net's own planners name it, so that data is preprocessed once for all of them.
STOCK_IDENTIFIER = f"nnUNetPlans_{CONFIGURATION}"
# What preprocessed data depends on, of the plans and of their configuration.
OF_PLANS = (
    "image_reader_writer",
    "transpose_forward",
    "label_manager",
    "foreground_intensity_properties_per_channel",
)
OF_CONFIGURATION = (
    "preprocessor_name",
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
    "resampling_fn_seg",
    "resampling_fn_seg_kwargs",
)


def choose_data_identifier(plans: dict[str, Any], folder: Path, cases: Mapping[str, Mapping[str, Any]]) -> str:
    """The folder of preprocessed data for new plans.

    Args:
        plans: The new plans, as JSON holds them.
        folder: The data set in nnUNet_preprocessed.
        cases: For each training case the files of its `images` and its `label` in the raw data set.

    Raises:
        PlanningError: Plans of the data set are damaged.
    """
    wanted = preprocessing_of(plans)
    uses: list[tuple[str, str]] = [
        (_resolved(other)["data_identifier"], preprocessing_of(other))
        for other in plans_files(folder)
        if CONFIGURATION in other["configurations"]
    ]
    disputed = {identifier for identifier, preprocessing in uses if preprocessing != wanted}
    shared = [identifier for identifier, _ in uses if identifier not in disputed]
    ready = (identifier for identifier in shared if is_preprocessed(folder, identifier, cases))
    vacant = (name for name in _new_names(plans["plans_name"]) if name not in disputed and not (folder / name).exists())
    return next(chain(ready, shared, vacant))


def preprocessing_of(plans: dict[str, Any]) -> str:
    """Everything that preprocessed data of the 2D configuration depends on, equal where the data is."""
    configuration = _resolved(plans)
    settings = [
        *(plans.get(name) for name in OF_PLANS),
        *(configuration.get(name) for name in OF_CONFIGURATION),
    ]
    return json.dumps(settings, sort_keys=True)


def _resolved(plans: dict[str, Any]) -> dict[str, Any]:
    configuration: dict[str, Any] = PlansManager(plans).get_configuration(CONFIGURATION).configuration
    return configuration


def _new_names(plans_name: str) -> Iterator[str]:
    own = f"{plans_name}_{CONFIGURATION}"
    return chain([STOCK_IDENTIFIER, own], (f"{own}_{number}" for number in count(2)))
