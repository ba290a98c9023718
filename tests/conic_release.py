"""Releases of a few tiny patches in the layout of CoNIC."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAMES = ("glas_2-0001", "consep_1-0000", "consep_1-0001")
COUNT_HEADER = "neutrophil,epithelial,lymphocyte,plasma,eosinophil,connective"
SIZE = (10, 14)


def patch() -> NDArray[np.uint16]:
    """Two epithelial nuclei of 12 and 9 pixels that touch, and one of connective tissue of 6."""
    label = np.zeros((*SIZE, 2), np.uint16)
    label[1:4, 1:5] = 7, 2
    label[4:7, 1:4] = 3, 2
    label[1:3, 8:11] = 500, 6
    return label


def write_release(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    folder.mkdir(parents=True)
    shape = (len(names), *SIZE, 3)
    np.save(folder / "images.npy", np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    np.save(folder / "labels.npy", np.stack([patch() for _ in names]))
    (folder / "counts.csv").write_text("\n".join([COUNT_HEADER, *("0,2,0,0,0,1" for _ in names), ""]))
    (folder / "patch_info.csv").write_text("\n".join(["patch_info", *names, ""]))
    return folder
