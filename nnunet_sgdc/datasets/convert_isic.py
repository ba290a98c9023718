"""`nnunet_sgdc-convert-isic`: a release of the ISIC challenge 2016, 2017 or 2018 as an nnU-Net data set.

The training split becomes imagesTr and labelsTr, the test split imagesTs and, as far as its ground truth is there,
labelsTs. The validation split becomes imagesVal and labelsVal, which nnU-Net leaves alone.
"""

from collections.abc import Sequence
from pathlib import Path

from nnunet_sgdc.command_line import run
from nnunet_sgdc.datasets.command import converter_parser, shared_options
from nnunet_sgdc.datasets.conversion import convert
from nnunet_sgdc.datasets.isic import DEFAULT_SIZE, EDITIONS, PUBLISHED_FOLDERS, find_isic
from nnunet_sgdc.datasets.options import DEFAULTS, Options
from nnunet_sgdc.datasets.report import ConversionReport
from nnunet_sgdc.datasets.source_tree import opened_release

COMMAND = "nnunet_sgdc-convert-isic"


def convert_isic(
    source: Path, dataset_id: int, options: Options = DEFAULTS, *, edition: int | None = None
) -> ConversionReport:
    """Convert a release of the ISIC challenge; nothing is left behind if it fails or is interrupted.

    Args:
        source: The folder that holds the published folders or their archives, or one of these.
        dataset_id: nnU-Net's number of the data set, 1 to 999.
        options: What every conversion can be asked for.
        edition: 2016, 2017 or 2018; None takes the only edition that is there.

    Raises:
        ConversionError: The release, an image, a mask or an option is not as it must be.
        OSError: The data set cannot be written.
    """
    with opened_release(source, PUBLISHED_FOLDERS) as tree:
        collection = find_isic(tree, edition)
        return convert(collection, dataset_id, options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    description = "Turn a release of the ISIC challenge into a data set in nnU-Net's raw format."
    parser = converter_parser(COMMAND, description, str(DEFAULT_SIZE))
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of the release, unpacked or its .zip files")
    parser.add_argument("dataset_id", type=int, metavar="DATASET_ID", help="nnU-Net's number of the new data set")
    editions = "needed only if SOURCE holds several editions"
    parser.add_argument("--edition", type=int, choices=tuple(EDITIONS), help=editions)
    parsed = parser.parse_args(arguments)
    run(
        COMMAND,
        lambda: convert_isic(parsed.source, parsed.dataset_id, shared_options(parsed), edition=parsed.edition),
    )
