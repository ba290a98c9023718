"""`nnunet_sgdc-restore`: predictions of a converted data set back at the size of the original images.

Challenges score at the original size. Label maps go back the way labels came, class by class, so that no label is
invented; probabilities, as `nnUNetv2_predict --save_probabilities` leaves them, are interpolated before the class is
chosen, which keeps outlines smoother.
"""

import argparse
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.command_line import command_parser, run
from nnunet_sgdc.datasets.command import add_storage_options
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.images import decoded
from nnunet_sgdc.datasets.options import check_range
from nnunet_sgdc.datasets.raw_dataset import dataset_folder, raw_folder
from nnunet_sgdc.datasets.record import CaseRecord, read_record
from nnunet_sgdc.datasets.resizing import label_from_probabilities, resized_label
from nnunet_sgdc.datasets.threads import in_threads
from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.staging import check_apart, check_replaceable, staged

COMMAND = "nnunet_sgdc-restore"
LABEL_MODES = frozenset({"1", "L", "P", "I;16", "I"})
PROBABILITIES = "probabilities"
SUBMISSION_SUFFIX = "_segmentation"


@dataclass(frozen=True)
class RestoreReport:
    """What was restored; its text is the summary for the reader."""

    folder: Path
    identifiers: tuple[str, ...]
    source: str

    def __str__(self) -> str:
        return f"{len(self.identifiers)} predictions restored from {self.source} -> {self.folder}"


@dataclass(frozen=True)
class Restorer:
    """Restores single predictions into a folder.

    Attributes:
        labels: Class names and indices of the data set.
        output: The folder.
        submission: Whether files are named and valued as the ISIC challenge asks: 0 and 255 in <id>_segmentation.png.
    """

    labels: Mapping[str, int]
    output: Path
    submission: bool

    def restore(self, prediction: Path, case: CaseRecord) -> None:
        """Write the prediction of one case at its original size.

        Raises:
            ConversionError: The prediction does not belong to the data set.
            OSError: The file cannot be written.
        """
        if prediction.suffix == ".npz":
            probabilities = _probabilities(prediction, (len(self.labels), case.size[1], case.size[0]))
            label = label_from_probabilities(probabilities, case.original_size)
        else:
            label = resized_label(_label_map(prediction, case, self.labels), case.original_size)
        name = f"{case.id}{SUBMISSION_SUFFIX if self.submission else ''}.png"
        Image.fromarray(label * np.uint8(255) if self.submission else label).save(self.output / name)


