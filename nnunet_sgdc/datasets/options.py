"""What every conversion can be asked for, whatever is converted."""

from dataclasses import dataclass
from pathlib import Path

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.resizing import Resizing

# nnU-Net's own splits are drawn with this seed.
DEFAULT_SEED = 12345


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a conversion.

    Attributes:
        size: The size of the converted images; None takes what is usual for the release.
        name: Name of the data set; None takes that of the release.
        raw: The folder of raw data sets; None takes the environment variable nnUNet_raw.
        splits: A JSON file of published folds; None draws five.
        seed: Of the drawn folds.
        dedup: Whether images that look alike are kept in one fold.
        exclude_overlap_with: Data sets, by id, whose cases are left out.
        overwrite: Whether a data set of the same id and name is replaced.
        workers: Number of threads; None takes one per processor.

    Raises:
        ConversionError: A number is out of its range.
    """

    size: Resizing | None = None
    name: str | None = None
    raw: Path | None = None
    splits: Path | None = None
    seed: int = DEFAULT_SEED
    dedup: bool = True
    exclude_overlap_with: tuple[int, ...] = ()
    overwrite: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        check_range("workers", self.workers, 1, 1024)
        check_range("seed", self.seed, 0, 2**32 - 1)


def check_range(argument: str, value: int | None, smallest: int, largest: int) -> None:
    """Check a number that may be left out.

    Raises:
        ConversionError: The number is out of its range.
    """
    if value is not None and not smallest <= value <= largest:
        raise ConversionError(f"{argument} must be from {smallest} to {largest}, got {value}: choose one in between")


DEFAULTS = Options()
