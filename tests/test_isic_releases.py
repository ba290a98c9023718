"""The editions are found by their published names alone, so empty files will do."""

from pathlib import Path

import pytest

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.isic_releases import Release, find_release

# As the archives are named; written out here so that a slip in the library's table is seen.
TRAINING = {
    2016: ("ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Training_GroundTruth", "_Segmentation.png"),
    2017: ("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth", "_segmentation.png"),
    2018: ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth", "_segmentation.png"),
}
TEST = {
    2016: ("ISBI2016_ISIC_Part1_Test_Data", "ISBI2016_ISIC_Part1_Test_GroundTruth", "_Segmentation.png"),
    2017: ("ISIC-2017_Test_v2_Data", "ISIC-2017_Test_v2_Part1_GroundTruth", "_segmentation.png"),
    2018: ("ISIC2018_Task1-2_Test_Input", "ISIC2018_Task1_Test_GroundTruth", "_segmentation.png"),
}
VALIDATION = {
    2017: ("ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth", "_segmentation.png"),
    2018: ("ISIC2018_Task1-2_Validation_Input", "ISIC2018_Task1_Validation_GroundTruth", "_segmentation.png"),
}


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def lay_out(folder: Path, names: tuple[str, str, str], identifiers: str = "ab", *, masks: bool = True) -> None:
    images, truths, ending = names
    for identifier in identifiers:
        touch(folder / images / f"{identifier}.jpg")
        if masks:
            touch(folder / truths / f"{identifier}{ending}")


def training_identifiers(release: Release) -> str:
    return "".join(case.identifier for case in release.training.cases)


@pytest.mark.parametrize("year", [2016, 2017, 2018])
def test_edition_is_found_by_its_folder_names(tmp_path: Path, year: int) -> None:
    lay_out(tmp_path, TRAINING[year])
    lay_out(tmp_path, TEST[year], "c")
    release = find_release(tmp_path)
    assert release.edition.year == year
    assert training_identifiers(release) == "ab"
    assert release.external is not None
    assert release.external.labelled
    assert [case.identifier for case in release.external.cases] == ["c"]


@pytest.mark.parametrize("year", [2017, 2018])
def test_validation_stands_in_for_a_missing_test_split(tmp_path: Path, year: int) -> None:
    lay_out(tmp_path, TRAINING[year])
    lay_out(tmp_path, VALIDATION[year], "v")
    release = find_release(tmp_path)
    assert release.external is not None
    assert release.external.published.name == "validation"
    assert release.left_out == ()


def test_test_split_goes_before_validation(tmp_path: Path) -> None:
    for split in (TRAINING, VALIDATION, TEST):
        lay_out(tmp_path, split[2017])
    release = find_release(tmp_path)
    assert release.external is not None
    assert release.external.published.name == "test"
    assert release.left_out == ("validation",)


def test_training_split_alone_is_enough(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2018])
    assert find_release(tmp_path).external is None


def test_test_split_may_lack_its_ground_truth(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2018])
    lay_out(tmp_path, TEST[2018], "t", masks=False)
    release = find_release(tmp_path)
    assert release.external is not None
    assert not release.external.labelled


@pytest.mark.parametrize("name", ["a_superpixels.png", "LICENSE.txt", "metadata.csv", "._a.jpg"])
def test_files_that_are_no_images_are_ignored(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, TRAINING[2017])
    touch(tmp_path / TRAINING[2017][0] / name)
    assert training_identifiers(find_release(tmp_path)) == "ab"


def test_release_is_found_one_folder_down(tmp_path: Path) -> None:
    lay_out(tmp_path / "isic", TRAINING[2016])
    assert training_identifiers(find_release(tmp_path)) == "ab"


def test_release_is_found_from_one_of_its_folders(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    assert training_identifiers(find_release(tmp_path / TRAINING[2016][1])) == "ab"


def test_folder_repeated_inside_itself_is_entered(tmp_path: Path) -> None:
    images, masks, ending = TRAINING[2017]
    lay_out(tmp_path, (f"{images}/{images}", f"{masks}/{masks}", ending))
    assert training_identifiers(find_release(tmp_path)) == "ab"


def test_shadow_tree_of_macos_is_ignored(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2017])
    lay_out(tmp_path / "__MACOSX", TRAINING[2017], "x")
    assert training_identifiers(find_release(tmp_path)) == "ab"


def test_several_editions_ask_for_a_choice(tmp_path: Path) -> None:
    lay_out(tmp_path / "2016", TRAINING[2016])
    lay_out(tmp_path / "2018", TRAINING[2018])
    with pytest.raises(ConversionError, match=r"several ISIC editions .*\(2016, 2018\): choose one with --edition"):
        find_release(tmp_path)


def test_edition_can_be_chosen_among_several(tmp_path: Path) -> None:
    lay_out(tmp_path / "2016", TRAINING[2016])
    lay_out(tmp_path / "2018", TRAINING[2018])
    assert find_release(tmp_path, 2018).edition.year == 2018


def test_no_edition_says_what_was_looked_for_and_found(tmp_path: Path) -> None:
    lay_out(tmp_path, ("holiday", "snaps", ".png"))
    with pytest.raises(ConversionError, match=r"looked for ISBI2016.*, ISIC-2017.*, ISIC2018.*, found holiday, snaps"):
        find_release(tmp_path)


def test_chosen_edition_that_is_not_there_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    with pytest.raises(ConversionError, match="looked for ISIC-2017_Training_Data, found ISBI2016"):
        find_release(tmp_path, 2017)


def test_unknown_edition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="edition must be one of 2016, 2017, 2018, got 2015"):
        find_release(tmp_path, 2015)


def test_folder_found_twice_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path / "old", TRAINING[2016])
    lay_out(tmp_path / "new", TRAINING[2016])
    with pytest.raises(ConversionError, match="was found more than once"):
        find_release(tmp_path)


def test_images_without_a_mask_are_counted_and_named(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016], "a")
    lay_out(tmp_path, TRAINING[2016], "edcb", masks=False)
    with pytest.raises(ConversionError, match=r"training split has images without a mask \(4: b, c, d, \.\.\.\)"):
        find_release(tmp_path)


def test_masks_without_an_image_are_counted_and_named(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016], "ab")
    (tmp_path / TRAINING[2016][0] / "a.jpg").unlink()
    with pytest.raises(ConversionError, match=r"masks without an image \(1: a\)"):
        find_release(tmp_path)


def test_incomplete_test_split_is_refused_as_well(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    lay_out(tmp_path, TEST[2016], "cd")
    (tmp_path / TEST[2016][1] / "c_Segmentation.png").unlink()
    with pytest.raises(ConversionError, match="test split has images without a mask"):
        find_release(tmp_path)


def test_training_without_ground_truth_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016], masks=False)
    with pytest.raises(ConversionError, match="ISBI2016_ISIC_Part1_Training_GroundTruth with the training masks"):
        find_release(tmp_path)


def test_image_in_two_formats_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    touch(tmp_path / TRAINING[2016][0] / "a.png")
    with pytest.raises(ConversionError, match="a is there twice"):
        find_release(tmp_path)


def test_empty_image_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / TRAINING[2016][0]).mkdir()
    with pytest.raises(ConversionError, match="must hold images"):
        find_release(tmp_path)


def test_source_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="source must be a folder"):
        find_release(tmp_path / "nowhere")
