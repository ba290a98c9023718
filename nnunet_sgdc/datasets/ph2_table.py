"""The table of PH2: what dermatologists said of every lesion.

The release holds it twice with the same content: `PH2_dataset.txt` with bars between the columns, and
`PH2_dataset.xlsx` with a cross under the diagnosis and under each colour. Either becomes one row per case. The values
are the codes of the published legend, save for the clinical diagnosis, which is spelled out:

    histological_diagnosis   as published, empty where no histology was made
    clinical_diagnosis       common nevus, atypical nevus or melanoma
    asymmetry                0 fully symmetric, 1 symmetric in one axis, 2 fully asymmetric
    pigment_network          AT atypical, T typical
    dots_globules            A absent, AT atypical, T typical
    streaks, regression_areas, blue_whitish_veil    A absent, P present
    colors                   of 1 white, 2 red, 3 light brown, 4 dark brown, 5 blue grey and 6 black, as in "3 4"
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import takewhile

import openpyxl

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.source_files import SourceFile
from nnunet_sgdc.datasets.source_tree import SourceTree

# The first one is read if both are there.
TABLES = ("PH2_dataset.txt", "PH2_dataset.xlsx")
NAME = "name"
DIAGNOSIS = "clinical_diagnosis"
DIAGNOSES = {"0": "common nevus", "1": "atypical nevus", "2": "melanoma"}
# The columns of the text file, and what the values of each must look like.
COLUMNS = {
    NAME: r"IMD[0-9]+",
    "histological_diagnosis": r".*",
    DIAGNOSIS: r"[012]",
    "asymmetry": r"[012]",
    "pigment_network": r"AT|T",
    "dots_globules": r"A|AT|T",
    "streaks": r"A|P",
    "regression_areas": r"A|P",
    "blue_whitish_veil": r"A|P",
    "colors": r"[1-6]( [1-6])*",
}
# What a row says of its case.
ATTRIBUTES = tuple(column for column in COLUMNS if column != NAME)
CRITERIA = ["Asymmetry", "Pigment Network", "Dots/Globules", "Streaks", "Regression Areas", "Blue-Whitish Veil"]
COLOURS = ["White", "Red", "Light-Brown", "Dark-Brown", "Blue-Gray", "Black"]
TEXT_HEADER = ["Name", "Histological Diagnosis", "Clinical Diagnosis", *CRITERIA, "Colors"]
LEGEND = "Legends for"
SHEET_DIAGNOSES = ["Common Nevus", "Atypical Nevus", "Melanoma"]
SHEET_HEADER = ["Image Name", "Histological Diagnosis", *SHEET_DIAGNOSES, *CRITERIA, *COLOURS]
# What openpyxl lets through from a file that is no workbook; XML parsers derive their errors from SyntaxError.
NO_WORKBOOK = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError),
    *(LookupError, ValueError, TypeError, AttributeError, SyntaxError),
)


def find_table(tree: SourceTree) -> SourceFile | None:
    """The text file, or else the workbook; None without either.

    Raises:
        ConversionError: There are several.
    """
    for name in TABLES:
        found = [file for file in tree.files if file.path.name.lower() == name.lower()]
        if len(found) > 1:
            raise ConversionError(f"{name} must be there once, got {' and '.join(map(str, found))}: keep one of them")
        if found:
            return found[0]
    return None


def read_table(file: SourceFile) -> dict[str, dict[str, str]]:
    """Read the table from either file.

    Returns:
        The row of every case, by its identifier; all rows have all of `ATTRIBUTES`.

    Raises:
        ConversionError: The file is not as published, or cannot be read.
    """
    rows = _text_rows(file) if file.path.suffix.lower() == ".txt" else _sheet_rows(file)
    table: dict[str, dict[str, str]] = {}
    for cells in rows:
        name, row = _row(file, cells)
        if name in table:
            raise _unlike_published(file, f"lists {name} twice")
        table[name] = row
    if not table:
        raise _unlike_published(file, "lists no case")
    return table


def _row(file: SourceFile, cells: list[str]) -> tuple[str, dict[str, str]]:
    """The identifier of a case and what the table says of it."""
    if len(cells) != len(COLUMNS):
        raise _unlike_published(file, f"has {len(cells)} instead of {len(COLUMNS)} columns in {' '.join(cells)!r}")
    row = dict(zip(COLUMNS, cells, strict=True))
    for column, pattern in COLUMNS.items():
        if not re.fullmatch(pattern, row[column]):
            raise _unlike_published(file, f"says {row[column]!r} in column {column} of {row[NAME]}")
    row[DIAGNOSIS] = DIAGNOSES[row[DIAGNOSIS]]
    return row[NAME], {column: row[column] for column in ATTRIBUTES}


def _text_rows(file: SourceFile) -> Iterator[list[str]]:
    """Cells between the bars of the lines above the legend."""
    try:
        lines = file.read().decode().splitlines()
    except UnicodeDecodeError as error:
        raise _unlike_published(file, "is no UTF-8 text") from error
    above = takewhile(lambda line: not line.startswith(LEGEND), lines)
    rows = ([_tidy(cell) for cell in re.split(r"\|+", line)[1:-1]] for line in above if line.strip())
    if next(rows, None) != TEXT_HEADER:
        raise _unlike_published(file, "lacks the published header")
    yield from rows


def _sheet_rows(file: SourceFile) -> Iterator[list[str]]:
    """Cells in the order of the text file; the legend above the table is skipped."""
    rows = iter(_sheet_cells(file))
    # The header tells the codes of a column in brackets.
    if not any([_tidy(cell.partition("(")[0]) for cell in row] == SHEET_HEADER for row in rows):
        raise _unlike_published(file, "lacks the published header")
    for name, histology, *cells in rows:
        if name:
            diagnosis, criteria, colours = cells[:3], cells[3:9], cells[9:]
            yield [name, histology, _crossed(diagnosis, first=0), *criteria, _crossed(colours, first=1)]


def _sheet_cells(file: SourceFile) -> list[list[str]]:
    content = file.read()
    try:
        workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        rows = workbook.worksheets[0].iter_rows(max_col=len(SHEET_HEADER), values_only=True)
        return [["" if value is None else _tidy(str(value)) for value in row] for row in rows]
    except NO_WORKBOOK as error:
        raise _unlike_published(file, "is no workbook") from error


def _crossed(cells: Iterable[str], first: int) -> str:
    """The numbers of the cells with a cross; anything else stays as it is, so that it is found to be no code."""
    return " ".join(str(number) if cell == "X" else cell for number, cell in enumerate(cells, first) if cell)


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _unlike_published(file: SourceFile, fault: str) -> ConversionError:
    return ConversionError(
        f"{file} must be the table as published, but {fault}: take it from the release, or remove it to convert without"
    )
