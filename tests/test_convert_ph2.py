"""Releases of a few tiny images go through the converter of PH2; the sample release, where present, as well."""

import csv
import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from ph2_release import SIZE, Lesion, mask_of, square, write_case, write_release, write_sheet
from PIL import Image
from releases import content_of, names, pixels
from samples import PH2_SAMPLES, needs_samples

from nnunet_sgdc.datasets.convert_isic import convert_isic
from nnunet_sgdc.datasets.convert_ph2 import convert_ph2, main
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.isic import EDITIONS
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.errors import UserError

# Out of step with any five-fold pattern, so that only stratified folds share them evenly.
DIAGNOSES = "000120011212122"
LESIONS = [Lesion(f"IMD{number:03d}", diagnosis=int(code)) for number, code in enumerate(DIAGNOSES, 1)]
NATIVE = Options(size=Resizing.native())


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "download", LESIONS)


@pytest.fixture
def host(tmp_path: Path, raw: Path) -> Path:
    """A data set of ISIC 2016 at 32 x 32 pixels."""
    published = EDITIONS[2016].splits[0]
    for folder in (published.image_folder, published.mask_folder):
        (tmp_path / "isic" / folder).mkdir(parents=True)
    for number in range(5):
        noise = np.random.default_rng(number).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "isic" / published.image_folder / f"ISIC_{number}.png")
        mask = Image.fromarray(square()).convert("L")
        mask.save(tmp_path / "isic" / published.mask_folder / f"ISIC_{number}_Segmentation.png")
    return convert_isic(tmp_path / "isic", 116, Options(size=Resizing.square(32))).folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def replace_mask(release: Path, name: str, mask: Image.Image, ending: str) -> None:
    path = mask_of(release, name)
    path.unlink()
    mask.save(path.with_suffix(ending))


# A data set of its own


def test_all_cases_become_training_cases(release: Path, raw: Path) -> None:
    folder = convert_ph2(release, 7).folder
    assert folder == raw / "Dataset007_PH2"
    identifiers = [lesion.name for lesion in LESIONS]
    assert names(folder / "imagesTr") == [f"{name}_0000.png" for name in identifiers]
    assert names(folder / "labelsTr") == [f"{name}.png" for name in identifiers]


def test_files_of_a_data_set(release: Path, raw: Path) -> None:
    expected = ["cases.csv", "conversion.json", "dataset.json", "imagesTr", "labelsTr", "splits_final.json"]
    assert names(convert_ph2(release, 7).folder) == expected


def test_usual_size_is_256(release: Path, raw: Path) -> None:
    folder = convert_ph2(release, 7).folder
    assert pixels(folder / "imagesTr" / "IMD001_0000.png").shape == (256, 256, 3)
    assert pixels(folder / "labelsTr" / "IMD001.png").shape == (256, 256)


def test_native_pixels_are_those_of_the_release(release: Path, raw: Path) -> None:
    folder = convert_ph2(release, 7, NATIVE).folder
    original = release / "PH2 Dataset images/IMD001/IMD001_Dermoscopic_Image/IMD001.bmp"
    np.testing.assert_array_equal(pixels(folder / "imagesTr" / "IMD001_0000.png"), pixels(original))
    np.testing.assert_array_equal(pixels(folder / "labelsTr" / "IMD001.png"), square())


def test_folds_share_the_diagnoses_evenly(release: Path, raw: Path) -> None:
    report = convert_ph2(release, 7, NATIVE)
    diagnoses = {row["id"]: row["clinical_diagnosis"] for row in rows(report.folder)}
    folds = json.loads((report.folder / "splits_final.json").read_text())
    validated = [Counter(diagnoses[name] for name in fold["val"]) for fold in folds]
    assert validated == [{"common nevus": 1, "atypical nevus": 1, "melanoma": 1}] * 5


def test_case_table_holds_the_published_columns(release: Path, raw: Path) -> None:
    row = rows(convert_ph2(release, 7, NATIVE).folder)[4]
    fold = row.pop("fold")
    assert fold in set("01234")
    assert row == {
        "id": "IMD005",
        "split": "training",
        "group": "IMD005",
        "width": "24",
        "height": "18",
        "foreground": "0.166667",
        "histological_diagnosis": "",
        "clinical_diagnosis": "melanoma",
        "asymmetry": "0",
        "pigment_network": "T",
        "dots_globules": "A",
        "streaks": "A",
        "regression_areas": "A",
        "blue_whitish_veil": "A",
        "colors": "4",
    }


def test_workbook_alone_gives_the_same_case_table(release: Path, raw: Path) -> None:
    from_text = rows(convert_ph2(release, 7, NATIVE).folder)
    (release / "PH2_dataset.txt").unlink()
    write_sheet(release / "PH2_dataset.xlsx", LESIONS)
    assert rows(convert_ph2(release, 8, NATIVE).folder) == from_text


