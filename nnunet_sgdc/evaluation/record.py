"""What an evaluation leaves: `evaluation.json`, which says everything about the numbers, and `cases.csv`, the numbers.

One evaluation is one trainer on one set of cases: the five validation folds of a data set together, its test set, or an
external test set. `cases.csv` has one row for each case, class and metric.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.metrics import Settings

RECORD_NAME = "evaluation.json"
CASES_NAME = "cases.csv"
SUMMARY_NAME = "summary.json"
CASES_COLUMNS = ("dataset", "fold", "seed", "trainer", "case", "class", "metric", "value")
FORMAT = 1

# The grids that predictions can be scored on.
TRAINING_GRID = "training grid"
ORIGINAL_GRID = "original size"
STORED_GRID = "as stored"


@dataclass(frozen=True)
class EvaluatedCase:
    """One case.

    Attributes:
        id: Its identifier.
        fold: The fold whose model predicted it, or several as in `0+1+2+3+4`; empty if unknown.
        cluster: The source that cases which are not independent share, such as the image they were cut from.
        size: (width, height) in pixels of the grid it was scored on.
        truth: File of the true label map.
        prediction: File of the predicted one.
        images: Files of the image, one or one of each channel; empty if unknown.
    """

    id: str
    fold: str
    cluster: str
    size: tuple[int, int]
    truth: str
    prediction: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingCost:
    """What the trained networks cost.

    Attributes:
        parameters: Number of trainable parameters of one network.
        seconds: Time of all epochs, the mean over folds; None if the checkpoints do not tell.
        activation_bytes: Activations that one training step keeps for the backward pass, computed for the patch and
            batch size of the plans in single precision; None if the network cannot run without data.
        note: What the reader should know of it, in a sentence; empty if there is nothing.
    """

    parameters: int
    seconds: float | None
    activation_bytes: int | None
    note: str = ""


@dataclass(frozen=True)
class EvaluationRecord:
    """The content of `evaluation.json`.

    Attributes:
        dataset: The set of cases, as in `Dataset116_ISIC2016` for the validation folds, `Dataset116_ISIC2016/Ts` for
            the test set and `Dataset116_ISIC2016/external_PH2` for an external one.
        trainer: What the trainer is called in comparisons.
        seed: Which of several equal trainings this is.
        grid: What the pixels are of: `TRAINING_GRID`, `ORIGINAL_GRID`, `STORED_GRID` or what the user said.
        settings: What distances are measured in and against.
        classes: Label of each class, without the background.
        cases: All cases, ordered by identifier.
        averages: For each of the score families by name its averages of each class.
        definitions: What each metric is.
        ignore_label: Label of pixels that are not scored; None if there is none.
        challenge: Scores as a challenge defines them, by its name.
        configuration: nnU-Net's configuration, such as `2d`; empty if unknown.
        plans: Name of nnU-Net's plans; empty if unknown.
        hashes: SHA-256 of `plans`, without what trainers differ in, and `splits`, as far as they are known.
        model: nnU-Net's folder of the model; empty if unknown.
        cost: What training cost; None if the model is unknown.
        command: The command line that made this.
        tools: Versions of what computed it.
    """

    dataset: str
    trainer: str
    seed: int
    grid: str
    settings: Settings
    classes: Mapping[str, int]
    cases: tuple[EvaluatedCase, ...]
    averages: Mapping[str, Mapping[str, Any]]
    definitions: Mapping[str, str]
    ignore_label: int | None = None
    challenge: Mapping[str, Any] = field(default_factory=dict)
    configuration: str = ""
    plans: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    cost: TrainingCost | None = None
    command: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `evaluation.json` into a folder."""
        content = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)
        (folder / RECORD_NAME).write_text(content + "\n", encoding="utf-8")


def read_evaluation(folder: Path) -> EvaluationRecord:
    """Read `evaluation.json` of a folder.

    Raises:
        EvaluationError: It is missing, damaged or of a later version.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        raise EvaluationError(f"{folder} must hold {RECORD_NAME}, but does not: make it with nnunet_sgdc-evaluate")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") == FORMAT:
            return _record(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{path} is damaged ({type(error).__name__}: {error}): evaluate again") from error
    raise EvaluationError(f"{path} must be of format {FORMAT}, but is of another one: evaluate again")


def _record(content: dict[str, Any]) -> EvaluationRecord:
    settings, cost = content["settings"], content["cost"]
    spacing = settings["spacing"]
    restored = {
        "settings": Settings(
            spacing and (spacing[0], spacing[1]), tuple(settings["tolerances"]), settings["boundary_width"]
        ),
        "cases": tuple(map(_case, content["cases"])),
        "cost": cost and TrainingCost(**cost),
    }
    return EvaluationRecord(**{**content, **restored})


def _case(entry: dict[str, Any]) -> EvaluatedCase:
    # JSON has no tuples.
    return EvaluatedCase(**{**entry, "size": tuple(entry["size"]), "images": tuple(entry["images"])})
