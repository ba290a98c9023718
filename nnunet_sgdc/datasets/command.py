"""The command line that all converters share."""

import argparse
from pathlib import Path

from nnunet_sgdc.command_line import command_parser
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.options import DEFAULT_SEED, Options
from nnunet_sgdc.datasets.resizing import Resizing


def converter_parser(command: str, description: str, usual_size: str) -> argparse.ArgumentParser:
    """A parser of the shared options; SOURCE and DATASET_ID are left to the converter.

    Args:
        command: Name of the command.
        description: What it does, one sentence.
        usual_size: The size without an option, as text.
    """
    parser = command_parser(command, description)
    add = parser.add_argument
    size = parser.add_mutually_exclusive_group()
    size_help = f"square N, width x height, or the pixels as they are (default: {usual_size})"
    size.add_argument("--size", type=_resizing, metavar="N|WxH|native", help=size_help)
    size.add_argument("--longest-side", type=_longest, dest="size", metavar="N", help="keep the aspect ratio")
    native = "short for --size native"
    size.add_argument("--native", action="store_const", const=Resizing.native(), dest="size", help=native)
    add("--name", help="name of the data set (default: that of the release)")
    add("--splits", type=Path, metavar="FILE", help="published folds: lists of ids, or a splits_final.json")
    add("--seed", type=int, default=DEFAULT_SEED, metavar="N", help="of the five drawn folds (default: %(default)s)")
    add("--no-dedup", dest="dedup", action="store_false", help="let folds divide images that look alike")
    exclude = "leave out the cases that this data set holds; may be given several times"
    add("--exclude-overlap-with", type=int, action="append", default=[], metavar="DATASET_ID", help=exclude)
    add_storage_options(parser, "the data set of the same id and name")
    return parser


def add_storage_options(parser: argparse.ArgumentParser, replaced: str) -> None:
    """Options of all commands that read or write data sets.

    Args:
        parser: Gets them.
        replaced: What --overwrite replaces, as text.
    """
    add = parser.add_argument
    add("--raw", type=Path, metavar="FOLDER", help="folder of raw data sets (default: the variable nnUNet_raw)")
    add("--overwrite", action="store_true", help=f"replace {replaced}")
    add("--workers", type=int, metavar="N", help="number of threads (default: one per processor)")


def shared_options(parsed: argparse.Namespace) -> Options:
    """The options of a parsed command line that all converters share.

    Raises:
        ConversionError: A number is out of its range.
    """
    return Options(
        size=parsed.size,
        name=parsed.name,
        raw=parsed.raw,
        splits=parsed.splits,
        seed=parsed.seed,
        dedup=parsed.dedup,
        exclude_overlap_with=tuple(parsed.exclude_overlap_with),
        overwrite=parsed.overwrite,
        workers=parsed.workers,
    )


def _resizing(text: str) -> Resizing:
    try:
        return Resizing.parse(text)
    except ConversionError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _longest(text: str) -> Resizing:
    try:
        return Resizing.longest(int(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
