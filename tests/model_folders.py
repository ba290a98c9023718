"""nnU-Net's folders of trained models in all states of a training; the networks are tiny and nobody trained them."""

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from trained_models import DATASET, dataset_json, stock_plans
from unets import build

from nnunet_sgdc.evaluation.trained_model import TrainedModel

# The cases that folds 0 and 1 validate.
SPLITS = [{"train": ["c", "d"], "val": ["a", "b"]}, {"train": ["a", "b"], "val": ["c", "d"]}]
# Start and end of three epochs, in seconds; an hour passes between the second and the third.
LOG = {"epoch_start_timestamps": [0.0, 10.0, 3700.0], "epoch_end_timestamps": [9.0, 21.0, 3710.0]}


def begin(results: Path, trainer: str = "nnUNetTrainer", plans: dict[str, Any] | None = None) -> TrainedModel:
    """A training that has begun."""
    folder = results / DATASET / f"{trainer}__nnUNetPlans__2d"
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans or stock_plans()))
    (folder / "dataset.json").write_text(json.dumps(dataset_json()))
    return TrainedModel(folder, DATASET, trainer, "2d")


def finish(model: TrainedModel, fold: str, cases: Sequence[str] = ()) -> None:
    """A fold that is trained, and validated on these cases, as far as names of files tell."""
    validation = model.folder / f"fold_{fold}" / "validation"
    validation.mkdir(parents=True)
    for name in (*(f"{case}.png" for case in cases), "summary.json"):
        (validation / name).touch()
    model.checkpoint(fold).touch()


def write_checkpoint(model: TrainedModel, fold: str = "0", **content: Any) -> None:
    """A final checkpoint that nnU-Net can predict with; `content` replaces what is in it."""
    plans = json.loads((model.folder / "plans.json").read_text())
    checkpoint = {
        "network_weights": build(deepcopy(plans["configurations"]["2d"]["architecture"])).state_dict(),
        "logging": LOG,
        "init_args": {"configuration": "2d"},
        "trainer_name": model.trainer,
        "inference_allowed_mirroring_axes": (0, 1),
    }
    model.checkpoint(fold).parent.mkdir(exist_ok=True)
    torch.save({**checkpoint, **content}, model.checkpoint(fold))


def write_splits(preprocessed: Path, splits: object = SPLITS) -> Path:
    """nnU-Net's folds of the data set."""
    path = preprocessed / DATASET / "splits_final.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(splits))
    return path
