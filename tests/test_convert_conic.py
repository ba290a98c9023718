"""Made-up releases of CoNIC go through the converter; the samples, where present, as well."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conic_release import write_release
from releases import names, pixels
from samples import SAMPLES, needs_samples
from scipy import ndimage

from nnunet_sgdc.datasets import convert_conic as converter
from nnunet_sgdc.datasets.convert_conic import convert_conic, main
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.resizing import Resizing

INSTITUTES = ("consep", "crag", "glas")
NAMES = [f"{INSTITUTES[image % 3]}_{image}-{patch:04d}" for image in range(9) for patch in range(2)]
LABEL_FOLDERS = ["imagesTr", "instancesTr", "labelsTr"]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Nine images of two patches each, with two lymphocytes side by side."""
    label = np.zeros((12, 16, 2), np.uint16)
    label[2:8, 2:6] = 1, 3
    label[2:8, 6:8] = 40000, 3
    return write_release(tmp_path / "release", NAMES, label, counts="0,0,2,0,0,0")


def content(folder: Path, name: str) -> dict[str, object]:
    read: dict[str, object] = json.loads((folder / name).read_text())
    return read


# What is written


def test_every_patch_gets_image_label_and_instances(release: Path, raw: Path) -> None:
    folder = convert_conic(release, 5).folder
    assert folder == raw / "Dataset005_CoNIC"
    assert [name for name in names(folder) if (folder / name).is_dir()] == LABEL_FOLDERS
    assert names(folder / "imagesTr") == sorted(f"{name}_0000.png" for name in NAMES)
    assert names(folder / "labelsTr") == names(folder / "instancesTr") == sorted(f"{name}.png" for name in NAMES)


def test_what_is_written_is_what_was_published(release: Path, raw: Path) -> None:
    folder = convert_conic(release, 5).folder
    images, labels = np.load(release / "images.npy"), np.load(release / "labels.npy")
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(pixels(folder / "imagesTr" / f"{name}_0000.png"), images[index])
        np.testing.assert_array_equal(pixels(folder / "labelsTr" / f"{name}.png"), labels[index, ..., 1])
        np.testing.assert_array_equal(pixels(folder / "instancesTr" / f"{name}.png"), labels[index, ..., 0])


def test_instances_are_written_with_16_bits(release: Path, raw: Path) -> None:
    instances = pixels(convert_conic(release, 5).folder / "instancesTr" / f"{NAMES[0]}.png")
    assert instances.dtype == np.uint16
    assert instances.max() == 40000


def test_instances_keep_their_size(release: Path, raw: Path) -> None:
    folder = convert_conic(release, 5, Options(size=Resizing.square(24))).folder
    assert pixels(folder / "labelsTr" / f"{NAMES[0]}.png").shape == (24, 24)
    assert pixels(folder / "instancesTr" / f"{NAMES[0]}.png").shape == (12, 16)


@pytest.mark.parametrize(
    ("binary", "labels"),
    [
        (False, ["background", "neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective"]),
        (True, ["background", "nucleus"]),
    ],
)
def test_description_names_the_classes(release: Path, raw: Path, binary: bool, labels: list[str]) -> None:
    description = content(convert_conic(release, 5, binary=binary).folder, "dataset.json")
    assert description["labels"] == {name: index for index, name in enumerate(labels)}
    assert description["licence"] == "CC BY-NC-SA 4.0"


def test_folds_never_divide_an_image_and_share_the_institutes(release: Path, raw: Path) -> None:
    folds = json.loads((convert_conic(release, 5).folder / "splits_final.json").read_text())
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(NAMES)
    for fold in folds:
        images = [{name.rpartition("-")[0] for name in fold[part]} for part in ("train", "val")]
        assert images[0].isdisjoint(images[1])
        assert {name.partition("_")[0] for name in fold["train"]} == set(INSTITUTES)


def test_table_holds_source_institute_and_counts(release: Path, raw: Path) -> None:
    with (convert_conic(release, 5).folder / "cases.csv").open() as file:
        row = next(csv.DictReader(file))
    expected = {"id": "consep_0-0000", "group": "consep_0", "source": "consep_0", "institute": "consep"}
    assert expected.items() <= row.items()
    assert (row["lymphocyte"], row["plasma"]) == ("2", "0")


def test_record_holds_options_and_hashes(release: Path, raw: Path) -> None:
    record = convert_conic(release, 5, separate_touching=True).record
    assert record.options["separate_touching"] is True
    assert record.options["binary"] is False
    assert sorted(record.options["files"]) == names(release)
    assert {len(digest) for digest in record.options["files"].values()} == {64}
    assert list(record.cases[0].sources) == ["images.npy[0]", "labels.npy[0]"]


