"""Plans that nnU-Net's own planners make for images of a size; no image has to be there."""

import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
    nnUNetPlannerResEncM,
)

from nnunet_sgdc.profiling.setting import Setting

PLANNERS = {"PlainConvUNet": ExperimentPlanner, "ResidualEncoderUNet": nnUNetPlannerResEncM}
DATASET, CONFIGURATION = "Dataset001_Benchmark", "2d"
# Of the training set of ISIC 2018.
IMAGES = 2594
DATASET_JSON: dict[str, Any] = {
    "channel_names": {"0": "R", "1": "G", "2": "B"},
    "labels": {"background": 0, "lesion": 1},
    "numTraining": IMAGES,
    "file_ending": ".png",
    # Named and listed, so that nnU-Net looks into no file.
    "overwrite_image_reader_writer": "NaturalImage2DIO",
    "dataset": {"case": {"images": ["case.png"], "label": "case.png"}},
}
# More than any of the networks needs; nnU-Net then leaves a patch the size of the image.
ENOUGH_MEMORY = 10_000


def plan(network: str, size: tuple[int, int], batch_size: int | None = None, smallest_edge: int = 4) -> Setting:
    """Plan for images of a size.

    Args:
        network: A key of PLANNERS.
        size: Height and width of the images.
        batch_size: Images of a batch, whatever memory that takes; None leaves patch and batch to the planner.
        smallest_edge: Edge of the smallest feature map in pixels, 4 in nnU-Net; larger ones leave less stages.
    """
    with TemporaryDirectory() as name:
        folders = _folders(name)
        _write_dataset(folders, size)
        # Planners build networks, of which only shapes matter, and print.
        with patch.dict(os.environ, folders), redirect_stdout(io.StringIO()), torch.device("meta"):
            planner = PLANNERS[network](DATASET)
            planner.UNet_featuremap_min_edge_length = smallest_edge
            if batch_size is not None:
                planner.UNet_vram_target_GB = ENOUGH_MEMORY
            plans = planner.plan_experiment()
    if batch_size is not None:
        plans["configurations"][CONFIGURATION]["batch_size"] = batch_size
    return Setting(DATASET, plans["plans_name"], CONFIGURATION, plans, DATASET_JSON)


def _folders(folder: str) -> dict[str, str]:
    return {name: str(Path(folder, name)) for name in ("nnUNet_raw", "nnUNet_preprocessed")}


def _write_dataset(folders: dict[str, str], size: tuple[int, int]) -> None:
    """What a planner reads of a data set; as nnU-Net reads PNG files, an image is a slice that is far from the next."""
    fingerprint: dict[str, Any] = {
        "spacings": [(999.0, 1.0, 1.0)],
        "shapes_after_crop": [(1, *size)],
        "foreground_intensity_properties_per_channel": {channel: {} for channel in DATASET_JSON["channel_names"]},
        "median_relative_size_after_cropping": 1.0,
    }
    raw, preprocessed = (Path(folders[name], DATASET) for name in ("nnUNet_raw", "nnUNet_preprocessed"))
    raw.mkdir(parents=True)
    preprocessed.mkdir(parents=True)
    (raw / "dataset.json").write_text(json.dumps(DATASET_JSON))
    (preprocessed / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
