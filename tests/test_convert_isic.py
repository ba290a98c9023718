"""Releases of a few tiny images go through the converter; the sample releases, where present, as well."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from releases import COMMAND, SIZE, content_of, convert, dice, disc, first_mask, names, pixels, save, write_release
from samples import SAMPLES, needs_samples

from nnunet_sgdc import __version__
from nnunet_sgdc.datasets.convert_isic import main
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.images import GREY_VALUES
from nnunet_sgdc.datasets.isic import EDITIONS
from nnunet_sgdc.datasets.restore import restore


def run_command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


# What is written


@pytest.mark.parametrize("year", [2016, 2017, 2018])
def test_splits_go_where_nnunet_expects_them(tmp_path: Path, raw: Path, year: int) -> None:
    convert(write_release(tmp_path / "release", year), 7)
    folder = raw / f"Dataset007_ISIC{year}"
    assert names(folder / "imagesTr") == ["0_0000.png", "1_0000.png", "2_0000.png"]
    assert names(folder / "labelsTr") == ["0.png", "1.png", "2.png"]
    assert names(folder / "imagesTs") == ["3_0000.png", "4_0000.png"]
    assert names(folder / "labelsTs") == ["3.png", "4.png"]


def test_without_an_external_split_there_is_no_test_folder(tmp_path: Path, raw: Path) -> None:
    report = convert(write_release(tmp_path / "release", 2018, counts=(2,)), 1)
    assert names(report.folder) == [
        "cases.csv",
        "conversion.json",
        "dataset.json",
        "imagesTr",
        "labelsTr",
        "splits_final.json",
    ]


def test_test_images_without_ground_truth_get_no_labels(release: Path, raw: Path) -> None:
    shutil.rmtree(release / EDITIONS[2016].splits[1].mask_folder)
    report = convert(release, 1)
    assert (report.folder / "imagesTs").is_dir()
    assert not (report.folder / "labelsTs").exists()


def test_images_are_rgb_squares_of_256_pixels(release: Path, raw: Path) -> None:
    image = pixels(convert(release, 1).folder / "imagesTr" / "0_0000.png")
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8


def test_labels_are_one_channel_of_zeros_and_ones(release: Path, raw: Path) -> None:
    label = pixels(convert(release, 1).folder / "labelsTr" / "0.png")
    assert label.shape == (256, 256)
    assert label.dtype == np.uint8
    assert np.unique(label).tolist() == [0, 1]


def test_native_size_keeps_every_pixel(release: Path, raw: Path) -> None:
    report = convert(release, 1, size=None)
    images = release / EDITIONS[2016].splits[0].image_folder
    np.testing.assert_array_equal(pixels(report.folder / "imagesTr" / "0_0000.png"), pixels(images / "0.jpg"))
    np.testing.assert_array_equal(pixels(report.folder / "labelsTr" / "0.png") * 255, disc())


def test_dataset_json_tells_nnunet_what_it_needs(release: Path, raw: Path) -> None:
    content = json.loads((convert(release, 1).folder / "dataset.json").read_text())
    assert content["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert content["labels"] == {"background": 0, "lesion": 1}
    assert content["numTraining"] == 3
    assert content["file_ending"] == ".png"


def test_original_sizes_are_recorded(release: Path, raw: Path) -> None:
    content = json.loads((convert(release, 1, size=64).folder / "conversion.json").read_text())
    assert (content["release"], content["options"]["size"]) == ("ISIC2016", "64x64")
    assert (content["cases"][0]["original_size"], content["cases"][0]["size"]) == ([48, 36], [64, 64])
    assert [case["split"] for case in content["cases"]] == ["training"] * 3 + ["test"] * 2


def test_validation_split_gets_folders_of_its_own(tmp_path: Path, raw: Path) -> None:
    folder = convert(write_release(tmp_path / "release", 2017, counts=(2, 1, 2))).folder
    assert names(folder / "imagesVal") == ["3_0000.png", "4_0000.png"]
    assert names(folder / "labelsVal") == ["3.png", "4.png"]


@pytest.mark.parametrize(
    ("options", "size"),
    [(["--size", "40x30"], (30, 40)), (["--longest-side", "24"], (18, 24)), (["--native"], (36, 48)), ([], (256, 256))],
)
def test_size_can_be_given_in_every_way(release: Path, raw: Path, options: list[str], size: tuple[int, int]) -> None:
    main([str(release), "1", *options])
    folder = raw / "Dataset001_ISIC2016"
    assert pixels(folder / "labelsTr" / "0.png").shape == size
    assert pixels(folder / "imagesTr" / "0_0000.png").shape == (*size, 3)


def test_case_table_has_one_row_per_case(release: Path, raw: Path) -> None:
    with (convert(release).folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["split"], row["width"], row["height"]) for row in rows][-1] == ("4", "test", "48", "36")
    assert float(rows[0]["foreground"]) == pytest.approx((disc() > 0).mean(), rel=0.01)


def test_archives_are_read_without_being_unpacked(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "zips").mkdir()
    for folder in release.iterdir():
        shutil.make_archive(str(tmp_path / "zips" / folder.name), "zip", release, folder.name)
    assert content_of(convert(tmp_path / "zips", 1).folder) == content_of(convert(release, 1, overwrite=True).folder)


@pytest.mark.parametrize("packed", [False, True])
def test_one_published_part_stands_for_those_beside_it(release: Path, raw: Path, packed: bool) -> None:
    part = release / EDITIONS[2016].splits[0].mask_folder
    if packed:
        shutil.make_archive(str(part), "zip", release, part.name)
        shutil.rmtree(part)
        part = part.with_name(f"{part.name}.zip")
    (release / "unrelated.zip").write_bytes(b"no archive")
    assert len(convert(part).record.cases) == 5


# Provenance


def test_sources_and_outputs_are_recorded_with_their_hashes(release: Path, raw: Path) -> None:
    folder = convert(release).folder
    case = json.loads((folder / "conversion.json").read_text())["cases"][0]
    for kind, base in (("sources", release), ("outputs", folder)):
        assert len(case[kind]) == 2
        for name, digest in case[kind].items():
            assert hashlib.sha256((base / name).read_bytes()).hexdigest() == digest


def test_label_pixels_and_cases_are_counted(release: Path, raw: Path) -> None:
    folder = convert(release, size=None).folder
    content = json.loads((folder / "conversion.json").read_text())
    lesion = int((disc() > 0).sum())
    assert content["label_pixels"] == {"background": 5 * (disc().size - lesion), "lesion": 5 * lesion}
    assert content["counts"] == {"training": 3, "test": 2}


def test_record_names_tool_and_options(release: Path, raw: Path) -> None:
    content = json.loads((convert(release, seed=7, dedup=False).folder / "conversion.json").read_text())
    assert content["tools"]["nnunet_sgdc"] == __version__
    assert (content["options"]["seed"], content["options"]["dedup"]) == (7, False)


def test_conversion_is_reproducible_byte_for_byte_with_any_number_of_workers(release: Path, raw: Path) -> None:
    one = content_of(convert(release, workers=1).folder)
    assert content_of(convert(release, workers=4, overwrite=True).folder) == one


# nnU-Net


@pytest.mark.parametrize("size", [64, None])
def test_nnunet_accepts_the_data_set(release: Path, raw: Path, size: int | None) -> None:
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    verify_dataset_integrity(str(convert(release, 1, size=size).folder), num_processes=1)


# Pixels


def test_remarks_are_counted_in_the_report(release: Path, raw: Path) -> None:
    save(first_mask(release), np.maximum(disc(), 3))
    report = convert(release)
    assert report.remarks == {GREY_VALUES: ["0"]}
    assert "masks with values other than 0 and 255: 128 and up became lesion (1: 0)" in str(report)


def test_colour_profile_is_left_behind(release: Path, raw: Path) -> None:
    path = release / EDITIONS[2016].splits[0].image_folder / "0.jpg"
    Image.new("RGB", SIZE).save(path, icc_profile=b"profile")
    with Image.open(convert(release, 1).folder / "imagesTr" / "0_0000.png") as converted:
        assert "icc_profile" not in converted.info


# What is refused


def test_mask_of_another_size_is_named(release: Path, raw: Path) -> None:
    save(first_mask(release), disc((47, 36)))
    with pytest.raises(ConversionError, match=r"0_Segmentation\.png .* 48 x 36 pixels, but is 47 x 36"):
        convert(release, 1)


def test_transposed_mask_is_refused(release: Path, raw: Path) -> None:
    save(first_mask(release), disc().T.copy())
    with pytest.raises(ConversionError, match="48 x 36 pixels, but is 36 x 48"):
        convert(release, 1)


@pytest.mark.parametrize("dataset_id", [0, 1000, -1])
def test_id_outside_1_to_999_is_refused(release: Path, raw: Path, dataset_id: int) -> None:
    with pytest.raises(ConversionError, match=f"from 1 to 999, got {dataset_id}"):
        convert(release, dataset_id)


@pytest.mark.parametrize("name", ["", "../escape", "two words", ".hidden", "-x"])
def test_name_that_is_no_plain_word_is_refused(release: Path, raw: Path, name: str) -> None:
    with pytest.raises(ConversionError, match="name must consist of"):
        convert(release, 1, name=name)


def test_workers_below_one_are_refused(release: Path, raw: Path) -> None:
    with pytest.raises(ConversionError, match="workers must be from 1 to 1024, got 0"):
        convert(release, workers=0)


def test_unset_raw_folder_is_explained(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_raw", raising=False)
    with pytest.raises(ConversionError, match=r"nnUNet_raw must name .* give --raw FOLDER"):
        convert(release, 1)


def test_missing_raw_folder_is_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="must exist"):
        convert(release, 1, raw=tmp_path / "nowhere")


def test_raw_folder_given_goes_before_the_variable(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert convert(release, 1, raw=tmp_path / "other").folder.parent == tmp_path / "other"
    assert names(raw) == []


@pytest.mark.parametrize("place", ["nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"])
def test_id_of_another_data_set_is_refused_even_to_overwrite(release: Path, raw: Path, place: str) -> None:
    (raw.parent / place / "Dataset001_Other").mkdir()
    with pytest.raises(ConversionError, match=r"dataset id 001 already belongs to .*Dataset001_Other"):
        convert(release, 1, overwrite=True)


# The command


def test_command_prints_what_it_did(release: Path, raw: Path, tmp_path: Path) -> None:
    result = run_command(release, 16, "--size", 32, "--name", "Tiny", cwd=tmp_path)
    assert result.returncode == 0
    assert "training: 3 of the 900 published cases in imagesTr and labelsTr" in result.stdout
    assert names(raw) == ["Dataset016_Tiny"]
    assert result.stderr == ""


def test_command_keeps_sizes_with_native(release: Path, raw: Path) -> None:
    main([str(release), "1", "--size", "native"])
    assert pixels(raw / "Dataset001_ISIC2016" / "labelsTr" / "0.png").shape == (36, 48)


def test_command_fails_with_one_sentence(release: Path, raw: Path, tmp_path: Path) -> None:
    first_mask(release).unlink()
    result = run_command(release, 1, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "nnunet_sgdc-convert-isic: error: ISBI2016_ISIC_Part1_Training_Data and "
        "ISBI2016_ISIC_Part1_Training_GroundTruth must hold the same cases, but have images without a mask (1: 0): "
        "unpack the release completely\n"
    )


def test_command_refuses_a_size_that_is_no_number(release: Path, raw: Path, tmp_path: Path) -> None:
    result = run_command(release, 1, "--size", "big", cwd=tmp_path)
    assert result.returncode == 2
    assert "--size must be a number of pixels, WIDTHxHEIGHT or native, got 'big'" in result.stderr


def test_command_starts_without_torch_and_nnunet(tmp_path: Path) -> None:
    code = "import sys, nnunet_sgdc.datasets.convert_isic; sys.exit(bool({'torch', 'nnunetv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=60, check=False).returncode == 0


# The sample releases


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize(
    ("year", "training", "external"), [(2016, 39, ("test", 20)), (2017, 42, ("validation", 4)), (2018, 52, None)]
)
def test_sample_release_is_converted(raw: Path, year: int, training: int, external: tuple[str, int] | None) -> None:
    report = convert(SAMPLES / f"isic{year}", 1)
    splits = [(split.name, len(split.cases)) for split in report.collection.splits]
    assert splits == [("training", training), *([external] if external else [])]
    assert report.remarks == {}


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize("size", [256, 512])
def test_labels_of_samples_lose_little_on_the_way_there_and_back(raw: Path, tmp_path: Path, size: int) -> None:
    folder = convert(SAMPLES / "isic2017", size=size).folder
    restore(folder / "labelsTr", folder, tmp_path / "restored")
    masks = SAMPLES / "isic2017" / EDITIONS[2017].splits[0].mask_folder
    for path in (tmp_path / "restored").iterdir():
        truth = pixels(masks / f"{path.stem}_segmentation.png") >= 128
        assert dice(truth, pixels(path) == 1) > 0.99
