"""`nnunet_sgdc-convert-ph2`: PH2 as an nnU-Net data set, or as an external test set of one.

PH2 has no published splits. As a data set of its own all cases become imagesTr and labelsTr; its usual part is to test
what was trained on ISIC, for which `--as-test-of` puts it into the folder of that data set.
"""

from collections.abc import Sequence
from pathlib import Path

from nnunet_sgdc.command_line import run
from nnunet_sgdc.datasets.command import converter_parser, shared_options
from nnunet_sgdc.datasets.conversion import convert
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.external import convert_as_test
from nnunet_sgdc.datasets.options import DEFAULTS, Options
from nnunet_sgdc.datasets.ph2 import DEFAULT_SIZE, IMAGE_PARENT, find_ph2
from nnunet_sgdc.datasets.ph2_table import TABLES
from nnunet_sgdc.datasets.report import ConversionReport
from nnunet_sgdc.datasets.source_tree import opened_release

COMMAND = "nnunet_sgdc-convert-ph2"


def convert_ph2(
    source: Path, dataset_id: int | None = None, options: Options = DEFAULTS, *, as_test_of: int | None = None
) -> ConversionReport:
    """Convert PH2; nothing is left behind if it fails or is interrupted.

    Args:
        source: The folder or archive that holds the folders of the cases at any depth.
        dataset_id: nnU-Net's number of the new data set, 1 to 999; None with `as_test_of`.
        options: What every conversion can be asked for.
        as_test_of: The number of an existing data set whose external test set PH2 becomes, at its size; None makes a
            data set.

    Raises:
        ConversionError: The release, an image, a mask or an option is not as it must be.
        OSError: The data set cannot be written.
    """
    # The table lies beside the folder of the images, which may be given alone.
    with opened_release(source, {IMAGE_PARENT}, beside=TABLES) as tree:
        match dataset_id, as_test_of:
            case int(new), None:
                return convert(find_ph2(tree), new, options)
            case None, int(host):
                return convert_as_test(find_ph2(tree), host, options)
    count = "neither" if dataset_id is None else "both"
    raise ConversionError(f"either DATASET_ID or --as-test-of must be given, got {count}: give one of them")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    description = "Turn PH2 into a data set in nnU-Net's raw format, or into an external test set of one."
    parser = converter_parser(COMMAND, description, str(DEFAULT_SIZE))
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of the release, or a .zip file of it")
    new = "nnU-Net's number of the new data set"
    parser.add_argument("dataset_id", type=int, nargs="?", metavar="DATASET_ID", help=new)
    test = "instead of a new data set, make an external test set of this one, at its size"
    parser.add_argument("--as-test-of", type=int, metavar="DATASET_ID", help=test)
    # Otherwise an option between SOURCE and DATASET_ID would end the positional arguments.
    parsed = parser.parse_intermixed_args(arguments)
    run(
        COMMAND,
        lambda: convert_ph2(parsed.source, parsed.dataset_id, shared_options(parsed), as_test_of=parsed.as_test_of),
    )
