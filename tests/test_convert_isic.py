"""Releases of a few tiny images go through the converter; the sample releases, where present, as well."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.datasets import convert_isic as converter
from nnunet_sgdc.datasets.convert_isic import ConversionReport, convert_isic, main
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.images import read_mask, read_rgb, resized_mask
from nnunet_sgdc.datasets.isic_releases import EDITIONS

SIZE = (48, 36)
SAMPLES = Path(os.environ.get("NNUNET_SGDC_SAMPLES", Path(__file__).parents[2] / "shared" / "samples"))
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


def first_mask(release: Path) -> Path:
    return release / EDITIONS[2016].splits[0].mask_folder / "0_Segmentation.png"


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save(path: Path, values: NDArray[np.generic]) -> Path:
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path / "nnUNet_raw"


def run_command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


# What is written


@pytest.mark.parametrize("year", [2016, 2017, 2018])
def test_splits_go_where_nnunet_expects_them(tmp_path: Path, raw: Path, year: int) -> None:
    convert_isic(write_release(tmp_path / "release", year), 7)
    folder = raw / f"Dataset007_ISIC{year}"
    assert names(folder / "imagesTr") == ["0_0000.png", "1_0000.png", "2_0000.png"]
    assert names(folder / "labelsTr") == ["0.png", "1.png", "2.png"]
    assert names(folder / "imagesTs") == ["3_0000.png", "4_0000.png"]
    assert names(folder / "labelsTs") == ["3.png", "4.png"]


def test_without_an_external_split_there_is_no_test_folder(tmp_path: Path, raw: Path) -> None:
    report = convert_isic(write_release(tmp_path / "release", 2018, counts=(2,)), 1)
    assert names(report.folder) == ["conversion.json", "dataset.json", "imagesTr", "labelsTr"]


def test_test_images_without_ground_truth_get_no_labels(release: Path, raw: Path) -> None:
    shutil.rmtree(release / EDITIONS[2016].splits[1].mask_folder)
    report = convert_isic(release, 1)
    assert (report.folder / "imagesTs").is_dir()
    assert not (report.folder / "labelsTs").exists()


def test_images_are_rgb_squares_of_256_pixels(release: Path, raw: Path) -> None:
    image = pixels(convert_isic(release, 1).folder / "imagesTr" / "0_0000.png")
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8


def test_labels_are_one_channel_of_zeros_and_ones(release: Path, raw: Path) -> None:
    label = pixels(convert_isic(release, 1).folder / "labelsTr" / "0.png")
    assert label.shape == (256, 256)
    assert label.dtype == np.uint8
    assert np.unique(label).tolist() == [0, 1]


def test_native_size_keeps_every_pixel(release: Path, raw: Path) -> None:
    report = convert_isic(release, 1, size=None)
    images = release / EDITIONS[2016].splits[0].image_folder
    np.testing.assert_array_equal(pixels(report.folder / "imagesTr" / "0_0000.png"), pixels(images / "0.jpg"))
    np.testing.assert_array_equal(pixels(report.folder / "labelsTr" / "0.png") * 255, disc())


def test_dataset_json_tells_nnunet_what_it_needs(release: Path, raw: Path) -> None:
    content = json.loads((convert_isic(release, 1).folder / "dataset.json").read_text())
    assert content["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert content["labels"] == {"background": 0, "lesion": 1}
    assert content["numTraining"] == 3
    assert content["file_ending"] == ".png"


def test_original_sizes_are_recorded(release: Path, raw: Path) -> None:
    content = json.loads((convert_isic(release, 1, size=64).folder / "conversion.json").read_text())
    assert (content["edition"], content["size"]) == (2016, 64)
    assert content["cases"][0] == {"id": "0", "split": "training", "width": 48, "height": 36}
    assert [case["split"] for case in content["cases"]] == ["training"] * 3 + ["test"] * 2


def test_result_does_not_depend_on_the_number_of_workers(release: Path, raw: Path) -> None:
    one, four = convert_isic(release, 1, workers=1), convert_isic(release, 2, workers=4)
    assert one.cases == four.cases


@pytest.mark.parametrize("size", [64, None])
def test_nnunet_accepts_the_data_set(release: Path, raw: Path, size: int | None) -> None:
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    verify_dataset_integrity(str(convert_isic(release, 1, size=size).folder), num_processes=1)


# Pixels


def test_threshold_lies_at_128(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", np.array([[0, 127], [128, 255]], np.uint8))
    assert read_mask(path, (2, 2)).lesion.tolist() == [[False, False], [True, True]]


def test_values_between_are_counted_in_the_report(release: Path, raw: Path) -> None:
    save(first_mask(release), np.maximum(disc(), 3))
    report = convert_isic(release, 1)
    assert report.unusual_masks == ("0",)
    assert "masks with values other than 0 and 255 (1: 0)" in str(report)


@pytest.mark.parametrize("size", [16, 100, 256, 300])
def test_resizing_keeps_the_area_of_the_lesion(size: int) -> None:
    lesion = disc((231, 173)) > 0
    assert resized_mask(lesion, size).mean() == pytest.approx(lesion.mean(), rel=0.01)


@pytest.mark.parametrize("start", range(40, 48))
def test_line_of_one_output_pixel_survives_wherever_it_lies(start: int) -> None:
    lesion = np.zeros((128, 128), bool)
    lesion[:, start : start + 8] = True
    assert resized_mask(lesion, 16).any(axis=1).all()


def test_line_of_half_an_output_pixel_is_lost() -> None:
    lesion = np.zeros((128, 128), bool)
    lesion[:, 42:46] = True
    assert not resized_mask(lesion, 16).any()


def test_full_mask_stays_full() -> None:
    assert resized_mask(np.ones((37, 53), bool), 16).all()


def test_label_that_lost_its_lesion_is_reported(release: Path, raw: Path) -> None:
    speck = np.zeros_like(disc())
    speck[5, 5] = 255
    save(first_mask(release), speck)
    report = convert_isic(release, 1, size=4)
    assert report.empty_labels == ("0",)
    assert "labels without any lesion (1: 0)" in str(report)


def test_equal_colour_channels_are_one_mask(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", np.repeat(disc()[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_mask(path, SIZE).lesion, disc() > 0)


def test_mask_of_one_bit_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", disc() > 0)
    np.testing.assert_array_equal(read_mask(path, SIZE).lesion, disc() > 0)


def test_palette_mask_is_read_by_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray((disc() == 0).astype(np.uint8), "L").convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", SIZE).lesion, disc() > 0)


def test_colour_channels_that_differ_are_refused(tmp_path: Path) -> None:
    colours = np.repeat(disc()[..., None], 3, axis=2)
    colours[0, 0, 1] = 255
    with pytest.raises(ConversionError, match="colours that differ"):
        read_mask(save(tmp_path / "mask.png", colours), SIZE)


def test_coloured_palette_is_refused(tmp_path: Path) -> None:
    image = Image.fromarray(disc() // 255).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "mask.png")
    with pytest.raises(ConversionError, match="colours that differ"):
        read_mask(tmp_path / "mask.png", SIZE)


def test_mask_of_zeros_and_ones_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="largest value is 1"):
        read_mask(save(tmp_path / "mask.png", disc() // 255), SIZE)


def test_mask_of_16_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="8-bit mask"):
        read_mask(save(tmp_path / "mask.png", disc().astype(np.uint16)), SIZE)


def test_image_is_turned_upright_after_its_exif_tag(tmp_path: Path) -> None:
    image, exif = Image.new("RGB", (20, 10)), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "image.jpg", exif=exif)
    assert read_rgb(tmp_path / "image.jpg").size == (10, 20)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_image_of_any_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.fromarray(disc()).convert(mode).save(tmp_path / "image.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "image.png"), np.repeat(disc()[..., None], 3, axis=2))


def test_image_of_16_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="8 bits per channel"):
        read_rgb(save(tmp_path / "image.png", np.full((4, 4), 1000, np.uint16)))


@pytest.mark.parametrize("kept", [0, 20, 60, 100])
def test_damaged_image_is_named(tmp_path: Path, kept: int) -> None:
    path = save(tmp_path / "damaged.png", np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConversionError, match=r"damaged\.png cannot be read"):
        read_rgb(path)


@pytest.mark.parametrize(("intact", "broken"), [(b"IDAT", b"\xd1\x1c\x99\x9d"), (b"\rIHDR", b"\x0cIHDR")])
def test_image_with_a_broken_chunk_is_named(tmp_path: Path, intact: bytes, broken: bytes) -> None:
    path = save(tmp_path / "damaged.png", np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))
    before, after = path.read_bytes().rsplit(intact, 1)
    path.write_bytes(before + broken + after)
    with pytest.raises(ConversionError, match=r"damaged\.png cannot be read"):
        read_rgb(path)


def test_colour_profile_is_left_behind(release: Path, raw: Path) -> None:
    path = release / EDITIONS[2016].splits[0].image_folder / "0.jpg"
    Image.new("RGB", SIZE).save(path, icc_profile=b"profile")
    with Image.open(convert_isic(release, 1).folder / "imagesTr" / "0_0000.png") as converted:
        assert "icc_profile" not in converted.info


# What is refused


def test_mask_of_another_size_is_named(release: Path, raw: Path) -> None:
    save(first_mask(release), disc((47, 36)))
    with pytest.raises(ConversionError, match=r"0_Segmentation\.png .* 48 x 36 pixels, but is 47 x 36"):
        convert_isic(release, 1)


def test_transposed_mask_is_refused(release: Path, raw: Path) -> None:
    save(first_mask(release), disc().T.copy())
    with pytest.raises(ConversionError, match="48 x 36 pixels, but is 36 x 48"):
        convert_isic(release, 1)


@pytest.mark.parametrize("dataset_id", [0, 1000, -1])
def test_id_outside_1_to_999_is_refused(release: Path, raw: Path, dataset_id: int) -> None:
    with pytest.raises(ConversionError, match=f"from 1 to 999, got {dataset_id}"):
        convert_isic(release, dataset_id)


@pytest.mark.parametrize("name", ["", "../escape", "two words", ".hidden", "-x"])
def test_name_that_is_no_plain_word_is_refused(release: Path, raw: Path, name: str) -> None:
    with pytest.raises(ConversionError, match="name must consist of"):
        convert_isic(release, 1, name=name)


@pytest.mark.parametrize("option", ["size", "workers"])
def test_numbers_below_one_are_refused(release: Path, raw: Path, option: str) -> None:
    with pytest.raises(ConversionError, match=f"{option} must be at least 1, got 0"):
        convert_isic(release, 1, **{option: 0})


def test_unset_raw_folder_is_explained(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_raw", raising=False)
    with pytest.raises(ConversionError, match=r"nnUNet_raw must name .* give --raw FOLDER"):
        convert_isic(release, 1)


def test_missing_raw_folder_is_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="must exist"):
        convert_isic(release, 1, raw=tmp_path / "nowhere")


def test_raw_folder_given_goes_before_the_variable(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert convert_isic(release, 1, raw=tmp_path / "other").folder.parent == tmp_path / "other"
    assert names(raw) == []


@pytest.mark.parametrize("place", ["nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"])
def test_id_of_another_data_set_is_refused_even_to_overwrite(release: Path, raw: Path, place: str) -> None:
    (raw.parent / place / "Dataset001_Other").mkdir()
    with pytest.raises(ConversionError, match=r"dataset id 001 already belongs to .*Dataset001_Other"):
        convert_isic(release, 1, overwrite=True)


# All or nothing


def converted(release: Path, size: int, *, overwrite: bool = False) -> ConversionReport:
    return convert_isic(release, 1, size=size, overwrite=overwrite)


def fail_at(monkeypatch: pytest.MonkeyPatch, identifier: str, error: BaseException) -> None:
    convert_case = converter._convert_case

    def failing(case: converter.Case, *arguments: object) -> converter.ConvertedCase:
        if case.identifier == identifier:
            raise error
        return convert_case(case, *arguments)

    monkeypatch.setattr(converter, "_convert_case", failing)


def test_existing_data_set_is_kept_and_the_remedy_named(release: Path, raw: Path) -> None:
    converted(release, 32)
    with pytest.raises(ConversionError, match="exists already: give --overwrite"):
        converted(release, 64)
    assert pixels(raw / "Dataset001_ISIC2016" / "labelsTr" / "0.png").shape == (32, 32)


def test_overwriting_replaces_the_data_set(release: Path, raw: Path) -> None:
    (converted(release, 32).folder / "imagesTr" / "stale_0000.png").touch()
    folder = converted(release, 64, overwrite=True).folder
    assert pixels(folder / "labelsTr" / "0.png").shape == (64, 64)
    assert "stale_0000.png" not in names(folder / "imagesTr")
    assert names(raw) == ["Dataset001_ISIC2016"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_halfway_leaves_nothing(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    fail_at(monkeypatch, "4", error)
    with pytest.raises(type(error)):
        converted(release, 32)
    assert names(raw) == []


def test_failure_cancels_what_has_not_begun(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def failing(case: converter.Case, *_: object) -> None:
        begun.append(case.identifier)
        time.sleep(0.1)
        raise ConversionError("broken")

    monkeypatch.setattr(converter, "_convert_case", failing)
    with pytest.raises(ConversionError, match="broken"):
        convert_isic(write_release(tmp_path / "release", counts=(20,)), 1, workers=1)
    assert len(begun) < 5


def test_failure_while_overwriting_keeps_the_old_data_set(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted(release, 32)
    fail_at(monkeypatch, "4", OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        converted(release, 64, overwrite=True)
    assert names(raw) == ["Dataset001_ISIC2016"]
    assert pixels(raw / "Dataset001_ISIC2016" / "labelsTr" / "0.png").shape == (32, 32)


def test_failure_of_the_last_rename_brings_the_old_data_set_back(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted(release, 32)
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if ".partial" in path.name:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        converted(release, 64, overwrite=True)
    assert names(raw) == ["Dataset001_ISIC2016"]


def test_data_set_behind_a_link_is_not_replaced(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (raw / "Dataset001_ISIC2016").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConversionError, match="is a link"):
        converted(release, 32, overwrite=True)


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


def test_command_says_that_validation_was_left_out(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(write_release(tmp_path / "release", 2017, counts=(1, 1, 1))), "1"])
    assert "validation: left out, as there is a test split" in capsys.readouterr().out


def test_command_fails_with_one_sentence(release: Path, raw: Path, tmp_path: Path) -> None:
    first_mask(release).unlink()
    result = run_command(release, 1, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "nnunet_sgdc-convert-isic: error: the training split has images without a mask (1: 0): "
        "unpack the release completely\n"
    )


def test_command_reports_a_full_disk(
    release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_at(monkeypatch, "1", OSError(28, "No space left on device"))
    with pytest.raises(SystemExit, match="1"):
        main([str(release), "1"])
    assert capsys.readouterr().err == "nnunet_sgdc-convert-isic: error: [Errno 28] No space left on device\n"


def test_command_refuses_a_size_that_is_no_number(release: Path, raw: Path, tmp_path: Path) -> None:
    result = run_command(release, 1, "--size", "big", cwd=tmp_path)
    assert result.returncode == 2
    assert "expected a number of pixels or 'native', got 'big'" in result.stderr


def test_ctrl_c_leaves_nothing_and_exits_with_130(tmp_path: Path, raw: Path) -> None:
    release = write_release(tmp_path / "release", counts=(100,))
    command = [sys.executable, "-c", COMMAND, str(release), "1", "--size", "2000", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(raw.glob(".Dataset001*/imagesTr/*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "nnunet_sgdc-convert-isic: interrupted: no data set was written\n"
    assert process.returncode == 130
    assert names(raw) == []


def test_command_starts_without_torch_and_nnunet(tmp_path: Path) -> None:
    code = "import sys, nnunet_sgdc.datasets.convert_isic; sys.exit(bool({'torch', 'nnunetv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=60, check=False).returncode == 0


# The sample releases

needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"no sample releases at {SAMPLES}: set NNUNET_SGDC_SAMPLES"
)


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize(
    ("year", "training", "external"), [(2016, 39, ("test", 20)), (2017, 42, ("validation", 4)), (2018, 52, None)]
)
def test_sample_release_is_converted(raw: Path, year: int, training: int, external: tuple[str, int] | None) -> None:
    report = convert_isic(SAMPLES / f"isic{year}", 1)
    found = report.release.external
    assert len(names(report.folder / "labelsTr")) == training
    assert (found and (found.published.name, len(found.cases))) == external
    assert report.unusual_masks == report.empty_labels == ()


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize("size", [256, 512])
def test_labels_of_samples_lose_little_on_the_way_there_and_back(raw: Path, size: int) -> None:
    report = convert_isic(SAMPLES / "isic2017", 1, size=size)
    for case in report.release.training.cases:
        truth = pixels(case.mask) >= 128
        label = Image.fromarray(pixels(report.folder / "labelsTr" / f"{case.identifier}.png") * np.uint8(255))
        back = np.asarray(label.resize(truth.shape[::-1], Image.Resampling.BILINEAR)) >= 128
        assert 2 * (truth & back).sum() / (truth.sum() + back.sum()) > 0.99
