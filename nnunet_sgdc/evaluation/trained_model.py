"""nnU-Net's folder of a trained model: which folds are finished, and what they validated.

    nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION/fold_0  fold_1 ...  predictions/Ts ...

The number of folds and the cases that each of them validates are those of `splits_final.json` in nnUNet_preprocessed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw, nnUNet_results
from nnunetv2.utilities.dataset_name_id_conversion import convert_dataset_name_to_id, maybe_convert_to_dataset_name
from nnunetv2.utilities.file_path_utilities import get_output_folder

from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.plans_hash import content_hash, plans_hash

PLANS_NAME, DATASET_NAME, SPLITS_NAME = "plans.json", "dataset.json", "splits_final.json"
CHECKPOINT_NAME = "checkpoint_final.pth"
DEFAULT_PLANS = "nnUNetPlans"
# The fold that nnU-Net trains, and validates, on all cases.
ALL = "all"
# As many nnU-Net draws by itself.
DEFAULT_FOLDS = 5
DATASET_PATTERN = re.compile("Dataset[0-9]{3}_.+")


@dataclass(frozen=True)
class TrainedModel:
    """One trainer, trained on one data set.

    Attributes:
        folder: nnU-Net's folder of the model.
        dataset: Full name of the data set, as in `Dataset116_ISIC2016`.
        trainer: Name of the trainer.
        configuration: nnU-Net's configuration, such as `2d`.
        plans: Name of nnU-Net's plans.
    """

    folder: Path
    dataset: str
    trainer: str
    configuration: str
    plans: str = DEFAULT_PLANS

    @property
    def raw_folder(self) -> Path:
        """The raw data set.

        Raises:
            EvaluationError: It is not there.
        """
        raw = nnUNet_raw.get()
        if not raw or not Path(raw, self.dataset).is_dir():
            raise EvaluationError(
                f"the environment variable nnUNet_raw must name the folder that holds {self.dataset}, got {raw!r}: "
                "export nnUNet_raw=/path/to/nnUNet_raw"
            )
        return Path(raw, self.dataset)

    @property
    def splits_file(self) -> Path | None:
        """nnU-Net's folds of the data set; None if they are not there."""
        preprocessed = nnUNet_preprocessed.get()
        path = Path(preprocessed, self.dataset, SPLITS_NAME) if preprocessed else None
        return path if path and path.is_file() else None

    @property
    def expected_folds(self) -> int:
        """The number of folds of `splits_final.json`; without that file at least nnU-Net's five."""
        splits = self.splits_file
        if splits:
            return len(_validated_cases(splits))
        numbers = [path.name.removeprefix("fold_") for path in self.folder.glob("fold_*")]
        return max([DEFAULT_FOLDS, *(int(number) + 1 for number in numbers if number.isdecimal())])

    @property
    def finished_folds(self) -> tuple[str, ...]:
        """The folds that are trained and validated, as in `("0", "1", "all")`."""
        return tuple(fold for fold in self._fold_names if self.is_finished(fold))

    @property
    def file_ending(self) -> str:
        """How names of images and label maps end, as in `.png`."""
        ending: str = read_json(self.folder / DATASET_NAME)["file_ending"]
        return ending

    @property
    def plans_hash(self) -> str:
        """SHA-256 of the plans without what trainers differ in, so that it is the same with and without SGDC."""
        return plans_hash(read_json(self.folder / PLANS_NAME))

    @property
    def splits_hash(self) -> str | None:
        """SHA-256 of the folds of the data set; None if they are not there."""
        splits = self.splits_file
        return content_hash(read_json(splits)) if splits else None

    def hashes(self) -> dict[str, str]:
        """SHA-256 of `plans` and, if the folds are there, of `splits`, by which comparisons tell equal trainings."""
        splits = self.splits_hash
        return {"plans": self.plans_hash, **({"splits": splits} if splits else {})}

    def checkpoint(self, fold: str) -> Path:
        """The final checkpoint of a fold."""
        return self.folder / f"fold_{fold}" / CHECKPOINT_NAME

    def predictions(self, key: str) -> Path:
        """The folder for predictions of a set of images.

        Args:
            key: `Ts`, `Val` or as in `external_PH2`.
        """
        return self.folder / "predictions" / key

    def is_finished(self, fold: str) -> bool:
        """Whether a fold is trained and validated.

        Args:
            fold: The fold.
        """
        checkpoint = self.checkpoint(fold)
        return checkpoint.is_file() and (checkpoint.parent / "validation" / "summary.json").is_file()

    def check_folds(self, asked: Sequence[str] | None) -> tuple[str, ...]:
        """The folds to evaluate.

        Args:
            asked: The folds that the user wants; None wants all of the data set.

        Raises:
            EvaluationError: One of them is not finished, or there is no such fold.
        """
        strange = sorted(set(asked or ()).difference(self._fold_names))
        if strange:
            raise EvaluationError(
                f"the folds must be among {listed(self._fold_names)}, got {listed(strange)}: choose others with -f"
            )
        wanted = tuple(dict.fromkeys(asked or self._fold_names[:-1]))
        unfinished = [fold for fold in wanted if not self.is_finished(fold)]
        if unfinished:
            finished = f", or choose finished ones: -f {' '.join(self.finished_folds)}" if self.finished_folds else ""
            raise EvaluationError(
                f"{self.folder} must have finished training and validation of the folds {listed(wanted)}, but has not "
                f"of {listed(unfinished)}: run {' && '.join(map(self.train_command, unfinished))}{finished}"
            )
        return wanted

    def validation_files(self, folds: Sequence[str]) -> dict[str, tuple[str, Path]]:
        """The predictions of validation cases, each made by the fold that did not train on it.

        Args:
            folds: Finished folds.

        Returns:
            For each case its fold and the file of its prediction.

        Raises:
            EvaluationError: A fold validated other cases than it should have, or a case is in two folds.
        """
        expected = self._cases_to_validate(folds)
        found: dict[str, tuple[str, Path]] = {}
        for fold in folds:
            files = self._files_of(fold)
            self._check_validated(fold, files, expected[int(fold)])
            again = sorted(found.keys() & files.keys())
            if again:
                raise EvaluationError(
                    f"{self.splits_file} must give each case to one fold for validation, but fold {fold} has some of "
                    f"an earlier one, too ({counted(again)}): choose folds that share none with -f"
                )
            found.update({case: (fold, path) for case, path in files.items()})
        return found

    def train_command(self, fold: str) -> str:
        """The command that trains a fold, or goes on where it was left."""
        plans = "" if self.plans == DEFAULT_PLANS else f" -p {self.plans}"
        begun = " --c" if any(self.checkpoint(fold).parent.glob("checkpoint_*.pth")) else ""
        number = convert_dataset_name_to_id(self.dataset)
        return f"nnUNetv2_train {number} {self.configuration} {fold} -tr {self.trainer}{plans}{begun}"

    @property
    def _fold_names(self) -> tuple[str, ...]:
        return (*map(str, range(self.expected_folds)), ALL)

    def _cases_to_validate(self, folds: Sequence[str]) -> list[set[str]]:
        """For each fold of the data set its validation cases."""
        if ALL in folds:
            raise EvaluationError(
                f"fold {ALL} of {self.folder} has no validation cases, since it was trained on all of them: choose "
                "numbered folds with -f, or evaluate it on a test set"
            )
        splits = self.splits_file
        if not splits:
            raise EvaluationError(
                f"nnUNet_preprocessed must hold {self.dataset}/{SPLITS_NAME}, which says what each fold validates, but "
                "does not: set nnUNet_preprocessed to the folder that the model was trained with"
            )
        return _validated_cases(splits)

    def _files_of(self, fold: str) -> dict[str, Path]:
        ending = self.file_ending
        files = (self.folder / f"fold_{fold}" / "validation").glob(f"*{ending}")
        return {path.name.removesuffix(ending): path for path in sorted(files)}

    def _check_validated(self, fold: str, files: Mapping[str, Path], expected: set[str]) -> None:
        missing, extra = sorted(expected - files.keys()), sorted(files.keys() - expected)
        if missing:
            raise EvaluationError(
                f"the validation folder of fold {fold} must hold a prediction of each case that {self.splits_file} "
                f"gives to it, but lacks {counted(missing)}: validate it again with {self.train_command(fold)}"
            )
        if extra:
            raise EvaluationError(
                f"the validation folder of fold {fold} must hold the cases that {self.splits_file} gives to it, but "
                f"has others ({counted(extra)}): the folds have changed since the training, so restore them or train "
                "again"
            )


