"""`nnunet_sgdc-evaluate`: boundary and overlap scores of predictions, by definitions that are written beside them.

    nnunet_sgdc-evaluate GROUND_TRUTH PREDICTIONS -o FOLDER
    nnunet_sgdc-evaluate DATASET TRAINER CONFIGURATION

The first form scores one folder; the second finds the validation folds of a trained model and its predictions of the
test sets in nnU-Net's raw data set.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nnunet_sgdc.command_line import command_parser, run
from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.evaluate import Origin, evaluate
from nnunet_sgdc.evaluation.folders import folder_set
from nnunet_sgdc.evaluation.metrics import Settings
from nnunet_sgdc.evaluation.report import EvaluationReport

COMMAND = "nnunet_sgdc-evaluate"
DEFAULT_PLANS = "nnUNetPlans"
FOLDER_OPTIONS = {
    "dataset_json": "--dataset-json",
    "name": "--name",
    "grid": "--grid",
    "instances": "--instances",
    "isic": "--isic",
}
MODEL_OPTIONS = {"plans": "-p", "folds": "-f", "sets": "--sets", "predict": "--predict", "device": "-device"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    parsed = _parser().parse_intermixed_args(arguments)
    run(COMMAND, lambda: "\n\n".join(map(str, _reports(parsed))))


def command_line() -> str:
    """The command line of this process, for records."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _reports(parsed: argparse.Namespace) -> list[EvaluationReport]:
    match parsed.source:
        case [truth, predictions]:
            return [_evaluate_folders(Path(truth), Path(predictions), parsed)]
        case [dataset, trainer, configuration]:
            return _evaluate_model(dataset, trainer, configuration, parsed)
    raise EvaluationError(
        f"GROUND_TRUTH PREDICTIONS or DATASET TRAINER CONFIGURATION must be given, got {len(parsed.source)} arguments: "
        "give two folders, or what was trained"
    )


def _evaluate_folders(truth: Path, predictions: Path, parsed: argparse.Namespace) -> EvaluationReport:
    _refuse_options(parsed, MODEL_OPTIONS, "DATASET TRAINER CONFIGURATION")
    if parsed.output is None:
        raise EvaluationError("-o must name the folder to write, but is missing: give -o FOLDER")
    cases = folder_set(
        truth,
        predictions,
        dataset_json=parsed.dataset_json,
        name=parsed.name,
        grid=parsed.grid,
        instances=parsed.instances,
    )
    trainer = parsed.trainer or predictions.resolve().name
    origin = Origin(trainer=trainer, seed=parsed.seed, command=command_line())
    return evaluate(
        cases,
        origin,
        parsed.output,
        isic=parsed.isic,
        overwrite=parsed.overwrite,
        settings=metric_settings(parsed),
        workers=parsed.workers,
    )


def _evaluate_model(
    dataset: str, trainer: str, configuration: str, parsed: argparse.Namespace
) -> list[EvaluationReport]:
    # nnU-Net and torch take seconds to import, which scoring two folders does without.
    from nnunet_sgdc.evaluation.evaluate_model import default_device, evaluate_model
    from nnunet_sgdc.evaluation.trained_model import find_model

    _refuse_options(parsed, FOLDER_OPTIONS, "GROUND_TRUTH PREDICTIONS")
    return evaluate_model(
        find_model(dataset, trainer, configuration, parsed.plans or DEFAULT_PLANS),
        folds=parsed.folds,
        sets=parsed.sets,
        device=(parsed.device or default_device()) if parsed.predict else None,
        trainer=parsed.trainer,
        seed=parsed.seed,
        output=parsed.output,
        overwrite=parsed.overwrite,
        command=command_line(),
        settings=metric_settings(parsed),
        workers=parsed.workers,
    )


def metric_settings(parsed: argparse.Namespace) -> Settings:
    """What `add_metric_options` were given.

    Raises:
        EvaluationError: A value makes no sense.
    """
    return Settings(parsed.spacing and tuple(parsed.spacing), tuple(parsed.tolerances), parsed.boundary_width)


def _refuse_options(parsed: argparse.Namespace, names: Mapping[str, str], form: str) -> None:
    given = [option for name, option in names.items() if getattr(parsed, name)]
    if given:
        raise EvaluationError(f"{listed(given)} belongs to the form {form}, but another one was given: leave it out")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(COMMAND, "Score predictions: overlap and boundary metrics of every case and class.")
    add = parser.add_argument
    forms = "GROUND_TRUTH PREDICTIONS (folders), or DATASET TRAINER CONFIGURATION"
    add("source", nargs="+", metavar="WHAT", help=forms)
    add("-o", "--output", type=Path, metavar="FOLDER", help="where to (default: 'evaluation' in the model's folder)")
    add("--overwrite", action="store_true", help="replace what is there")
    add("--trainer", metavar="NAME", help="what comparisons call the trainer (default: its name)")
    add("--seed", type=int, default=0, metavar="N", help="which of several equal trainings this is (default: 0)")
    add_metric_options(parser)
    folders = parser.add_argument_group("GROUND_TRUTH PREDICTIONS")
    _add_folder_options(folders.add_argument)
    model = parser.add_argument_group("DATASET TRAINER CONFIGURATION")
    add_model_options(model.add_argument)
    return parser


def add_metric_options(parser: argparse.ArgumentParser) -> None:
    """Options of what distances are measured in and against."""
    add = parser.add_argument
    add("--spacing", type=float, nargs=2, metavar=("ROW", "COLUMN"), help="physical size of a pixel (default: pixels)")
    tolerances = "of the normalised surface distance (default: 1 2)"
    add("--tolerances", type=float, nargs="+", default=[1, 2], metavar="T", help=tolerances)
    width = "of the bands of the boundary IoU, in pixels (default: 2 %% of the diagonal)"
    add("--boundary-width", type=int, metavar="N", help=width)
    add("--workers", type=int, metavar="N", help="number of processes (default: one per processor)")


def add_model_options(add: Callable[..., object]) -> None:
    """Options of which folds and test sets of a trained model are scored, with nnU-Net's own names."""
    add("-p", dest="plans", metavar="PLANS", help=f"(default: {DEFAULT_PLANS})")
    add("-f", dest="folds", nargs="+", metavar="FOLD", help="finished folds to use (default: all, which must be there)")
    sets = "validation, Ts, Val, external_NAME (default: validation and every set that has its truth)"
    add("--sets", nargs="+", metavar="SET", help=sets)
    predict = "predict the test sets with nnU-Net where that is still to be done"
    add("--predict", action="store_true", help=predict)
    add("-device", choices=("cuda", "cpu", "mps"), help="where to predict (default: cuda if there is one)")


def _add_folder_options(add: Callable[..., object]) -> None:
    add("--dataset-json", type=Path, metavar="FILE", help="the classes (default: found beside truth or predictions)")
    add("--name", help="name of the set of cases (default: that of the folder)")
    add("--grid", metavar="NAME", help="what the pixels are of, as in 'original size' (default: found out)")
    add("--instances", type=Path, metavar="FOLDER", help="numbered objects, for instance metrics")
    add(
        "--isic",
        action="store_true",
        help="add the ISIC challenge's own scores, with its threshold on the Jaccard index",
    )
