"""nnU-Net's folder of a trained model: which folds are finished, what they validated, and predicting with them.

    nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION/fold_0  fold_1 ...  predictions/Ts ...

The number of folds and the cases that each of them validates are those of `splits_final.json` in nnUNet_preprocessed.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.configuration import default_num_processes
from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw, nnUNet_results
from nnunetv2.utilities.dataset_name_id_conversion import convert_dataset_name_to_id, maybe_convert_to_dataset_name
from nnunetv2.utilities.file_path_utilities import get_output_folder
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder

from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.staging import check_replaceable, staged

PLANS_NAME, DATASET_NAME, SPLITS_NAME = "plans.json", "dataset.json", "splits_final.json"
CHECKPOINT_NAME = "checkpoint_final.pth"
PREDICTED_WITH = "predicted_with.json"
DEFAULT_PLANS = "nnUNetPlans"
# The fold that nnU-Net trains, and validates, on all cases.
ALL = "all"
# As many nnU-Net draws by itself.
DEFAULT_FOLDS = 5
DATASET_PATTERN = re.compile("Dataset[0-9]{3}_.+")
# More processes beside the network bring little for images of this size.
MOST_PROCESSES = 2
PREDICT = "nnUNetv2_predict_from_modelfolder"


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
        return tuple(fold for fold in self._fold_names if self._is_finished(fold))

    @property
    def file_ending(self) -> str:
        """How names of images and label maps end, as in `.png`."""
        ending: str = _read_json(self.folder / DATASET_NAME)["file_ending"]
        return ending

    @property
    def plans_hash(self) -> str:
        """SHA-256 of the plans without what trainers differ in, so that it is the same with and without SGDC."""
        plans = _read_json(self.folder / PLANS_NAME)
        manager = PlansManager(plans)
        # A grafted configuration has an architecture of its own where the stock one inherits it.
        resolved = {name: manager.get_configuration(name).configuration for name in plans["configurations"]}
        configurations = {name: _without_trainer(configuration) for name, configuration in resolved.items()}
        return _hash_of({**plans, "configurations": configurations})

    @property
    def splits_hash(self) -> str | None:
        """SHA-256 of the folds of the data set; None if they are not there."""
        splits = self.splits_file
        return _hash_of(_read_json(splits)) if splits else None

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
        unfinished = [fold for fold in wanted if not self._is_finished(fold)]
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

    def _is_finished(self, fold: str) -> bool:
        checkpoint = self.checkpoint(fold)
        return checkpoint.is_file() and (checkpoint.parent / "validation" / "summary.json").is_file()

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


def predict(
    model: TrainedModel, images: Path, output: Path, folds: Sequence[str], device: str, save_probabilities: bool = False
) -> None:
    """Predict a folder of images with nnU-Net's own command and defaults, the folds as one ensemble.

    Args:
        model: The model.
        images: Folder of images in nnU-Net's raw format.
        output: The folder of predictions, which appears complete or not at all; earlier ones in it are replaced.
        folds: Finished folds.
        device: "cuda", "mps" or "cpu".
        save_probabilities: Whether nnU-Net's files of probabilities are written, too.

    Raises:
        UserError: There are no images, nnU-Net failed, or `output` holds something else.
        OSError: Something cannot be read or written.
    """
    cases = _cases_of(images, model.file_ending)
    _check_replaceable(output)
    record = {"images": str(images), "checkpoints": _checkpoint_hashes(model, folds)}
    output.parent.mkdir(parents=True, exist_ok=True)
    with staged(output, overwrite=True) as folder:
        options = ["-f", *folds, "-device", device, *(["--save_probabilities"] if save_probabilities else [])]
        code = _run_nnunet(["-i", str(images), "-o", str(folder), "-m", str(model.folder), *options])
        missing = [case for case in cases if not (folder / f"{case}{model.file_ending}").is_file()]
        if code or missing:
            raise EvaluationError(
                f"{PREDICT} must predict all {len(cases)} cases of {images}, but ended with exit code {code} and "
                f"{len(missing)} of them missing: put right what its messages above say"
            )
        (folder / PREDICTED_WITH).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def stale(model: TrainedModel, predictions: Path, folds: Sequence[str]) -> str | None:
    """Why a folder of predictions is not what the model would predict now; None if it is.

    Args:
        model: The model.
        predictions: A folder that `predict` made, or any other.
        folds: The folds to predict with.

    Returns:
        A sentence without its end, so that the remedy can be added.
    """
    path = predictions / PREDICTED_WITH
    if not path.is_file():
        return f"{predictions} must hold predictions with their {PREDICTED_WITH}, but does not"
    used, now = _read_json(path)["checkpoints"], _checkpoint_hashes(model, folds)
    if used.keys() != now.keys():
        return f"{predictions} must be predicted with the folds {listed(now)}, but was with {listed(used)}"
    changed = [fold for fold in now if used[fold] != now[fold]]
    if changed:
        return f"{predictions} was predicted with other checkpoints of the folds {listed(changed)} than there are now"
    return None


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


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EvaluationError(f"{path} must be there, but is missing: restore it, or train again") from None
    except ValueError as error:
        raise EvaluationError(f"{path} must be JSON, got other content ({error}): restore it") from error


def _validated_cases(splits: Path) -> list[set[str]]:
    """For each fold the cases that it validates."""
    folds = _read_json(splits)
    if not (isinstance(folds, list) and folds and all(isinstance(fold, dict) and "val" in fold for fold in folds)):
        raise EvaluationError(f"{splits} must hold the folds of nnU-Net, but holds something else: restore it")
    return [set(fold["val"]) for fold in folds]


def _is_model(folder: Path) -> bool:
    """Whether a training has begun in a folder; nnU-Net makes folders before it does."""
    return (folder / PLANS_NAME).is_file()


def _without_trainer(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the class of its network and the options of SGDC."""
    options = configuration["architecture"]["arch_kwargs"]
    stock = {name: value for name, value in options.items() if name not in ("backbone", "sgdc")}
    return {**configuration, "architecture": {"arch_kwargs": stock}}


def _hash_of(content: object) -> str:
    """SHA-256 of what JSON holds, whatever its order and white space."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _checkpoint_hashes(model: TrainedModel, folds: Iterable[str]) -> dict[str, str]:
    return {fold: _file_hash(model.checkpoint(fold)) for fold in folds}


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _cases_of(images: Path, ending: str) -> Collection[str]:
    cases = get_identifiers_from_splitted_dataset_folder(str(images), ending) if images.is_dir() else ()
    if len(cases) == 0:
        raise EvaluationError(
            f"{images} must be a folder of images, named as in case_0000{ending}, but holds none: convert the data "
            "set, or give another folder"
        )
    return cases


def _check_replaceable(output: Path) -> None:
    check_replaceable(output, overwrite=True)
    if output.exists() and not (output / PREDICTED_WITH).is_file():
        raise EvaluationError(
            f"{output} must hold earlier predictions with their {PREDICTED_WITH} to be replaced, but holds something "
            "else: move it away"
        )


def _run_nnunet(arguments: Sequence[str]) -> int:
    """Predict in a process of its own, which may set threads and be killed for memory; its exit code."""
    search = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    executable = shutil.which(PREDICT, path=search) or PREDICT
    processes = str(min(MOST_PROCESSES, default_num_processes))
    return subprocess.run([executable, *arguments, "-npp", processes, "-nps", processes]).returncode
