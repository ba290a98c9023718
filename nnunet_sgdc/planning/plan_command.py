"""`nnunet_sgdc-plan`: nnU-Net's planning and preprocessing, with planners that know what SGDC costs.

nnunet_sgdc-plan -d DATASET --preprocess
"""

import argparse
from collections.abc import Sequence

from nnunet_sgdc.command_line import command_parser, run

COMMAND = "nnunet_sgdc-plan"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    parsed = _parser().parse_args(arguments)
    run(COMMAND, lambda: _plan(parsed), unfinished="what was finished is kept")


def _plan(parsed: argparse.Namespace) -> str:
    # nnU-Net and torch take seconds to import, which --help does without.
    from nnunet_sgdc.planning.options import PlanOptions
    from nnunet_sgdc.planning.plan import plan

    options = PlanOptions(
        configurations=tuple(parsed.c),
        preset=parsed.preset,
        gpu_memory_target=parsed.gpu_memory_target,
        preprocessor_name=parsed.preprocessor_name,
        plans_name=parsed.overwrite_plans_name,
        preprocess=parsed.preprocess,
        processes=parsed.np,
        fingerprint_processes=parsed.npfp,
        verify_dataset_integrity=parsed.verify_dataset_integrity,
        clean=parsed.clean,
        verbose=parsed.verbose,
    )
    return "\n\n".join(map(str, plan(parsed.d, options)))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(COMMAND, "Plan data sets for networks with SGDC, with nnU-Net's own options.")
    add = parser.add_argument
    add("-d", nargs="+", type=int, required=True, metavar="ID", help="numbers of data sets")
    add("-c", nargs="+", default=["2d"], metavar="2d", help="SGDC has this configuration only (default: 2d)")
    preset = "one of nnU-Net's residual encoders, for 8, 24 or 40 GB (default: the plain U-Net, for 8 GB)"
    add("--preset", choices=("M", "L", "XL"), help=preset)
    target = "memory of the GPU to plan for (default: that of the preset)"
    add("-gpu_memory_target", type=float, metavar="GB", help=target)
    add("-preprocessor_name", default="DefaultPreprocessor", metavar="NAME", help="(default: %(default)s)")
    add("-overwrite_plans_name", metavar="NAME", help="what to call the plans (default: nnUNetSGDCPlans, or as preset)")
    add("--preprocess", action="store_true", help="preprocess, too, unless equal data is there")
    add("-np", type=_positive, default=8, metavar="N", help="processes that preprocess (default: 8)")
    add("-npfp", type=_positive, default=8, metavar="N", help="processes that extract the fingerprint (default: 8)")
    add("--verify_dataset_integrity", action="store_true", help="check all raw files first")
    add("--clean", action="store_true", help="extract the fingerprint again")
    add("--verbose", action="store_true", help="print all that nnU-Net says")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number
