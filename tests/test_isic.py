"""The editions are found by their published names alone, so empty files will do."""

from pathlib import Path

import pytest

from nnunet_sgdc.datasets.collection import Collection, Split
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.isic import find_isic
from nnunet_sgdc.datasets.source_tree import opened_source

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


def find(folder: Path, year: int | None = None) -> Collection:
    with opened_source(folder) as tree:
        return find_isic(tree, year)


def identifiers(split: Split) -> str:
    return "".join(case.identifier for case in split.cases)


def training_identifiers(release: Collection) -> str:
    return identifiers(release.splits[0])


@pytest.mark.parametrize("year", [2016, 2017, 2018])
def test_edition_is_found_by_its_folder_names(tmp_path: Path, year: int) -> None:
    lay_out(tmp_path, TRAINING[year])
    lay_out(tmp_path, TEST[year], "c")
    release = find(tmp_path)
    assert release.name == f"ISIC{year}"
    assert [(split.name, split.suffix, identifiers(split)) for split in release.splits] == [
        ("training", "Tr", "ab"),
        ("test", "Ts", "c"),
    ]


@pytest.mark.parametrize("year", [2017, 2018])
def test_validation_is_a_split_of_its_own(tmp_path: Path, year: int) -> None:
    for split, names in ((TRAINING, "ab"), (VALIDATION, "v"), (TEST, "t")):
        lay_out(tmp_path, split[year], names)
    validation = {split.name: split for split in find(tmp_path).splits}["validation"]
    assert (validation.suffix, identifiers(validation), validation.labelled) == ("Val", "v", True)


def test_training_split_alone_is_enough(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2018])
    assert len(find(tmp_path).splits) == 1


def test_test_split_may_lack_its_ground_truth(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2018])
    lay_out(tmp_path, TEST[2018], "t", masks=False)
    assert [split.labelled for split in find(tmp_path).splits] == [True, False]


@pytest.mark.parametrize("name", ["a_superpixels.png", "LICENSE.txt", "metadata.csv", "._a.jpg"])
def test_files_that_are_no_images_are_ignored(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, TRAINING[2017])
    touch(tmp_path / TRAINING[2017][0] / name)
    assert training_identifiers(find(tmp_path)) == "ab"


@pytest.mark.parametrize("above", ["isic", "download/isic/2016"])
def test_release_is_found_further_down(tmp_path: Path, above: str) -> None:
    lay_out(tmp_path / above, TRAINING[2016])
    assert training_identifiers(find(tmp_path)) == "ab"


def test_folder_repeated_inside_itself_is_entered(tmp_path: Path) -> None:
    images, masks, ending = TRAINING[2017]
    lay_out(tmp_path, (f"{images}/{images}", f"{masks}/{masks}", ending))
    assert training_identifiers(find(tmp_path)) == "ab"


def test_shadow_tree_of_macos_is_ignored(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2017])
    lay_out(tmp_path / "__MACOSX", TRAINING[2017], "x")
    assert training_identifiers(find(tmp_path)) == "ab"


def test_several_editions_ask_for_a_choice(tmp_path: Path) -> None:
    lay_out(tmp_path / "2016", TRAINING[2016])
    lay_out(tmp_path / "2018", TRAINING[2018])
    with pytest.raises(ConversionError, match=r"several ISIC editions .*\(2016, 2018\): give --edition"):
        find(tmp_path)


def test_edition_can_be_chosen_among_several(tmp_path: Path) -> None:
    lay_out(tmp_path / "2016", TRAINING[2016])
    lay_out(tmp_path / "2018", TRAINING[2018])
    assert find(tmp_path, 2018).name == "ISIC2018"


def test_no_edition_says_what_was_looked_for_and_found(tmp_path: Path) -> None:
    lay_out(tmp_path, ("holiday", "snaps", ".png"))
    with pytest.raises(ConversionError, match=r"a folder ISBI2016.*, ISIC-2017.*, ISIC2018.*, got holiday, snaps"):
        find(tmp_path)


def test_chosen_edition_that_is_not_there_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    with pytest.raises(ConversionError, match=r"edition 2017 was asked for, but .* holds ISIC 2016"):
        find(tmp_path, 2017)


def test_unknown_edition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="edition must be one of 2016, 2017, 2018, got 2015"):
        find(tmp_path, 2015)


def test_folder_found_twice_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path / "old", TRAINING[2016])
    lay_out(tmp_path / "new", TRAINING[2016])
    with pytest.raises(ConversionError, match="was found more than once"):
        find(tmp_path)


def test_images_without_a_mask_are_counted_and_named(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016], "a")
    lay_out(tmp_path, TRAINING[2016], "edcb", masks=False)
    with pytest.raises(
        ConversionError,
        match=r"same cases, but have images without a mask \(4: b, c, d, \.\.\.\)",
    ):
        find(tmp_path)


def test_masks_without_an_image_are_counted_and_named(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016], "ab")
    (tmp_path / TRAINING[2016][0] / "a.jpg").unlink()
    with pytest.raises(ConversionError, match=r"masks without an image \(1: a\)"):
        find(tmp_path)


def test_incomplete_test_split_is_refused_as_well(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    lay_out(tmp_path, TEST[2016], "cd")
    (tmp_path / TEST[2016][1] / "c_Segmentation.png").unlink()
    with pytest.raises(ConversionError, match=r"Test_GroundTruth must .* images without a mask"):
        find(tmp_path)


def test_training_without_ground_truth_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016], masks=False)
    with pytest.raises(ConversionError, match="ISBI2016_ISIC_Part1_Training_GroundTruth with the training masks"):
        find(tmp_path)


def test_image_in_two_formats_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    touch(tmp_path / TRAINING[2016][0] / "a.png")
    with pytest.raises(ConversionError, match="a is there twice"):
        find(tmp_path)


def test_identifiers_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016], "ab")
    (tmp_path / TRAINING[2016][0] / "A.JPG").touch()
    with pytest.raises(ConversionError, match=r"is there twice: .*A\.JPG and .*a\.jpg; remove one"):
        find(tmp_path)


def test_accents_may_be_composed_or_not(tmp_path: Path) -> None:
    images, masks, ending = TRAINING[2016]
    touch(tmp_path / images / "la\u0308sion 1.jpg", tmp_path / masks / f"l\u00e4sion 1{ending}")
    assert training_identifiers(find(tmp_path)) == "l\u00e4sion 1"


@pytest.mark.parametrize("ending", [".jpg", ".bmp", ".PNG"])
def test_masks_may_have_another_format(tmp_path: Path, ending: str) -> None:
    lay_out(tmp_path, (*TRAINING[2018][:2], f"_segmentation{ending}"))
    assert training_identifiers(find(tmp_path)) == "ab"


def test_image_with_an_unknown_ending_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, TRAINING[2016])
    (tmp_path / TRAINING[2016][0] / "a.jpg").rename(tmp_path / TRAINING[2016][0] / "a.webp")
    with pytest.raises(ConversionError, match=r"must end in \.jpeg, \.jpg, \.png, got 1: a\.webp"):
        find(tmp_path)


def test_image_folder_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / TRAINING[2016][0] / "LICENSE.txt")
    with pytest.raises(ConversionError, match="must hold images"):
        find(tmp_path)
