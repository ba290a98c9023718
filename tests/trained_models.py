"""Folders of tiny trained models as nnU-Net leaves them, with random weights, and the trainers they would come from."""

import json
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from unets import THREE_STAGES, architecture, build

from nnunet_sgdc.networks import SGDCConfig, graft_architecture

PATCH = 64
DATASET = "Dataset001_Test"
CHANNELS = ["R", "G", "B"]
RESAMPLING = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}


def dataset_json(labels: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "channel_names": {str(number): name for number, name in enumerate(CHANNELS)},
        "labels": labels or {"background": 0, "lesion": 1},
        "file_ending": ".png",
    }


def stock_plans() -> dict[str, Any]:
    resampling = {f"resampling_fn_{kind}": "resample_data_or_seg_to_shape" for kind in ("data", "seg", "probabilities")}
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [PATCH, PATCH],
        "spacing": [1.0, 1.0],
        "normalization_schemes": ["RGBTo01Normalization"] * 3,
        "use_mask_for_norm": [False] * 3,
        "batch_dice": True,
        "architecture": architecture(**THREE_STAGES),
        **resampling,
        **{f"{name}_kwargs": RESAMPLING for name in resampling},
    }
    return {
        "dataset_name": DATASET,
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "NaturalImage2DIO",
        "label_manager": "LabelManager",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "foreground_intensity_properties_per_channel": {str(channel): {} for channel in range(3)},
        "configurations": {"2d": configuration},
        "continue_training": False,
    }


def sgdc_plans() -> dict[str, Any]:
    plans = stock_plans()
    two_d = plans["configurations"]["2d"]
    two_d["architecture"] = graft_architecture(two_d["architecture"], SGDCConfig(strides=(2,), kernel_size=3))
    return plans


def write_model(
    folder: Path, plans: dict[str, Any], folds: tuple[str, ...] = ("0",), mirroring: tuple[int, ...] | None = None
) -> Path:
    """A model whose folds have weights of their own."""
    trainer = "nnUNetTrainerSGDC" if "sgdc" in json.dumps(plans) else "nnUNetTrainer"
    folder.mkdir()
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset_json()))
    for fold in folds:
        checkpoint = {
            "trainer_name": trainer,
            "init_args": {"configuration": "2d"},
            "network_weights": build(plans["configurations"]["2d"]["architecture"]).state_dict(),
            "inference_allowed_mirroring_axes": mirroring,
        }
        (folder / f"fold_{fold}").mkdir()
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return folder


def initialized_trainer(
    kind: type[nnUNetTrainer], preprocessed: Path, labels: dict[str, Any] | None = None
) -> nnUNetTrainer:
    """A trainer of a data set of which nothing is preprocessed."""
    folder = preprocessed / DATASET / "nnUNetPlans_2d"
    folder.mkdir(parents=True)
    # From the ending nnU-Net takes how cases are stored.
    (folder / "case.b2nd").touch()
    trainer = kind(sgdc_plans(), "2d", 0, dataset_json(labels), torch.device("cpu"))
    trainer.initialize()
    return trainer