def find_model(dataset: int | str, trainer: str, configuration: str, plans: str = DEFAULT_PLANS) -> TrainedModel:
    """Find a trained model in nnU-Net's folders.

    Args:
        dataset: Number or full name of the data set.
        trainer: Name of the trainer.
        configuration: nnU-Net's configuration, such as `2d`.
        plans: Name of nnU-Net's plans.

    Raises:
        EvaluationError: There is no such data set or model, or nnUNet_results is not set.
    """
    if not nnUNet_results.get():
        raise EvaluationError(
            "the environment variable nnUNet_results must name nnU-Net's folder of trained models, but is not set: "
            "export nnUNet_results=/path/to/nnUNet_results"
        )
    name = _dataset_name(dataset)
    folder = Path(get_output_folder(name, trainer, plans, configuration))
    model = TrainedModel(folder, name, trainer, configuration, plans)
    if not _is_model(folder):
        there = listed(sorted(path.name for path in folder.parent.glob("*__*__*") if _is_model(path))) or "none"
        raise EvaluationError(
            f"{folder} must be the folder of a trained model, but is not; models of this data set: {there}: choose one "
            f"of them, or run {model.train_command('0')}"
        )
    return model


def read_json(path: Path) -> Any:
    """Read a JSON file of a trained model or of its data set.

    Raises:
        EvaluationError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EvaluationError(f"{path} must be there, but is missing: restore it, or train again") from None
    except ValueError as error:
        raise EvaluationError(f"{path} must be JSON, got other content ({error}): restore it") from error


def _dataset_name(dataset: int | str) -> str:
    try:
        name = str(maybe_convert_to_dataset_name(dataset))
    except (RuntimeError, ValueError) as error:
        # The rest of the message spreads over many lines.
        name, reason = "", f" ({str(error).split('. ')[0]})"
    else:
        reason = ""
    if not DATASET_PATTERN.fullmatch(name):
        raise EvaluationError(
            f"the data set must be the number or the full name of one in nnU-Net's folders, got {str(dataset)!r}"
            f"{reason}: check it, and nnUNet_raw, nnUNet_preprocessed and nnUNet_results"
        )
    return name


def _validated_cases(splits: Path) -> list[set[str]]:
    """For each fold the cases that it validates."""
    folds = read_json(splits)
    if not (isinstance(folds, list) and folds and all(isinstance(fold, dict) and "val" in fold for fold in folds)):
        raise EvaluationError(f"{splits} must hold the folds of nnU-Net, but holds something else: restore it")
    return [set(fold["val"]) for fold in folds]


def _is_model(folder: Path) -> bool:
    """Whether a training has begun in a folder; nnU-Net makes folders before it does."""
    return (folder / PLANS_NAME).is_file()
