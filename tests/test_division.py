"""Folds, groups of images that belong together, and cases shared with other data sets, seen from a conversion."""

import json
import shutil
from pathlib import Path

import pytest
from releases import convert, names, write_release

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.isic import EDITIONS

# Folds


def folds_of(folder: Path) -> list[dict[str, list[str]]]:
    return json.loads((folder / "splits_final.json").read_text())


def test_five_folds_validate_every_training_case_once(tmp_path: Path, raw: Path) -> None:
    folds = folds_of(convert(write_release(tmp_path / "release", counts=(12, 2))).folder)
    assert len(folds) == 5
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(map(str, range(12)))


def test_seed_decides_the_folds(tmp_path: Path, raw: Path) -> None:
    release = write_release(tmp_path / "release", counts=(20,))
    first, again, other = (folds_of(convert(release, seed=seed, overwrite=True).folder) for seed in (1, 1, 2))
    assert first == again != other


def test_copies_of_an_image_stay_in_one_fold(tmp_path: Path, raw: Path) -> None:
    release = write_release(tmp_path / "release", counts=(12,))
    images = release / EDITIONS[2016].splits[0].image_folder
    shutil.copy(images / "3.jpg", images / "8.jpg")
    report = convert(release)
    assert all(("3" in fold["val"]) == ("8" in fold["val"]) for fold in folds_of(report.folder))
    assert "groups of cases that belong together: 1 with 2 cases" in str(report)


def test_copy_of_a_training_image_in_the_test_split_is_told(release: Path, raw: Path) -> None:
    training, test = EDITIONS[2016].splits
    shutil.copy(release / training.image_folder / "0.jpg", release / test.image_folder / "3.jpg")
    assert "WARNING: the same image in several splits (1: 0 = 3)" in str(convert(release))


def test_deduplication_can_be_switched_off(release: Path, raw: Path) -> None:
    training, test = EDITIONS[2016].splits
    shutil.copy(release / training.image_folder / "0.jpg", release / test.image_folder / "3.jpg")
    report = convert(release, dedup=False)
    assert "belong together" not in str(report)
    assert {case.fingerprint for case in report.record.cases} == {""}


def test_published_folds_are_taken_over(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "folds.json").write_text(json.dumps([["0"], ["1.jpg", "2"]]))
    report = convert(release, splits=tmp_path / "folds.json")
    assert folds_of(report.folder) == [{"train": ["1", "2"], "val": ["0"]}, {"train": ["0"], "val": ["1", "2"]}]
    assert "folds: 2, as published, validating 1, 2 cases" in str(report)


def test_published_folds_that_do_not_fit_leave_nothing(release: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "folds.json").write_text(json.dumps([["0", "stranger"], ["1", "2"]]))
    with pytest.raises(ConversionError, match=r"folds\.json.*stranger"):
        convert(release, splits=tmp_path / "folds.json")
    assert names(raw) == []


def test_published_folds_that_divide_look_alikes_are_told(release: Path, raw: Path, tmp_path: Path) -> None:
    images = release / EDITIONS[2016].splits[0].image_folder
    shutil.copy(images / "0.jpg", images / "1.jpg")
    (tmp_path / "folds.json").write_text(json.dumps([["0"], ["1", "2"]]))
    report = convert(release, splits=tmp_path / "folds.json")
    assert "WARNING: the published folds divide groups (1: 0)" in str(report)


def test_folds_that_nnunet_keeps_from_an_earlier_conversion_are_told(release: Path, raw: Path) -> None:
    stale = raw.parent / "nnUNet_preprocessed" / "Dataset001_ISIC2016" / "splits_final.json"
    stale.parent.mkdir()
    stale.write_text("[]")
    assert f"WARNING: {stale} holds the folds of an earlier conversion" in str(convert(release))


def test_single_training_case_has_no_folds(tmp_path: Path, raw: Path) -> None:
    report = convert(write_release(tmp_path / "release", counts=(1,)))
    assert not (report.folder / "splits_final.json").exists()
    assert "folds: none, as all training cases belong together; train with fold all" in str(report)


# Overlap with other data sets


def test_shared_identifiers_are_reported(tmp_path: Path, raw: Path) -> None:
    convert(write_release(tmp_path / "2016", 2016, counts=(3,)), 1)
    report = convert(write_release(tmp_path / "2018", 2018, counts=(5,)), 2)
    assert "also in Dataset001_ISIC2016: 3: 0, 1, 2; --exclude-overlap-with 1 leaves them out" in str(report)
    assert len(report.record.cases) == 5


def test_shared_identifiers_can_be_left_out(tmp_path: Path, raw: Path) -> None:
    convert(write_release(tmp_path / "2016", 2016, counts=(3,)), 1)
    report = convert(write_release(tmp_path / "2018", 2018, counts=(5,)), 2, exclude_overlap_with=(1,))
    assert names(report.folder / "labelsTr") == ["3.png", "4.png"]
    assert "also in Dataset001_ISIC2016: 3: 0, 1, 2; left out" in str(report)


def test_damaged_record_of_another_data_set_is_told_and_not_in_the_way(tmp_path: Path, raw: Path) -> None:
    other = convert(write_release(tmp_path / "2016", 2016, counts=(3,)), 1).folder
    (other / "conversion.json").write_text("{}")
    report = convert(write_release(tmp_path / "2018", 2018, counts=(5,)), 2)
    assert "WARNING: cases shared with Dataset001_ISIC2016 are unknown: " in str(report)


def test_leaving_everything_out_is_refused(tmp_path: Path, raw: Path) -> None:
    convert(write_release(tmp_path / "2016", 2016, counts=(3,)), 1)
    with pytest.raises(ConversionError, match=r"all 3 training cases are also in data set 1"):
        convert(write_release(tmp_path / "2018", 2018, counts=(3,)), 2, exclude_overlap_with=(1,))


def test_overlap_with_a_missing_data_set_is_refused(release: Path, raw: Path) -> None:
    with pytest.raises(ConversionError, match=r"must hold one data set of id 9, got none: convert it first"):
        convert(release, exclude_overlap_with=(9,))
