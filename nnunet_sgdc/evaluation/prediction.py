"""Predicting a set of images with nnU-Net, and knowing later what predicted them.

A file beside the predictions tells the checkpoints by their hashes, so that predictions of an earlier training are not
taken for those of this one.
"""

import hashlib
import json
import subprocess
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from nnunetv2.configuration import default_num_processes
from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder

from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.trained_model import TrainedModel, read_json
from nnunet_sgdc.executables import executable
from nnunet_sgdc.staging import check_replaceable, staged

PREDICTED_WITH = "predicted_with.json"
# More processes beside the network bring little for images of this size.
MOST_PROCESSES = 2
PREDICT = "nnUNetv2_predict_from_modelfolder"


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
    used, now = read_json(path)["checkpoints"], _checkpoint_hashes(model, folds)
    if used.keys() != now.keys():
        return f"{predictions} must be predicted with the folds {listed(now)}, but was with {listed(used)}"
    changed = [fold for fold in now if used[fold] != now[fold]]
    if changed:
        return f"{predictions} was predicted with other checkpoints of the folds {listed(changed)} than there are now"
    return None


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
    processes = str(min(MOST_PROCESSES, default_num_processes))
    return subprocess.run([executable(PREDICT), *arguments, "-npp", processes, "-nps", processes]).returncode
