"""`nnunet_sgdc-compare`: trainers on the same cases, with tables, tests, plots, pictures of cases and a report.

    nnunet_sgdc-compare -d 116 -c 2d -tr nnUNetTrainer nnUNetTrainerSGDC --predict -o REPORT
    nnunet_sgdc-compare EVALUATION EVALUATION ... -o REPORT

The first form evaluates the trained models before it compares them; the second takes what `nnunet_sgdc-evaluate` wrote.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_sgdc.command_line import command_parser, run
from nnunet_sgdc.comparison.agreement import ALLOWANCES
from nnunet_sgdc.comparison.analysis import METRICS
from nnunet_sgdc.comparison.compare import ComparisonReport, compare
from nnunet_sgdc.comparison.errors import ComparisonError
from nnunet_sgdc.evaluation.evaluate_command import (
    DEFAULT_PLANS,
    add_metric_options,
    add_model_options,
    command_line,
    metric_settings,
)
from nnunet_sgdc.evaluation.evaluate_model import default_device, evaluate_model
from nnunet_sgdc.evaluation.trained_model import find_model
from nnunet_sgdc.staging import check_replaceable

COMMAND = "nnunet_sgdc-compare"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    parsed = _parser().parse_intermixed_args(arguments)
    run(COMMAND, lambda: _compare(parsed))


def _compare(parsed: argparse.Namespace) -> ComparisonReport:
    # Before models are evaluated for minutes.
    check_replaceable(parsed.output.resolve(), parsed.overwrite)
    return compare(
        [*parsed.sources, *_evaluated(parsed)],
        parsed.output,
        baseline=parsed.baseline,
        metrics=parsed.metrics,
        classes=parsed.classes,
        allow=parsed.allow,
        device=parsed.device or default_device(),
        seed=parsed.bootstrap_seed,
        gallery=parsed.gallery,
        overwrite=parsed.overwrite,
        command=command_line(),
    )


def _evaluated(parsed: argparse.Namespace) -> list[Path]:
    """The evaluations of the models that -d, -c and -tr name, made now."""
    given = [bool(parsed.datasets), bool(parsed.trainers), bool(parsed.configuration)]
    if any(given) and not all(given):
        raise ComparisonError("-d, -c and -tr must be given together, or none of them: add what is missing")
    # All are looked for before the first is evaluated.
    models = [
        find_model(dataset, trainer, parsed.configuration, parsed.plans or DEFAULT_PLANS)
        for dataset in parsed.datasets
        for trainer in parsed.trainers
    ]
    for model in models:
        model.check_folds(parsed.folds)
    return [
        report.folder
        for model in models
        for report in evaluate_model(
            model,
            folds=parsed.folds,
            sets=parsed.sets,
            device=(parsed.device or default_device()) if parsed.predict else None,
            settings=metric_settings(parsed),
            workers=parsed.workers,
            command=command_line(),
        )
    ]


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(COMMAND, "Compare trainers case by case.")
    add = parser.add_argument
    add("sources", nargs="*", type=Path, metavar="EVALUATION", help="what nnunet_sgdc-evaluate wrote, or its cases.csv")
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to")
    add("--overwrite", action="store_true", help="replace what is there")
    add("--baseline", metavar="TRAINER", help="the others are compared with it (default: the first)")
    add("--metrics", nargs="+", default=METRICS, metavar="METRIC", help=f"(default: {' '.join(METRICS)})")
    add("--classes", nargs="+", metavar="CLASS", help="(default: all, and their mean)")
    allowed = f"what may differ between the trainers all the same: {', '.join(ALLOWANCES)}"
    add("--allow", nargs="+", default=[], metavar="WHAT", help=allowed)
    add("--no-gallery", dest="gallery", action="store_false", help="show no pictures of cases")
    add("--bootstrap-seed", type=int, default=0, metavar="N", help="(default: 0)")
    models = parser.add_argument_group("trained models, which are evaluated first")
    add = models.add_argument
    add("-d", dest="datasets", nargs="+", default=[], metavar="DATASET", help="data sets")
    add("-c", dest="configuration", metavar="CONFIGURATION", help="such as 2d")
    add("-tr", dest="trainers", nargs="+", default=[], metavar="TRAINER", help="trainers, the baseline first")
    add_model_options(models.add_argument)
    add_metric_options(parser)
    return parser