def test_table_beside_the_folder_of_images_is_found(release: Path, raw: Path) -> None:
    report = convert_ph2(release / "PH2 Dataset images", 7, NATIVE)
    assert rows(report.folder)[4]["clinical_diagnosis"] == "melanoma"


def test_what_else_lies_beside_the_folder_of_images_is_left_alone(release: Path, raw: Path) -> None:
    write_case(release / "copy", "IMD001")
    assert len(convert_ph2(release / "PH2 Dataset images", 7, NATIVE).record.cases) == 15


def test_release_without_a_table_is_converted(release: Path, raw: Path) -> None:
    (release / "PH2_dataset.txt").unlink()
    report = convert_ph2(release, 7, NATIVE)
    assert "PH2_dataset.txt with the diagnoses is not there" in str(report)
    assert "clinical_diagnosis" not in rows(report.folder)[0]


def test_case_without_a_row_is_converted(release: Path, raw: Path) -> None:
    write_case(release / "PH2 Dataset images", "IMD000")
    report = convert_ph2(release, 7, NATIVE)
    assert "cases that are not in PH2_dataset.txt, so without a diagnosis (1: IMD000)" in str(report)
    assert rows(report.folder)[0]["clinical_diagnosis"] == ""


def test_report_counts_cases_and_pixels(release: Path, raw: Path) -> None:
    report = str(convert_ph2(release, 7, NATIVE))
    assert "training: 15 of the 200 published cases in imagesTr and labelsTr" in report
    assert "pixels: background 83.33%, lesion 16.67%" in report


def test_source_may_be_a_zip_archive(release: Path, raw: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "PH2Dataset"), "zip", release.parent))
    unpacked, zipped = convert_ph2(release.parent, 7), convert_ph2(archive, 8)
    label = "labelsTr/IMD001.png"
    assert content_of(unpacked.folder)[label] == content_of(zipped.folder)[label]
    assert rows(unpacked.folder) == rows(zipped.folder)


def test_conversion_is_reproducible(release: Path, raw: Path) -> None:
    first = content_of(convert_ph2(release, 7).folder)
    assert content_of(convert_ph2(release, 7, Options(overwrite=True, workers=1)).folder) == first