def restore(
    predictions: Path,
    dataset: Path,
    output: Path,
    *,
    probabilities: bool = False,
    submission: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
) -> RestoreReport:
    """Put predictions back to the size of the original images; nothing is left behind if that fails.

    Args:
        predictions: Folder with <id>.png, or with <id>.npz if `probabilities`.
        dataset: The converted data set, or an external test set in it.
        output: The folder to write, label maps named <id>.png.
        probabilities: Whether to start from probabilities instead of label maps.
        submission: Whether files are named and valued as the ISIC challenge asks.
        overwrite: Whether `output` may be replaced.
        workers: Number of threads; None takes one per processor.

    Raises:
        ConversionError: The predictions are not those of the data set.
        UserError: The output exists, or holds the predictions or the data set.
        OSError: Something cannot be read or written.
    """
    record = read_record(dataset)
    if submission and len(record.labels) != 2:
        raise ConversionError(f"--submission needs a data set of one class, but {dataset} has {len(record.labels) - 1}")
    jobs = _jobs(predictions, {case.id: case for case in record.cases}, ".npz" if probabilities else ".png", dataset)
    output = output.resolve()
    check_apart(output, predictions, dataset)
    check_replaceable(output, overwrite)
    check_range("workers", workers, 1, 1024)
    with staged(output, overwrite) as folder:
        restorer = Restorer(record.labels, folder, submission)
        in_threads(lambda job: restorer.restore(*job), jobs, workers)
    return RestoreReport(output, tuple(case.id for _, case in jobs), PROBABILITIES if probabilities else "label maps")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    parsed = _parser().parse_args(arguments)
    run(
        COMMAND,
        lambda: restore(
            parsed.predictions,
            _dataset(parsed.dataset, parsed.raw),
            parsed.output or parsed.predictions.resolve().with_name(f"{parsed.predictions.resolve().name}_restored"),
            probabilities=parsed.probabilities,
            submission=parsed.submission,
            overwrite=parsed.overwrite,
            workers=parsed.workers,
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(COMMAND, "Put predictions back to the original image sizes.")
    add = parser.add_argument
    add("predictions", type=Path, metavar="PREDICTIONS", help="folder that nnUNetv2_predict wrote")
    dataset = "id of the converted data set, or its folder, or the folder of an external test set in it"
    add("dataset", metavar="DATASET", help=dataset)
    add("-o", "--output", type=Path, metavar="FOLDER", help="where to (default: PREDICTIONS_restored)")
    saved = "start from what --save_probabilities saved instead of label maps"
    add("--probabilities", action="store_true", help=saved)
    add("--submission", action="store_true", help="name and value files as the ISIC challenge asks")
    add_storage_options(parser, "the output folder")
    return parser


def _dataset(named: str, raw: Path | None) -> Path:
    return dataset_folder(raw_folder(raw), int(named)) if named.isdecimal() else Path(named)


def _jobs(
    predictions: Path, cases: Mapping[str, CaseRecord], ending: str, dataset: Path
) -> list[tuple[Path, CaseRecord]]:
    if not predictions.is_dir():
        raise ConversionError(
            f"predictions must be a folder, got {str(predictions)!r}: give what nnUNetv2_predict wrote"
        )
    files = sorted(path for path in predictions.glob(f"*{ending}") if not path.name.startswith("."))
    strangers = [path.stem for path in files if path.stem not in cases]
    if strangers:
        raise ConversionError(
            f"{predictions} must hold predictions of {dataset.name} only, got others ({counted(strangers)}): "
            "choose the data set that was predicted"
        )
    if not files:
        remedy = "predict with --save_probabilities" if ending == ".npz" else "give the folder of the label maps"
        raise ConversionError(f"{predictions} must hold predictions named <id>{ending}, but holds none: {remedy}")
    return [(path, cases[path.stem]) for path in files]


def _label_map(path: Path, case: CaseRecord, labels: Mapping[str, int]) -> NDArray[np.uint8]:
    image = decoded(path.read_bytes(), path)
    if image.mode not in LABEL_MODES:
        raise ConversionError(f"{path} must be a label map of one channel, got mode {image.mode!r}: predict again")
    if image.size != case.size:
        raise ConversionError(
            f"{path} must have the size of the converted image, {case.size[0]} x {case.size[1]} pixels, but is "
            f"{image.width} x {image.height}: restore what nnUNetv2_predict wrote"
        )
    values = np.asarray(image)
    strange = sorted(set(np.unique(values).tolist()) - set(labels.values()))
    if strange:
        raise ConversionError(
            f"{path} must hold the labels {listed(labels.values())}, got {listed(strange)}: "
            "choose the data set that was predicted"
        )
    return values.astype(np.uint8)


def _probabilities(path: Path, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            probabilities = np.asarray(arrays[PROBABILITIES], dtype=np.float32)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConversionError(f"{path} must be what --save_probabilities saves, got {error}: predict again") from error
    # nnU-Net gives 2D images a third axis of one slice.
    if probabilities.ndim == 4 and probabilities.shape[1] == 1:
        probabilities = probabilities[:, 0]
    if probabilities.shape != shape:
        raise ConversionError(
            f"{path} must hold probabilities of shape {shape}, got {probabilities.shape}: "
            "choose the data set that was predicted"
        )
    return probabilities
