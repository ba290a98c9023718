"""Releases of a few tiny images in the layout of the ISIC challenge, and how their conversions are looked at."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.datasets.convert_isic import convert_isic
from nnunet_sgdc.datasets.isic import EDITIONS
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.report import ConversionReport
from nnunet_sgdc.datasets.resizing import Resizing

SIZE = (48, 36)
# SIGINT is ignored in the background jobs of some shells, which children inherit.
COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from nnunet_sgdc.datasets.convert_isic import main; main()"
)


def disc(size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    rows, columns = np.indices((size[1], size[0]))
    return np.uint8(255) * (np.hypot(rows - size[1] / 2, columns - size[0] / 2) < size[1] / 3)


def write_release(folder: Path, year: int = 2016, counts: tuple[int, ...] = (3, 2)) -> Path:
    """A release with as many cases per split as given, named 0, 1, 2, ..."""
    identifiers = iter(range(100))
    for split, count in zip(EDITIONS[year].splits, counts, strict=False):
        (folder / split.image_folder).mkdir(parents=True)
        (folder / split.mask_folder).mkdir()
        for _, identifier in zip(range(count), identifiers, strict=False):
            Image.new("RGB", SIZE, (200, 150, 10 * identifier)).save(folder / split.image_folder / f"{identifier}.jpg")
            Image.fromarray(disc()).save(folder / split.mask_folder / f"{identifier}_Segmentation.png")
    return folder


def convert(release: Path, dataset_id: int = 1, size: int | None = 256, **options: Any) -> ConversionReport:
    resizing = Resizing.native() if size is None else Resizing.square(size)
    return convert_isic(release, dataset_id, Options(size=resizing, **options))


def first_mask(release: Path) -> Path:
    return release / EDITIONS[2016].splits[0].mask_folder / "0_Segmentation.png"


def pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def save(path: Path, values: NDArray[np.generic]) -> Path:
    Image.fromarray(values).save(path)
    return path
