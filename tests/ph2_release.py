"""A release laid out as PH2 is published, with tiny images and both forms of its table."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openpyxl
from numpy.typing import NDArray
from PIL import Image

SIZE = (24, 18)
HEADER = (
    "||   Name   ||   Histological Diagnosis   || Clinical Diagnosis || Asymmetry | Pigment Network | Dots/Globules | "
    "Streaks | Regression Areas | Blue-Whitish Veil ||         Colors         ||"
)
LEGEND = """
Legends for:

Clinical Diagnosis:
    0 - Common Nevus;
    1 - Atypical Nevus;
    2 - Melanoma.

Asymmetry:
    0 - Fully Symmetric;
    1 - Symmetric in 1 axis;
    2 - Fully Asymmetric.

Pigment Network, Dots/Globules, Streaks, Regression Areas, and Blue-Whitish Veil:
    A  - Absent;
    AT - Atypical;
    P  - Present;
    T  - Typical.

Colors:
    1 - White;
    2 - Red;
    3 - Light-Brown;
    4 - Dark-Brown;
    5 - Blue-Gray;
    6 - Black"""
SHEET_HEADER = (
    *("Image Name", "Histological Diagnosis", "Common Nevus", "Atypical Nevus", "Melanoma", "Asymmetry\n(0/1/2)"),
    *("Pigment Network\n(AT/T)", "Dots/Globules\n(A/AT/T)", "Streaks\n(A/P)", "Regression Areas\n(A/P)"),
    *("Blue-Whitish Veil\n(A/P)", "White", "Red", "Light-Brown", "Dark-Brown", "Blue-Gray", "Black"),
)


class Lesion(NamedTuple):
    """One row of the table, in the codes of the text file."""

    name: str
    diagnosis: int = 0
    histology: str = ""
    asymmetry: int = 0
    criteria: tuple[str, ...] = ("T", "A", "A", "A", "A")
    colours: tuple[int, ...] = (4,)


# One of each diagnosis.
LESIONS = [
    Lesion("IMD003"),
    Lesion("IMD436", 1, "Dysplastic Nevus", 1, ("AT", "A", "A", "A", "A"), (3, 4)),
    Lesion("IMD058", 2, "Melanoma", 2, ("AT", "AT", "P", "P", "P"), (1, 2, 4, 5)),
]


def write_release(folder: Path, lesions: Sequence[Lesion]) -> Path:
    """The folder PH2Dataset with its text table; images are noise, so that no two look alike."""
    for lesion in lesions:
        write_case(folder / "PH2Dataset" / "PH2 Dataset images", lesion.name)
    write_text(folder / "PH2Dataset" / "PH2_dataset.txt", lesions)
    return folder / "PH2Dataset"


def write_case(folder: Path, name: str) -> None:
    """Image, 1-bit mask and one region of interest of a case."""
    pixels = np.random.default_rng(list(name.encode())).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    _save(Image.fromarray(pixels), folder / name / f"{name}_Dermoscopic_Image" / f"{name}.bmp")
    _save(Image.fromarray(square()), folder / name / f"{name}_lesion" / f"{name}_lesion.bmp")
    _save(Image.fromarray(~square()), folder / name / f"{name}_roi" / f"{name}_R1_Label4.bmp")


def square() -> NDArray[np.bool_]:
    """A lesion of 12 x 6 of the 24 x 18 pixels: a sixth of them."""
    lesion = np.zeros(SIZE[::-1], dtype=bool)
    lesion[6:12, 6:18] = True
    return lesion


def mask_of(release: Path, name: str) -> Path:
    return release / "PH2 Dataset images" / name / f"{name}_lesion" / f"{name}_lesion.bmp"


def write_text(path: Path, lesions: Sequence[Lesion]) -> Path:
    lines = [HEADER, *(_line(lesion) for lesion in lesions), *LEGEND.split("\n")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\r\n".join(lines).encode("ascii"))
    return path


def write_sheet(path: Path, lesions: Sequence[Lesion]) -> Path:
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    sheet.append([])
    sheet.append([None] * 5 + ["Legends"])
    sheet.append([None] * 5 + ["Asymmetry", 0, "Fully Simmetric"])
    sheet.append([None] * 2 + ["Clinical Diagnosis"] + [None] * 8 + ["Colors"])
    sheet.append(SHEET_HEADER)
    for lesion in lesions:
        diagnosis = ["X" if code == lesion.diagnosis else None for code in range(3)]
        colours = ["X" if code in lesion.colours else None for code in range(1, 7)]
        sheet.append([lesion.name, lesion.histology or None, *diagnosis, lesion.asymmetry, *lesion.criteria, *colours])
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)
    return path


def _line(lesion: Lesion) -> str:
    criteria = " | ".join(f"{code:^15}" for code in (str(lesion.asymmetry), *lesion.criteria))
    colours = "  ".join(map(str, lesion.colours))
    cells = (lesion.name, f"{lesion.histology:26}", f"{lesion.diagnosis:^18}", criteria, f"{colours:22}")
    return f"|| {' || '.join(cells)} ||"


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True)
    image.save(path)
