"""`nnunet_sgdc-convert-conic`: the CoNIC challenge 2022 as an nnU-Net data set.

The classes of the nuclei become labelsTr, their numbers instancesTr, which nnU-Net leaves alone. No fold divides the
patches of one image, and every fold gets its share of the institutes.
"""

from collections.abc import Sequence
from pathlib import Path

from nnunet_sgdc.command_line import run
from nnunet_sgdc.datasets.command import converter_parser, shared_options
from nnunet_sgdc.datasets.conic import read_conic
from nnunet_sgdc.datasets.conic_files import find_files
from nnunet_sgdc.datasets.conic_patches import Reading
from nnunet_sgdc.datasets.conversion import convert
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.options import DEFAULTS, Options
from nnunet_sgdc.datasets.raw_dataset import raw_folder
from nnunet_sgdc.datasets.report import ConversionReport
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.datasets.source_tree import opened_source
from nnunet_sgdc.staging import scratch

COMMAND = "nnunet_sgdc-convert-conic"


def convert_conic(
    source: Path,
    dataset_id: int,
    options: Options = DEFAULTS,
    *,
    binary: bool = False,
    separate_touching: bool = False,
    check_counts: bool = True,
) -> ConversionReport:
    """Convert the CoNIC challenge; nothing is left behind if it fails or is interrupted.

    Args:
        source: The folder or archive that holds the published files at any depth.
        dataset_id: nnU-Net's number of the data set, 1 to 999.
        options: What every conversion can be asked for.
        binary: Whether all nuclei become one class.
        separate_touching: Whether a line of background is drawn between touching nuclei of one class.
        check_counts: Whether patches whose nuclei are not as many as counts.csv says are refused.

    Raises:
        ConversionError: The release, a patch or an option is not as it must be.
        OSError: The data set cannot be written.
    """
    if separate_touching and options.size not in (None, Resizing.native()):
        raise ConversionError(
            f"--separate-touching must keep the size of the patches, as its lines are one pixel wide, got --size "
            f"{options.size}: leave one of the two out"
        )
    reading = Reading(binary=binary, separate_touching=separate_touching, check_counts=check_counts)
    # Files in archives are copied to where the data set will lie, since the usual place is too small on many machines.
    with (
        opened_source(source) as tree,
        scratch(raw_folder(options.raw), f"CoNIC{dataset_id}") as copies,
    ):
        files = find_files(tree, copies)
        details = {"binary": binary, "separate_touching": separate_touching, "check_counts": check_counts}
        hashes = {str(file.path): file.sha256() for file in files.values()}
        return convert(read_conic(files, reading), dataset_id, options, **details, files=hashes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, or with 1 and one sentence on an error and on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    description = "Turn the CoNIC challenge 2022 into a data set in nnU-Net's raw format."
    parser = converter_parser(COMMAND, description, str(Resizing.native()))
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE", help="folder of the release, or a .zip file of it")
    add("dataset_id", type=int, metavar="DATASET_ID", help="nnU-Net's number of the new data set")
    add("--binary", action="store_true", help="one class for all nuclei")
    add("--separate-touching", action="store_true", help="draw a line of background between touching nuclei of a class")
    add("--ignore-counts", action="store_true", help="take patches whose nuclei are not as many as counts.csv says")
    parsed = parser.parse_intermixed_args(arguments)
    run(
        COMMAND,
        lambda: convert_conic(
            parsed.source,
            parsed.dataset_id,
            shared_options(parsed),
            binary=parsed.binary,
            separate_touching=parsed.separate_touching,
            check_counts=not parsed.ignore_counts,
        ),
    )
