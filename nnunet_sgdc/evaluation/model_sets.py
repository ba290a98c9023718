"""The sets of cases on which a trained model can be scored.

The validation folds together are one set, in which every training case is predicted by the model that has not seen it.
The others are the splits and external test sets of the raw data set that have their truth; their predictions lie in
`predictions` in the folder of the model, each in a folder named as the set.
"""

from collections.abc import Sequence
from pathlib import Path

from nnunet_sgdc.datasets.raw_dataset import EXTERNAL_PREFIX
from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.case_set import CaseFiles, CaseSet
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.folders import folder_set, read_label_scheme
from nnunet_sgdc.evaluation.label_files import label_files
from nnunet_sgdc.evaluation.prediction import predict, stale
from nnunet_sgdc.evaluation.raw_set import RawSet
from nnunet_sgdc.evaluation.record import TRAINING_GRID
from nnunet_sgdc.evaluation.trained_model import TrainedModel

VALIDATION = "validation"


def model_sets(
    model: TrainedModel, folds: Sequence[str], asked: Sequence[str] | None = None, device: str | None = None
) -> dict[str, CaseSet]:
    """What a trained model is scored on, by key.

    Args:
        model: The trained model.
        folds: Its folds that are used.
        asked: Keys of the sets; None takes the validation folds and all test sets that have their truth.
        device: Where to predict test sets that are not predicted yet, or by other checkpoints; None refuses them.

    Raises:
        UserError: A set is unknown, or a prediction is missing or that of another training.
        OSError: Something cannot be read or written.
    """
    dataset = model.raw_folder
    tests = {raw.key: raw for raw in _test_sets(dataset)}
    known = [VALIDATION, *tests]
    unknown = [key for key in asked or () if key not in known]
    if unknown:
        raise EvaluationError(
            f"--sets must be of {listed(known)}, the sets of {dataset} that have their truth, got "
            f"{listed(unknown)}: choose among them"
        )
    return {
        key: _test_set(model, folds, tests[key], device)
        if key in tests
        else _validation_set(model, folds, RawSet(dataset, "Tr"))
        for key in dict.fromkeys(known if asked is None else asked)
    }


def _validation_set(model: TrainedModel, folds: Sequence[str], raw: RawSet) -> CaseSet:
    truths = label_files(raw.labels, "the folder of the training labels")
    predicted = model.validation_files(folds)
    missing = sorted(predicted.keys() - truths.keys())
    if missing:
        raise EvaluationError(
            f"{raw.labels} must hold the truth of every validated case, but lacks {counted(missing)}: convert the data "
            "set again as it was"
        )
    cases = (CaseFiles(case, truths[case], path, fold) for case, (fold, path) in sorted(predicted.items()))
    return CaseSet(
        name=raw.name,
        labels=read_label_scheme(raw.dataset_json),
        grid=TRAINING_GRID,
        cases=tuple(raw.described(case) for case in cases),
    )


def _test_set(model: TrainedModel, folds: Sequence[str], raw: RawSet, device: str | None) -> CaseSet:
    predictions = model.predictions(raw.key)
    outdated = stale(model, predictions, folds)
    if outdated:
        if device is None:
            raise EvaluationError(f"{outdated}: give --predict, or choose other sets with --sets")
        predict(model, raw.images, predictions, folds, device)
    return folder_set(raw.labels, predictions, fold="+".join(folds))


def _test_sets(dataset: Path) -> list[RawSet]:
    """All splits but the training split, and the external test sets, that have their truth."""
    splits = [RawSet(dataset, "Val"), RawSet(dataset, "Ts")]
    external = [RawSet(folder, "Ts") for folder in sorted(dataset.glob(f"{EXTERNAL_PREFIX}*")) if folder.is_dir()]
    return [raw for raw in (*splits, *external) if raw.labels.is_dir()]