def test_nnunet_accepts_the_data_set(release: Path, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify_dataset_integrity(str(convert_ph2(release, 7).folder), num_processes=1)
    assert "verify_dataset_integrity Done" in capsys.readouterr().out


# Masks as others pass them on


@pytest.mark.parametrize(("mode", "ending"), [("RGB", ".bmp"), ("P", ".bmp"), ("L", ".bmp"), ("1", ".png")])
def test_mask_in_other_modes_gives_the_same_label(release: Path, raw: Path, mode: str, ending: str) -> None:
    replace_mask(release, "IMD001", Image.fromarray(square()).convert(mode), ending)
    report = convert_ph2(release, 7, NATIVE)
    np.testing.assert_array_equal(pixels(report.folder / "labelsTr" / "IMD001.png"), square())
    assert report.remarks == {}


def test_noisy_jpeg_mask_is_thresholded_and_remarked(release: Path, raw: Path) -> None:
    noise = np.random.default_rng(0).integers(-20, 21, square().shape)
    grey = np.clip(square() * 255 + noise, 0, 255).astype(np.uint8)
    replace_mask(release, "IMD001", Image.fromarray(grey), ".jpg")
    report = convert_ph2(release, 7, NATIVE)
    np.testing.assert_array_equal(pixels(report.folder / "labelsTr" / "IMD001.png"), square())
    assert list(report.remarks.values()) == [["IMD001"]]
    assert "128 and up became lesion (1: IMD001)" in str(report)


def test_coloured_mask_is_refused_and_leaves_nothing(release: Path, raw: Path) -> None:
    replace_mask(release, "IMD001", Image.new("RGB", SIZE, (255, 0, 0)), ".bmp")
    with pytest.raises(ConversionError, match=r"IMD001_lesion.bmp must be a mask of one channel"):
        convert_ph2(release, 7)
    assert names(raw) == []


# An external test set


def test_external_test_set_lies_in_its_host_at_its_size(release: Path, host: Path) -> None:
    report = convert_ph2(release, as_test_of=116)
    assert report.folder == host / "external_PH2"
    assert names(report.folder) == ["cases.csv", "conversion.json", "imagesTs", "labelsTs"]
    assert pixels(report.folder / "imagesTs" / "IMD001_0000.png").shape == (32, 32, 3)
    assert pixels(report.folder / "labelsTs" / "IMD001.png").shape == (32, 32)


def test_external_test_set_has_all_cases_with_labels_and_diagnoses(release: Path, host: Path) -> None:
    folder = convert_ph2(release, as_test_of=116).folder
    assert names(folder / "labelsTs") == [f"{lesion.name}.png" for lesion in LESIONS]
    assert {row["split"] for row in rows(folder)} == {"test"}
    assert rows(folder)[4]["clinical_diagnosis"] == "melanoma"
    assert {row["fold"] for row in rows(folder)} == {""}


def test_host_itself_stays_as_it_was(release: Path, host: Path) -> None:
    before = content_of(host)
    convert_ph2(release, as_test_of=116)
    assert {name: data for name, data in content_of(host).items() if not name.startswith("external_")} == before


def test_external_test_set_is_replaced_only_when_asked(release: Path, host: Path) -> None:
    first = content_of(convert_ph2(release, as_test_of=116).folder)
    with pytest.raises(UserError, match=r"external_PH2 exists already: give --overwrite"):
        convert_ph2(release, as_test_of=116)
    assert content_of(convert_ph2(release, as_test_of=116, options=Options(overwrite=True)).folder) == first


def test_host_must_exist(release: Path, host: Path) -> None:
    with pytest.raises(ConversionError, match="must hold one data set of id 117, got none: convert it first"):
        convert_ph2(release, as_test_of=117)


def test_host_must_be_made_by_a_converter(release: Path, host: Path) -> None:
    (host / "conversion.json").unlink()
    with pytest.raises(ConversionError, match=r"Dataset116_ISIC2016 holds no conversion.json"):
        convert_ph2(release, as_test_of=116)


def test_size_of_an_external_test_set_is_not_chosen(release: Path, host: Path) -> None:
    with pytest.raises(ConversionError, match=r"takes the size of its data set, 32x32 .*: leave --size out"):
        convert_ph2(release, as_test_of=116, options=NATIVE)


def test_training_image_in_the_test_set_is_warned_of(release: Path, host: Path, tmp_path: Path) -> None:
    photograph = tmp_path / "isic" / EDITIONS[2016].splits[0].image_folder / "ISIC_0.png"
    Image.open(photograph).save(release / "PH2 Dataset images/IMD001/IMD001_Dermoscopic_Image/IMD001.bmp")
    report = str(convert_ph2(release, as_test_of=116))
    assert "WARNING: images that look like training images of Dataset116_ISIC2016: IMD001 = ISIC_0" in report


# The call and the command


@pytest.mark.parametrize(("numbers", "got"), [((7, 116), "both"), ((None, None), "neither")])
def test_one_number_is_needed(release: Path, raw: Path, numbers: tuple[int | None, int | None], got: str) -> None:
    with pytest.raises(ConversionError, match=f"either DATASET_ID or --as-test-of must be given, got {got}: give one"):
        convert_ph2(release, numbers[0], as_test_of=numbers[1])
    assert names(raw) == []


@pytest.mark.parametrize("order", [["SOURCE", "7", "--size", "16"], ["SOURCE", "--size", "16", "7"]])
def test_command_writes_a_data_set(release: Path, raw: Path, order: list[str]) -> None:
    main([str(release) if argument == "SOURCE" else argument for argument in order])
    assert pixels(raw / "Dataset007_PH2" / "labelsTr" / "IMD001.png").shape == (16, 16)


def test_command_writes_an_external_test_set(release: Path, host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(release), "--as-test-of", "116"])
    assert len(names(host / "external_PH2" / "labelsTs")) == 15
    assert re.match(r"PH2 -> .*Dataset116_ISIC2016/external_PH2, size 32x32\n", capsys.readouterr().out)


def test_command_without_a_number_leaves_with_one_sentence(
    release: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        main([str(release)])
    message = "either DATASET_ID or --as-test-of must be given, got neither: give one of them"
    assert capsys.readouterr().err == f"nnunet_sgdc-convert-ph2: error: {message}\n"


# The sample release


@pytest.mark.samples
@needs_samples
def test_sample_cases_keep_their_area_and_their_files(raw: Path) -> None:
    report = convert_ph2(PH2_SAMPLES / "PH2Dataset", 7)
    assert len(report.record.cases) == 12
    for case in report.record.cases:
        truth = np.asarray(Image.open(mask_of(PH2_SAMPLES / "PH2Dataset", case.id)))
        assert case.foreground == pytest.approx(truth.mean(), rel=0.01)
        for name, digest in case.sources.items():
            assert hashlib.sha256((PH2_SAMPLES / "PH2Dataset" / name).read_bytes()).hexdigest() == digest


@pytest.mark.samples
@needs_samples
def test_nnunet_accepts_the_sample_data_set(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify_dataset_integrity(str(convert_ph2(PH2_SAMPLES / "PH2Dataset", 7).folder), num_processes=1)
    assert "verify_dataset_integrity Done" in capsys.readouterr().out
