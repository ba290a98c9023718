"""`nnunet_sgdc-convert-phantoms`: drawn images of lesions as an nnU-Net data set, to try things without a download."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from nnunet_sgdc.command_line import run
from nnunet_sgdc.datasets.command import converter_parser, shared_options
from nnunet_sgdc.datasets.convert_isic import convert_isic
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.isic import DEFAULT_SIZE
from nnunet_sgdc.datasets.options import DEFAULTS, Options
from nnunet_sgdc.datasets.phantoms import write_phantoms
from nnunet_sgdc.datasets.report import ConversionReport

COMMAND = "nnunet_sgdc-convert-phantoms"
TRAINING, TEST = 32, 8


def convert_phantoms(
    dataset_id: int, options: Options = DEFAULTS, *, training: int = TRAINING, test: int = TEST
) -> ConversionReport:
    """Draw phantoms in the layout of ISIC 2016 and convert them; the same numbers give the same images.

    Args:
        dataset_id: nnU-Net's number of the data set, 1 to 999.
        options: What every conversion can be asked for.
        training: Number of training cases, at least 5, one for each fold.
        test: Number of test cases.

    Raises:
        ConversionError: A number or an option is not as it must be.
        OSError: The data set cannot be written.
    """
    if training < 5 or test < 0:
        raise ConversionError(
            f"--training must be at least 5 and --test at least 0, got {training} and {test}: give more cases"
        )
    with TemporaryDirectory() as folder:
        write_phantoms(Path(folder), training=training, test=test)
        return convert_isic(Path(folder), dataset_id, options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    description = "Draw images of lesions, with their masks, as a data set in nnU-Net's raw format."
    parser = converter_parser(COMMAND, description, str(DEFAULT_SIZE))
    add = parser.add_argument
    add("dataset_id", type=int, metavar="DATASET_ID", help="nnU-Net's number of the new data set")
    add("--training", type=int, default=TRAINING, metavar="N", help="training cases (default: %(default)s)")
    add("--test", type=int, default=TEST, metavar="N", help="test cases (default: %(default)s)")
    parsed = parser.parse_args(arguments)
    options = shared_options(parsed)
    run(COMMAND, lambda: convert_phantoms(parsed.dataset_id, options, training=parsed.training, test=parsed.test))
