"""The picture at the end of a training: cases of its validation with the boundaries that the network predicts."""

from collections.abc import Mapping
from copy import deepcopy
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Any

from nnunetv2.evaluation.evaluate_predictions import load_summary_json
from nnunetv2.paths import nnUNet_raw
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunet_sgdc.evaluation.boundary_map import BoundaryMapper
from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.gallery import draw_contact_sheet
from nnunet_sgdc.evaluation.panel import Panel
from nnunet_sgdc.evaluation.selection import from_worst_to_best
from nnunet_sgdc.evaluation.shown_case import ShownCase


def draw_validation(trainer: Any, count: int, file: Path) -> None:
    """Draw cases spread evenly from the worst Dice to the best.

    Args:
        trainer: One of our trainers after nnU-Net's validation; it is not changed.
        count: How many cases.
        file: Where the PNG goes.

    Raises:
        UserError: The raw images are not on this machine, or they are not 2-D images with plain classes.
        OSError: A file cannot be read or written.
    """
    labels = LabelScheme.from_dataset_json(trainer.dataset_json, "dataset.json")
    summary = load_summary_json(str(Path(trainer.output_folder) / "validation" / "summary.json"))
    ending = len(trainer.dataset_json["file_ending"])
    results = {Path(result["prediction_file"]).name[:-ending]: result for result in summary["metric_per_case"]}
    chosen = from_worst_to_best({case: _mean_dice(result["metrics"]) for case, result in results.items()}, count)
    images = _raw_images(trainer)
    boundary_of = BoundaryMapper.of_trainer(trainer) if trainer.plain_network.config.has_sge else None
    draw_contact_sheet([_panel(case, images, results[case], labels, boundary_of) for case in chosen], file)


def _panel(
    case: str,
    images: Mapping[str, Any],
    result: Mapping[str, Any],
    labels: LabelScheme,
    boundary_of: BoundaryMapper | None,
) -> Panel:
    if case not in images:
        raise EvaluationError(f"{nnUNet_raw} must hold the image of {case}, but does not: copy the raw data set")
    files = tuple(Path(file) for file in images[case]["images"])
    shown = ShownCase(case, files, Path(result["prediction_file"]), Path(result["reference_file"]))
    return shown.panel(labels, shown.scores(labels), boundary_of(*files) if boundary_of else None)


def _raw_images(trainer: Any) -> Mapping[str, Any]:
    name = trainer.plans_manager.dataset_name
    folder = Path(nnUNet_raw) / name if nnUNet_raw.is_set() else None
    if folder is None or not folder.is_dir():
        raise EvaluationError(f"nnUNet_raw must be a folder that holds the images of {name}, got {nnUNet_raw.get()}")
    # nnU-Net completes paths inside the dictionary that it is given.
    images: Mapping[str, Any] = get_filenames_of_train_images_and_targets(str(folder), deepcopy(trainer.dataset_json))
    return images


def _mean_dice(metrics: Mapping[Any, Mapping[str, float]]) -> float:
    """The mean over the classes; nnU-Net leaves those undefined that neither truth nor prediction holds."""
    defined = [metric["Dice"] for metric in metrics.values() if not isnan(metric["Dice"])]
    return fmean(defined or [1.0])
