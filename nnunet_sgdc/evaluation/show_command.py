"""`nnunet_sgdc-show`: pictures of predictions, with image, contours, errors and boundary probability.

nnunet_sgdc-show IMAGES PREDICTIONS -o FOLDER --truth LABELS --model MODEL_FOLDER --contact-sheet
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_sgdc.command_line import command_parser, run
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.show import BoundaryOf, ShowReport, show

COMMAND = "nnunet_sgdc-show"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    parsed = _parser().parse_args(arguments)
    run(COMMAND, lambda: _show(parsed))


def _show(parsed: argparse.Namespace) -> ShowReport:
    for folder in (parsed.images, parsed.predictions, parsed.truth, parsed.model):
        if folder and folder.resolve().is_relative_to(parsed.output.resolve()):
            raise EvaluationError(
                f"-o must be a folder of its own, got {parsed.output}, which holds {folder}: choose another one"
            )
    return show(
        parsed.images,
        parsed.predictions,
        parsed.output,
        truth=parsed.truth,
        dataset_json=parsed.dataset_json,
        cases=parsed.cases,
        boundary_of=_boundary_mapper(parsed),
        contact_sheet=parsed.contact_sheet,
        save_boundary=parsed.save_boundary,
        overwrite=parsed.overwrite,
    )


def _boundary_mapper(parsed: argparse.Namespace) -> BoundaryOf | None:
    if parsed.model is None:
        if parsed.save_boundary or parsed.folds or parsed.device:
            raise EvaluationError("--save-boundary, -f and -device need a model, got none: name it with --model")
        return None
    # torch and nnU-Net take seconds to import, which pictures without a boundary do without.
    import torch

    from nnunet_sgdc.evaluation.boundary_map import BoundaryMapper

    device = parsed.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("-device must be one that this machine has, got cuda without a GPU: choose cpu")
    return BoundaryMapper.of_model(parsed.model, parsed.folds, torch.device(device))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(COMMAND, "Draw predictions: image, contours, errors and boundary probability.")
    add = parser.add_argument
    add("images", type=Path, metavar="IMAGES", help="folder of the images that were predicted, in nnU-Net's raw format")
    add("predictions", type=Path, metavar="PREDICTIONS", help="folder of the predicted label maps")
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to")
    add("--truth", type=Path, metavar="FOLDER", help="true label maps: adds contours, errors and scores")
    add("--cases", nargs="+", metavar="ID", help="what to draw (default: every prediction)")
    add("--contact-sheet", action="store_true", help="write contact_sheet.png, too; with --truth the worst case first")
    classes = "the classes (default: found beside PREDICTIONS, IMAGES or the truth)"
    add("--dataset-json", type=Path, metavar="FILE", help=classes)
    add("--overwrite", action="store_true", help="replace the output folder")
    model = parser.add_argument_group("boundary probability").add_argument
    model(
        "--model",
        type=Path,
        metavar="MODEL_FOLDER",
        help="trained SGDC model, such as nnUNetTrainerSGDC__nnUNetPlans__2d",
    )
    model(
        "-f", dest="folds", nargs="+", metavar="FOLD", help="folds that predict together (default: all finished ones)"
    )
    model("-device", choices=("cuda", "cpu", "mps"), help="where to predict (default: cuda where there is a GPU)")
    saved = "write the probabilities, too: boundary/ID.png of 16 bits, 65535 for 1"
    model("--save-boundary", action="store_true", help=saved)
    return parser
