"""Reading the table of PH2 in both its forms."""

import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ph2_release import HEADER, LESIONS, Lesion, write_sheet, write_text
from samples import PH2_SAMPLES, needs_samples

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.ph2_table import find_table, read_table
from nnunet_sgdc.datasets.source_tree import opened_source

Writer = Callable[[Path, Sequence[Lesion]], Path]
CRITERION = st.sampled_from("AP")
LESION_ROWS = st.builds(
    Lesion,
    name=st.integers(0, 999).map("IMD{:03d}".format),
    diagnosis=st.integers(0, 2),
    histology=st.sampled_from(["", "Melanoma", "Lentigo Maligna"]),
    asymmetry=st.integers(0, 2),
    criteria=st.tuples(st.sampled_from(["AT", "T"]), st.sampled_from(["A", "AT", "T"]), *[CRITERION] * 3),
    colours=st.sets(st.integers(1, 6), min_size=1).map(sorted).map(tuple),
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """The text file, alone in its folder."""
    return write_text(tmp_path / "PH2_dataset.txt", LESIONS)


def table(folder: Path) -> dict[str, dict[str, str]]:
    with opened_source(folder) as tree:
        file = find_table(tree)
        assert file is not None
        return read_table(file)


def refuse(folder: Path, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        table(folder)


# What the table says


@pytest.mark.parametrize(("write", "name"), [(write_text, "PH2_dataset.txt"), (write_sheet, "PH2_dataset.xlsx")])
def test_row_has_the_published_codes_and_the_diagnosis_in_words(tmp_path: Path, write: Writer, name: str) -> None:
    write(tmp_path / name, LESIONS)
    assert table(tmp_path)["IMD058"] == {
        "histological_diagnosis": "Melanoma",
        "clinical_diagnosis": "melanoma",
        "asymmetry": "2",
        "pigment_network": "AT",
        "dots_globules": "AT",
        "streaks": "P",
        "regression_areas": "P",
        "blue_whitish_veil": "P",
        "colors": "1 2 4 5",
    }


@settings(deadline=None, max_examples=20)
@given(lesions=st.lists(LESION_ROWS, min_size=1, max_size=5, unique_by=lambda lesion: lesion.name))
def test_text_and_workbook_give_the_same_table(tmp_path_factory: pytest.TempPathFactory, lesions: list[Lesion]) -> None:
    text, sheet = tmp_path_factory.mktemp("text"), tmp_path_factory.mktemp("sheet")
    write_text(text / "PH2_dataset.txt", lesions)
    write_sheet(sheet / "PH2_dataset.xlsx", lesions)
    assert table(text) == table(sheet)
    assert sorted(table(text)) == sorted(lesion.name for lesion in lesions)


def test_text_is_preferred_to_the_workbook(text: Path) -> None:
    write_sheet(text.with_suffix(".xlsx"), [Lesion("IMD003", 2)])
    assert table(text.parent)["IMD003"]["clinical_diagnosis"] == "common nevus"


def test_byte_order_mark_and_unix_lines_do_not_disturb(text: Path) -> None:
    before = table(text.parent)
    text.write_bytes(b"\xef\xbb\xbf" + text.read_bytes().replace(b"\r\n", b"\n"))
    assert table(text.parent) == before


# Tables that are not as published


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (HEADER, "Name\tClinical Diagnosis\tAsymmetry", "lacks the published header"),
        ("Streaks", "Colors", "lacks the published header"),
        ("|| IMD058", "|| IMD003", "lists IMD003 twice"),
        ("IMD058", "lesion 58", "says 'lesion 58' in column name of lesion 58"),
        ("1  2  4  5", "1  2  4  7", "says '1 2 4 7' in column colors of IMD058"),
        ("         2          ||", "         3          ||", "says '3' in column clinical_diagnosis of IMD058"),
        ("|| 1  2  4  5", "", "has 9 instead of 10 columns in 'IMD058 Melanoma 2 2 AT AT P P P'"),
    ],
)
def test_edited_text_is_refused(text: Path, old: str, new: str, fault: str) -> None:
    assert old in text.read_text()
    text.write_text(text.read_text().replace(old, new))
    refuse(text.parent, f"PH2_dataset.txt must be the table as published, but {fault}: take it from the release, or re")


def test_text_in_utf_16_is_refused(text: Path) -> None:
    text.write_text(text.read_text(), encoding="utf-16")
    refuse(text.parent, "PH2_dataset.txt must be the table as published, but is no UTF-8 text")


def test_table_without_rows_is_refused(text: Path) -> None:
    write_text(text, [])
    refuse(text.parent, "but lists no case: take it from the release")


def test_two_tables_are_refused(text: Path) -> None:
    write_text(text.parent / "copy" / text.name, LESIONS)
    refuse(text.parent, "PH2_dataset.txt must be there once, got .* and .*: keep one of them")


@pytest.mark.parametrize(
    ("cell", "value", "fault"),
    [
        ("D6", "X", "says '0 1' in column clinical_diagnosis of IMD003"),
        ("C6", None, "says '' in column clinical_diagnosis of IMD003"),
        ("M6", "yes", "says 'yes 4' in column colors of IMD003"),
        ("A5", "Name", "lacks the published header"),
    ],
)
def test_edited_workbook_is_refused(tmp_path: Path, cell: str, value: str | None, fault: str) -> None:
    sheet = write_sheet(tmp_path / "PH2_dataset.xlsx", LESIONS)
    workbook = openpyxl.load_workbook(sheet)
    workbook.worksheets[0][cell] = value
    workbook.save(sheet)
    refuse(tmp_path, f"PH2_dataset.xlsx must be the table as published, but {fault}: take it")


@pytest.mark.parametrize("content", [b"", b"Name,Clinical Diagnosis", b"PK\x05\x06" + bytes(18)])
def test_file_that_is_no_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "PH2_dataset.xlsx").write_bytes(content)
    refuse(tmp_path, r"PH2_dataset.xlsx must be .* but is no workbook: take it")


def test_workbook_without_its_sheet_is_refused(tmp_path: Path) -> None:
    whole = write_sheet(tmp_path / "whole.xlsx", LESIONS)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "PH2_dataset.xlsx", "w") as target:
        for name in source.namelist():
            if "sheet1" not in name:
                target.writestr(name, source.read(name))
    refuse(tmp_path, "but is no workbook")


# The sample release


@pytest.mark.samples
@needs_samples
def test_both_tables_of_the_release_are_equal(tmp_path: Path) -> None:
    for name in ("txt", "xlsx"):
        (tmp_path / name).mkdir()
        shutil.copyfile(PH2_SAMPLES / "PH2Dataset" / f"PH2_dataset.{name}", tmp_path / name / f"PH2_dataset.{name}")
    rows = table(tmp_path / "txt")
    assert rows == table(tmp_path / "xlsx")
    counts = Counter(row["clinical_diagnosis"] for row in rows.values())
    assert counts == {"common nevus": 80, "atypical nevus": 80, "melanoma": 40}


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize("name", ["PH2_dataset_as_edited_in_repo.txt", "PH2_dataset_as_edited_in_repo.csv"])
def test_edited_tables_are_refused(text: Path, name: str) -> None:
    shutil.copyfile(PH2_SAMPLES / "variants" / name, text)
    refuse(text.parent, "PH2_dataset.txt must be the table as published, but lacks the published header: take it")