@pytest.mark.parametrize(("separate", "components"), [(False, 1), (True, 2)])
def test_lines_let_components_recover_the_nuclei(release: Path, raw: Path, separate: bool, components: int) -> None:
    folder = convert_conic(release, 5, separate_touching=separate).folder
    assert ndimage.label(pixels(folder / "labelsTr" / f"{NAMES[0]}.png") == 3)[1] == components


def test_report_tells_how_many_of_the_published_patches_there_are(release: Path, raw: Path) -> None:
    assert "18 of the 4981 published cases in imagesTr and labelsTr" in str(convert_conic(release, 5))


def test_two_conversions_are_equal(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = convert_conic(release, 5).folder
    other = convert_conic(release, 5, Options(raw=tmp_path / "other", workers=1)).folder
    for path in sorted(one.rglob("*.*")):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()


@pytest.mark.parametrize("separate", [False, True])
def test_archive_gives_the_same_and_leaves_no_copy(release: Path, raw: Path, tmp_path: Path, separate: bool) -> None:
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        for file in release.iterdir():
            archive.write(file, file.name)
    unpacked = convert_conic(release, 5, separate_touching=separate)
    packed = convert_conic(tmp_path / "release.zip", 6, separate_touching=separate)
    assert packed.record == unpacked.record
    assert names(raw) == ["Dataset005_CoNIC", "Dataset006_CoNIC"]


# What is refused


@pytest.mark.parametrize("size", [Resizing.square(64), Resizing.longest(64)])
def test_lines_at_another_size_are_refused(release: Path, raw: Path, size: Resizing) -> None:
    with pytest.raises(ConversionError, match=rf"--separate-touching must keep the size .* got --size {size}: leave"):
        convert_conic(release, 5, Options(size=size), separate_touching=True)


def test_lines_at_the_own_size_are_drawn(release: Path, raw: Path) -> None:
    convert_conic(release, 5, Options(size=Resizing.native()), separate_touching=True)


def test_faulty_patch_leaves_nothing(release: Path, raw: Path) -> None:
    labels = np.load(release / "labels.npy")
    labels[7, 0, 0] = 5, 0
    np.save(release / "labels.npy", labels)
    with pytest.raises(ConversionError, match=r"labels\.npy\[7\] \(consep_3-0001\)"):
        convert_conic(release, 5)
    assert names(raw) == []


def test_missing_raw_folder_is_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="must exist"):
        convert_conic(release, 5, Options(raw=tmp_path / "nowhere"))


# The command


def test_command_hands_its_options_on(release: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(converter, "convert_conic", lambda *arguments, **options: given.append((arguments, options)))
    main([str(release), "5", "--binary", "--ignore-counts", "--seed", "3"])
    expected = {"binary": True, "separate_touching": False, "check_counts": False}
    assert given == [((release, 5, Options(seed=3)), expected)]


def test_command_prints_the_report(release: Path, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(release), "5", "--separate-touching", "--name", "Nuclei"])
    assert f"CoNIC -> {raw / 'Dataset005_Nuclei'}, size native" in capsys.readouterr().out


def test_command_takes_other_counts_only_if_told(release: Path, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (release / "counts.csv").read_text()
    (release / "counts.csv").write_text(text.replace("0,0,2,0,0,0", "0,0,1,0,0,0", 1))
    with pytest.raises(SystemExit, match="1"):
        main([str(release), "5"])
    assert "got 2 lymphocyte where counts.csv says 1" in capsys.readouterr().err
    main([str(release), "5", "--ignore-counts"])
    assert "not as many as counts.csv says, ignored as asked (1: consep_0-0000)" in capsys.readouterr().out


# The sample patches


@pytest.mark.samples
@needs_samples
def test_sample_patches_are_converted(raw: Path) -> None:
    report = convert_conic(SAMPLES / "conic", 5)
    labels = np.load(SAMPLES / "conic" / "labels.npy")[..., 1]
    assert list(report.record.label_pixels().values()) == np.bincount(labels.ravel(), minlength=7).tolist()
    assert len(report.division.folds) == 4
    assert report.remarks == {}


@pytest.mark.samples
@needs_samples
def test_all_sample_nuclei_but_one_are_recovered(raw: Path) -> None:
    folder = convert_conic(SAMPLES / "conic", 5, separate_touching=True).folder
    found = sum(
        ndimage.label(pixels(path) == index, np.ones((3, 3)))[1]
        for path in sorted((folder / "labelsTr").iterdir())
        for index in range(1, 7)
    )
    instances = np.load(SAMPLES / "conic" / "labels.npy")[..., 0]
    # The one in two pieces adds a component.
    assert found == sum(len(np.unique(patch)) - 1 for patch in instances) + 1
