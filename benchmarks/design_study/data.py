"""The data of the study: the training images of three ISIC editions, and ISIC 2016's test split and PH2 to score."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batchgenerators.utilities.file_and_folder_operations import load_json, save_json
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

from nnunet_sgdc.datasets.convert_isic import convert_isic
from nnunet_sgdc.datasets.convert_ph2 import convert_ph2
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.staging import staged

SIZE = 128
EDITIONS = {2016: 116, 2017: 117, 2018: 118}
DATASET_ID = 1
DATASET = "Dataset001_DesignStudy"
CONFIGURATION = "2d"

# Folders of images and labels below nnU-Net's raw folder.
TEST_SETS = {
    "ISIC 2016 test": ("Dataset116_ISIC2016/imagesTs", "Dataset116_ISIC2016/labelsTs"),
    "PH2": ("Dataset116_ISIC2016/external_PH2/imagesTs", "Dataset116_ISIC2016/external_PH2/labelsTs"),
}


def convert(samples: Path, raw: Path) -> None:
    """Convert the releases and join what is for training; no image is in two places.

    Args:
        samples: The folder with the folders isic2016, isic2017, isic2018 and ph2.
        raw: nnU-Net's raw folder, which appears complete or not at all.

    Raises:
        UserError: A release is not as it must be.
    """
    with staged(raw, overwrite=False) as folder:
        earlier: list[int] = []
        for edition, identifier in EDITIONS.items():
            options = Options(size=Resizing.square(SIZE), raw=folder, exclude_overlap_with=tuple(earlier))
            print(convert_isic(samples / f"isic{edition}", identifier, options), flush=True)
            earlier.append(identifier)
        print(convert_ph2(samples / "ph2", options=Options(raw=folder), as_test_of=EDITIONS[2016]), flush=True)
        _join(sorted(folder.iterdir()), folder / DATASET)


def plan(raw: Path, preprocessed: Path) -> None:
    """Let nnU-Net plan and preprocess.

    Args:
        raw: nnU-Net's raw folder.
        preprocessed: nnU-Net's folder of preprocessed data, which appears complete or not at all.
    """
    with staged(preprocessed, overwrite=False) as folder:
        os.environ.update(nnUNet_raw=str(raw), nnUNet_preprocessed=str(folder))
        extract_fingerprints([DATASET_ID], num_processes=1, check_dataset_integrity=True)
        plan_experiments([DATASET_ID])
        preprocess([DATASET_ID], configurations=[CONFIGURATION], num_processes=[1])


def small_plans(dataset: Path, batch_size: int) -> dict[str, Any]:
    """nnU-Net's plans with half of the features, for networks that a CPU can train.

    Args:
        dataset: The folder of the preprocessed data set.
        batch_size: Images of a step.
    """
    plans = load_json(str(dataset / "nnUNetPlans.json"))
    configuration = plans["configurations"][CONFIGURATION]
    configuration["batch_size"] = batch_size
    options = configuration["architecture"]["arch_kwargs"]
    options["features_per_stage"] = [features // 2 for features in options["features_per_stage"]]
    return {**plans, "continue_training": False}


def _join(datasets: Sequence[Path], target: Path) -> None:
    """Make one data set of the training and validation splits of several."""
    for kind in ("images", "labels"):
        (target / f"{kind}Tr").mkdir(parents=True)
        for folder in (dataset / f"{kind}{split}" for dataset in datasets for split in ("Tr", "Val")):
            for file in folder.glob("*.png"):
                shutil.copy(file, target / f"{kind}Tr")
    description = load_json(str(datasets[0] / "dataset.json"))
    keep = {key: description[key] for key in ("channel_names", "labels", "file_ending")}
    save_json({**keep, "numTraining": len(list((target / "labelsTr").iterdir()))}, str(target / "dataset.json"))
