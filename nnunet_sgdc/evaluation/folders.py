"""The cases of a folder of true label maps and a folder of predictions."""

import json
from collections.abc import Iterable
from pathlib import Path

from nnunet_sgdc.evaluation.case_set import CaseFiles, CaseSet, LabelScheme, check_pairs
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.label_files import is_mask, label_files
from nnunet_sgdc.evaluation.raw_set import RawSet
from nnunet_sgdc.evaluation.record import ORIGINAL_GRID, STORED_GRID, TRAINING_GRID

DATASET_JSON = "dataset.json"
# Published masks of one class.
MASKS = LabelScheme({"lesion": 1})


def folder_set(
    truth: Path,
    predictions: Path,
    *,
    dataset_json: Path | None = None,
    name: str | None = None,
    grid: str | None = None,
    instances: Path | None = None,
    fold: str = "",
) -> CaseSet:
    """Pair the files of two folders.

    Args:
        truth: Folder of the true label maps, or of published masks.
        predictions: Folder of the predicted ones.
        dataset_json: The file that declares the classes; None looks for it beside truth and predictions.
        name: Name of the set of cases; None derives it from the folder of the truth.
        grid: What the pixels are of; None takes `TRAINING_GRID` for a split in nnU-Net's raw format, `ORIGINAL_GRID`
            for published masks and else `STORED_GRID`.
        instances: Folder of the numbered objects; None takes those of a converted data set.
        fold: The folds whose models predicted; empty if unknown.

    Raises:
        UserError: A folder or a case is missing, a prediction has no truth, or the classes are unknown.
    """
    truths, predicted = label_files(truth, "GROUND_TRUTH"), label_files(predictions, "PREDICTIONS")
    check_pairs(truths, predicted, truth, predictions)
    numbered = label_files(instances, "--instances") if instances else {}
    if instances:
        check_pairs(truths, numbered, truth, instances)
    labels = read_label_scheme(dataset_json) if dataset_json else _label_scheme(truth, predictions, truths.values())
    raw = RawSet.of_labels(truth)
    cases = tuple(
        CaseFiles(case, truths[case], predicted[case], fold, instances=numbered.get(case)) for case in sorted(truths)
    )
    return CaseSet(
        name=name or (raw.name if raw else truth.resolve().name),
        labels=labels,
        grid=grid or _grid(raw, truths.values()),
        cases=tuple(raw.described(case) for case in cases) if raw else cases,
    )


def read_label_scheme(path: Path) -> LabelScheme:
    """The classes that a `dataset.json` declares.

    Raises:
        EvaluationError: It is missing or damaged, or declares no plain classes.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EvaluationError(f"{path} must declare the labels of the data set, but is missing: give another") from None
    except ValueError as error:
        raise EvaluationError(f"{path} must be JSON, got {error}: give another") from error
    return LabelScheme.from_dataset_json(content, path)


def _label_scheme(truth: Path, predictions: Path, truths: Iterable[Path]) -> LabelScheme:
    # An external test set lies in the folder of its data set, and nnUNetv2_predict leaves a copy.
    places = (truth.resolve(), *truth.resolve().parents[:2], predictions)
    found = [place / DATASET_JSON for place in places if (place / DATASET_JSON).is_file()]
    if found:
        return read_label_scheme(found[0])
    if all(map(is_mask, truths)):
        return MASKS
    raise EvaluationError(f"no {DATASET_JSON} was found beside {truth} or in {predictions}: give --dataset-json FILE")


def _grid(raw: RawSet | None, truths: Iterable[Path]) -> str:
    if raw:
        return TRAINING_GRID
    return ORIGINAL_GRID if all(map(is_mask, truths)) else STORED_GRID
