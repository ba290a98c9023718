"""Draw predictions: one picture of each case, and contact sheets of them, complete or not at all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from nnunet_sgdc.errors import counted, listed
from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.folders import DATASET_JSON, read_label_scheme
from nnunet_sgdc.evaluation.gallery import SHEET_SIDE, draw_case, draw_contact_sheet
from nnunet_sgdc.evaluation.image_files import image_files
from nnunet_sgdc.evaluation.label_files import label_files
from nnunet_sgdc.evaluation.metrics import ClassScores
from nnunet_sgdc.evaluation.panel import Panel
from nnunet_sgdc.evaluation.shown_case import ShownCase, mean_dice
from nnunet_sgdc.staging import check_apart, check_replaceable, staged

SHEET_ROWS = 20
# What stands for the probability 1 in a 16-bit PNG.
CERTAIN = 65535

# Boundary probabilities of the image in some files.
BoundaryOf = Callable[..., NDArray[np.float32]]


@dataclass(frozen=True)
class ShowReport:
    """What was drawn; its text is the summary for the reader.

    Attributes:
        folder: Where the pictures are.
        cases: The identifiers, in the order of the contact sheets.
        skipped: Images without a prediction.
    """

    folder: Path
    cases: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        skipped = f"; images without a prediction are left out ({counted(self.skipped)})" if self.skipped else ""
        return f"{len(self.cases)} cases drawn -> {self.folder}{skipped}"


def show(
    images: Path,
    predictions: Path,
    output: Path,
    *,
    truth: Path | None = None,
    dataset_json: Path | None = None,
    cases: Sequence[str] | None = None,
    boundary_of: BoundaryOf | None = None,
    contact_sheet: bool = False,
    save_boundary: bool = False,
    overwrite: bool = False,
) -> ShowReport:
    """Draw predictions; all files are checked before the first picture, and nothing is left behind if that fails.

    Args:
        images: Folder in nnU-Net's raw format, with the images that were predicted and maybe others.
        predictions: Folder of the predicted label maps.
        output: The folder to write, with <id>.png of each case.
        truth: Folder of the true label maps; with it cases are ordered by their mean Dice, the worst first.
        dataset_json: The file that declares the classes; None looks for it beside predictions, images and truth.
        cases: The identifiers of the cases to draw; None draws all that are predicted.
        boundary_of: A `BoundaryMapper`; None leaves the boundary out.
        contact_sheet: Whether to write contact_sheet.png as well, or several numbered ones of 20 cases each.
        save_boundary: Whether to write boundary/<id>.png of 16 bits as well, where 65535 is the probability 1.
        overwrite: Whether `output` may be replaced.

    Raises:
        UserError: Files, labels or sizes do not belong together, or the output exists.
        OSError: Something cannot be read or written.
    """
    output = output.resolve()
    check_apart(output, images, predictions, *([truth] if truth else []))
    check_replaceable(output, overwrite)
    found, skipped = _paired(images, predictions, truth, cases)
    labels = read_label_scheme(dataset_json or _find_dataset_json(predictions, images, truth))
    scores = {case.id: case.scores(labels) for case in _with_progress(found, "Check")}
    if truth:
        found = sorted(found, key=lambda case: mean_dice(scores[case.id]))
    output.parent.mkdir(parents=True, exist_ok=True)
    with staged(output, overwrite) as folder:
        pictures = _Pictures(folder, labels, scores, boundary_of, save_boundary)
        panels = (pictures.draw(case) for case in _with_progress(found, "Draw"))
        for name in _sheet_names(len(found)):
            page = [panel.reduced(SHEET_SIDE) for panel in islice(panels, SHEET_ROWS)]
            if contact_sheet:
                draw_contact_sheet(page, folder / name)
    return ShowReport(output, tuple(case.id for case in found), skipped)


@dataclass(frozen=True)
class _Pictures:
    """Draws single cases into a folder."""

    folder: Path
    labels: LabelScheme
    scores: Mapping[str, Mapping[str, ClassScores]]
    boundary_of: BoundaryOf | None
    save_boundary: bool

    def draw(self, case: ShownCase) -> Panel:
        """Write the files of one case; returns what the picture shows."""
        boundary = self.boundary_of(*case.image) if self.boundary_of else None
        panel = case.panel(self.labels, self.scores[case.id], boundary)
        draw_case(panel, self.folder / f"{case.id}.png")
        if self.save_boundary and boundary is not None:
            (self.folder / "boundary").mkdir(exist_ok=True)
            levels = (boundary * CERTAIN).round().astype(np.uint16)
            Image.fromarray(levels).save(self.folder / "boundary" / f"{case.id}.png")
        return panel


def _paired(
    images: Path, predictions: Path, truth: Path | None, cases: Sequence[str] | None
) -> tuple[list[ShownCase], tuple[str, ...]]:
    """The cases to draw, and those that have an image only."""
    shown, predicted = image_files(images, "IMAGES"), label_files(predictions, "PREDICTIONS")
    truths = label_files(truth, "--truth") if truth else {}
    chosen = sorted(predicted) if cases is None else list(dict.fromkeys(cases))
    _check_held(chosen, predicted, predictions, "predict them, or leave them out of --cases")
    _check_held(chosen, shown, images, "give the images that were predicted, or choose with --cases")
    if truth:
        _check_held(chosen, truths, truth, "add their truth, or choose with --cases")
    found = [ShownCase(case, shown[case], predicted[case], truths.get(case)) for case in chosen]
    return found, tuple(sorted(shown.keys() - predicted.keys())) if cases is None else ()


def _check_held(cases: Iterable[str], files: Mapping[str, object], folder: Path, remedy: str) -> None:
    missing = [case for case in cases if case not in files]
    if missing:
        raise EvaluationError(f"{folder} must hold each case to draw, but lacks {counted(missing)}: {remedy}")


def _find_dataset_json(predictions: Path, images: Path, truth: Path | None) -> Path:
    # nnUNetv2_predict leaves a copy; that of a validation, or of an external test set, lies two folders up.
    places = [predictions, *predictions.resolve().parents[1:2], *images.resolve().parents[:2]]
    places += truth.resolve().parents[:2] if truth else []
    found = [place / DATASET_JSON for place in places if (place / DATASET_JSON).is_file()]
    if not found:
        raise EvaluationError(
            f"{DATASET_JSON} must lie in one of {listed(dict.fromkeys(places))}, but is missing: "
            "name it with --dataset-json FILE"
        )
    return found[0]


def _sheet_names(cases: int) -> list[str]:
    sheets = ceil(cases / SHEET_ROWS)
    digits = len(str(sheets))
    return [f"contact_sheet{f'_{n:0{digits}}' if sheets > 1 else ''}.png" for n in range(1, sheets + 1)]


def _with_progress(cases: Sequence[ShownCase], title: str) -> "tqdm[ShownCase]":
    # With None the bar is shown on terminals only.
    return tqdm(cases, title, unit="case", leave=False, disable=None)
