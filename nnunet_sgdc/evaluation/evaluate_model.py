"""Score everything that a trained model has predicted: its validation folds and the test sets of its data set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nnunet_sgdc.evaluation.evaluate import Origin, evaluate
from nnunet_sgdc.evaluation.model_sets import model_sets
from nnunet_sgdc.evaluation.report import EvaluationReport
from nnunet_sgdc.evaluation.trained_model import TrainedModel
from nnunet_sgdc.evaluation.training_cost import training_cost

EVALUATIONS = "evaluation"


def default_device() -> str:
    """Where to predict when nobody says: on a GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def evaluate_model(
    model: TrainedModel,
    *,
    folds: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    device: str | None = None,
    trainer: str | None = None,
    seed: int = 0,
    output: Path | None = None,
    overwrite: bool = False,
    command: str = "",
    **options: Any,
) -> list[EvaluationReport]:
    """Score the validation folds together and every test set, one folder for each.

    Args:
        model: The trained model.
        folds: Its folds; None takes all, which must be finished.
        sets: `validation`, `Ts`, `Val` or `external_NAME`; None takes all that have their truth.
        device: Where to predict the test sets that are not predicted yet; None refuses them.
        trainer: What comparisons call the trainer; None takes its name.
        seed: Which of several equal trainings this is.
        output: The folder to write; None takes `evaluation` in the folder of the model, which is always replaced.
        overwrite: Whether folders in `output` may be replaced.
        command: The command line, for the record.
        options: Those of `evaluate`.

    Raises:
        UserError: A fold or a prediction is missing, or files are not those of the data set.
        OSError: Something cannot be read or written.
    """
    used = model.check_folds(folds)
    case_sets = model_sets(model, used, sets, device)
    cost = training_cost(model, used)
    origin = Origin(
        trainer=trainer or model.trainer,
        seed=seed,
        configuration=model.configuration,
        plans=model.plans,
        hashes={"plans": model.plans_hash, "splits": model.splits_hash or ""},
        model=str(model.folder),
        cost=cost,
        command=command,
    )
    place = output or model.folder / EVALUATIONS
    overwrite = overwrite or output is None
    reports = [evaluate(cases, origin, place / key, overwrite=overwrite, **options) for key, cases in case_sets.items()]
    notes = (cost.note,) if cost.note else ()
    return [replace(report, notes=report.notes + notes) for report in reports]
