"""Finding the cases of PH2."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from ph2_release import LESIONS, mask_of, square, write_case, write_release, write_text
from PIL import Image
from samples import PH2_SAMPLES, needs_samples

from nnunet_sgdc.datasets.collection import Collection
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.ph2 import find_ph2
from nnunet_sgdc.datasets.source_tree import opened_source


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path, LESIONS)


def found(source: Path) -> Collection:
    with opened_source(source) as tree:
        return find_ph2(tree)


def identifiers(collection: Collection) -> list[str]:
    return [case.identifier for case in collection.cases]


def refuse(source: Path, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        found(source)


# Where the cases lie


def test_cases_are_ordered_and_all_in_the_training_split(release: Path) -> None:
    collection = found(release)
    assert [split.name for split in collection.splits] == ["training"]
    assert identifiers(collection) == ["IMD003", "IMD058", "IMD436"]
    assert collection.splits[0].published == 200


@pytest.mark.parametrize("source", [".", "PH2Dataset", "PH2Dataset/PH2 Dataset images"])
def test_release_is_found_from_any_of_its_folders(release: Path, source: str) -> None:
    assert len(found(release.parent / source).cases) == 3


def test_release_nested_once_too_deep_is_found(release: Path, tmp_path: Path) -> None:
    shutil.move(release, tmp_path / "outer" / "PH2Dataset" / "PH2Dataset")
    assert len(found(tmp_path / "outer").cases) == 3


def test_case_folder_repeated_inside_itself_is_found(release: Path) -> None:
    folder = release / "PH2 Dataset images" / "IMD003"
    folder.rename(release / "moved")
    folder.mkdir()
    (release / "moved").rename(folder / "IMD003")
    assert len(found(release).cases) == 3


def test_zipped_release_is_read_without_unpacking(release: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "PH2Dataset"), "zip", tmp_path, "PH2Dataset"))
    with opened_source(archive) as tree:
        sample = find_ph2(tree).cases[0].load()
    assert sample.label is not None
    np.testing.assert_array_equal(sample.label, square())


def test_case_is_read_from_its_image_and_lesion_mask(release: Path) -> None:
    sample = found(release).cases[0].load()
    folder = "PH2 Dataset images/IMD003"
    assert set(sample.sources) == {
        f"{folder}/IMD003_Dermoscopic_Image/IMD003.bmp",
        f"{folder}/IMD003_lesion/IMD003_lesion.bmp",
    }


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "tif"])
def test_masks_may_have_other_formats(release: Path, ending: str) -> None:
    mask = mask_of(release, "IMD003")
    Image.fromarray(square()).convert("L").save(mask.with_suffix(f".{ending}"))
    mask.unlink()
    label = found(release).cases[0].load().label
    assert label is not None
    assert label.sum() == 72


def test_names_in_small_letters_get_the_published_identifier(tmp_path: Path) -> None:
    write_case(tmp_path, "imd003")
    write_text(tmp_path / "ph2_dataset.TXT", LESIONS)
    collection = found(tmp_path)
    assert identifiers(collection) == ["IMD003"]
    assert collection.cases[0].attributes["clinical_diagnosis"] == "common nevus"


# What is refused


def test_missing_images_are_counted(release: Path) -> None:
    shutil.rmtree(release / "PH2 Dataset images" / "IMD003" / "IMD003_Dermoscopic_Image")
    refuse(release, r"IMDxxx_Dermoscopic_Image/IMDxxx.bmp is missing \(1: IMD003\): unpack the release completely")


def test_missing_masks_are_counted(release: Path) -> None:
    for name in ("IMD003", "IMD058"):
        mask_of(release, name).unlink()
    refuse(release, r"but IMDxxx_lesion/IMDxxx_lesion.bmp is missing \(2: IMD003, IMD058\): unpack")


def test_missing_images_and_masks_are_told_together(release: Path) -> None:
    shutil.rmtree(release / "PH2 Dataset images" / "IMD003" / "IMD003_Dermoscopic_Image")
    mask_of(release, "IMD058").unlink()
    refuse(release, r"IMDxxx.bmp is missing \(1: IMD003\) and .*lesion.bmp is missing \(1: IMD058\)")


def test_region_of_interest_is_no_mask(release: Path) -> None:
    folder = mask_of(release, "IMD003").parent
    shutil.rmtree(folder)
    (folder.parent / "IMD003_roi" / "IMD003_R1_Label4.bmp").rename(folder.parent / "IMD003_roi" / "IMD003_lesion.bmp")
    refuse(release, r"IMDxxx_lesion.bmp is missing \(1: IMD003\)")


def test_two_masks_of_a_case_are_refused(release: Path) -> None:
    Image.fromarray(square()).save(mask_of(release, "IMD003").with_suffix(".png"))
    refuse(release, r"one mask, but some have several \(1: IMD003\), such as .*lesion.bmp and .*lesion.png: keep one")


def test_two_copies_of_the_release_are_refused(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "copy")
    refuse(tmp_path, r"one image, but some have several \(3: IMD003, IMD058, IMD436\).*or give one copy of the release")


def test_names_that_differ_in_case_alone_are_refused(release: Path) -> None:
    write_case(release / "PH2 Dataset images", "imd003")
    refuse(release, r"one image, but some have several \(1: IMD003\), such as .*IMD003.bmp and .*imd003.bmp")


def test_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ISIC-2017_Training_Data").mkdir()
    (tmp_path / "ISIC-2017_Training_Data" / "1.jpg").touch()
    refuse(tmp_path, r"no PH2 case .* such as PH2 Dataset images/IMD003/IMD003_lesion, got 1: ISIC-2017_Training_Data;")


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path, "no PH2 case was found .* got nothing; keep the published folder names")


# What the cases carry


def test_cases_carry_their_row_and_the_diagnosis_divides_the_folds(release: Path) -> None:
    collection = found(release)
    diagnoses = {case.identifier: case.attributes["clinical_diagnosis"] for case in collection.cases}
    assert diagnoses == {"IMD003": "common nevus", "IMD058": "melanoma", "IMD436": "atypical nevus"}
    assert collection.stratify_by == "clinical_diagnosis"
    assert collection.notes == ()


def test_case_without_a_row_is_told_and_has_empty_columns(release: Path) -> None:
    write_text(release / "PH2_dataset.txt", LESIONS[:2])
    collection = found(release)
    assert collection.notes == ("cases that are not in PH2_dataset.txt, so without a diagnosis (1: IMD058)",)
    assert set(collection.cases[1].attributes.values()) == {""}
    assert list(collection.cases[1].attributes) == list(collection.cases[0].attributes)


def test_without_a_table_the_report_says_so_and_sizes_divide_the_folds(release: Path) -> None:
    (release / "PH2_dataset.txt").unlink()
    collection = found(release)
    assert collection.stratify_by is None
    assert collection.notes[0].startswith("PH2_dataset.txt with the diagnoses is not there")
    assert all(case.attributes == {} for case in collection.cases)


# The sample release


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize(
    ("variant", "case", "remarks"),
    [
        ("IMD002_lesion_rgb24_edited.bmp", "IMD002", 0),
        ("IMD002_lesion.jpg", "IMD002", 1),
        ("IMD025_lesion.jpg", "IMD025", 1),
    ],
)
def test_masks_passed_on_by_others_are_the_published_ones(
    tmp_path: Path, variant: str, case: str, remarks: int
) -> None:
    shutil.copytree(PH2_SAMPLES / "PH2Dataset" / "PH2 Dataset images" / case, tmp_path / case)
    original = tmp_path / case / f"{case}_lesion" / f"{case}_lesion.bmp"
    published = np.asarray(Image.open(original))
    original.unlink()
    shutil.copyfile(PH2_SAMPLES / "variants" / variant, original.with_suffix(Path(variant).suffix))
    sample = found(tmp_path).cases[0].load()
    assert sample.label is not None
    assert (sample.label == published).mean() > 0.999
    assert len(sample.remarks) == remarks
