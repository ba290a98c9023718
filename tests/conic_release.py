"""Releases of a few tiny patches in the layout of CoNIC."""

from collections.abc import Sequence
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


def write_release(
    folder: Path, names: Sequence[str] = NAMES, label: NDArray[np.uint16] | None = None, counts: str = "0,2,0,0,0,1"
) -> Path:
    """A release of as many patches as names, noise with the same label of shape (height, width, 2)."""
    folder.mkdir(parents=True)
    labels = np.stack([patch() if label is None else label] * len(names))
    np.save(folder / "images.npy", np.random.default_rng(0).integers(0, 256, (*labels.shape[:3], 3), np.uint8))
    np.save(folder / "labels.npy", labels)
    (folder / "counts.csv").write_text("\n".join([COUNT_HEADER, *[counts] * len(names), ""]))
    (folder / "patch_info.csv").write_text("\n".join(["patch_info", *names, ""]))
    return folder
