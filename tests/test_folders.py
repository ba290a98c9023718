"""Which files of two folders are scored together, and what else is known of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conic_release import write_release as write_conic
from releases import convert, save, write_release

from nnunet_sgdc.datasets.convert_conic import convert_conic
from nnunet_sgdc.datasets.isic import EDITIONS
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.evaluation.case_set import CaseSet, LabelScheme
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.folders import folder_set
from nnunet_sgdc.evaluation.raw_set import RawSet

BINARY = {"background": 0, "lesion": 1}


def label_maps(folder: Path, *cases: str) -> Path:
    folder.mkdir(parents=True)
    for case in cases:
        save(folder / f"{case}.png", np.eye(4, dtype=np.uint8))
    return folder


def declare(folder: Path, labels: object = None) -> Path:
    path = folder / "dataset.json"
    path.write_text(json.dumps({"labels": BINARY if labels is None else labels}))
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    predictions = label_maps(tmp_path / "predictions", "a", "b")
    declare(predictions)
    return label_maps(tmp_path / "truth", "a", "b"), predictions


def test_files_of_one_name_are_a_case(pair: tuple[Path, Path]) -> None:
    truth, predictions = pair
    found = [(case.id, case.truth, case.prediction) for case in folder_set(*pair).cases]
    assert found == [(case, truth / f"{case}.png", predictions / f"{case}.png") for case in ("a", "b")]


def test_a_set_of_other_folders_is_named_as_the_truth_on_the_grid_of_its_files(pair: tuple[Path, Path]) -> None:
    cases = folder_set(*pair)
    assert (cases.name, cases.grid) == ("truth", "as stored")


def test_name_and_grid_can_be_given(pair: tuple[Path, Path]) -> None:
    cases = folder_set(*pair, name="study", grid="512 x 512")
    assert (cases.name, cases.grid) == ("study", "512 x 512")


def test_a_missing_prediction_is_refused(pair: tuple[Path, Path]) -> None:
    (pair[1] / "b.png").unlink()
    with pytest.raises(EvaluationError, match=r"must hold a prediction of each case of .*, but lacks 1: b: predict"):
        folder_set(*pair)


def test_a_prediction_without_truth_is_refused(pair: tuple[Path, Path]) -> None:
    (pair[0] / "b.png").unlink()
    with pytest.raises(EvaluationError, match=r"of the cases of .*truth only, but has others \(1: b\)"):
        folder_set(*pair)


# Classes


def test_classes_are_those_that_nnunet_left_with_the_predictions(pair: tuple[Path, Path]) -> None:
    assert folder_set(*pair).labels == LabelScheme({"lesion": 1})


def test_classes_beside_the_truth_count_more(pair: tuple[Path, Path]) -> None:
    declare(pair[0].parent, {"background": 0, "nevus": 1, "ignore": 2})
    assert folder_set(*pair).labels == LabelScheme({"nevus": 1}, ignore_label=2)


def test_given_classes_count_most(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    given = declare(tmp_path / "other", {"background": 0, "melanoma": 1})
    assert folder_set(*pair, dataset_json=given).labels.classes == {"melanoma": 1}


def test_unknown_classes_are_refused(pair: tuple[Path, Path]) -> None:
    (pair[1] / "dataset.json").unlink()
    with pytest.raises(EvaluationError, match=r"no dataset\.json was found .*: give --dataset-json FILE"):
        folder_set(*pair)


def test_a_missing_or_damaged_declaration_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"absent\.json must declare the labels .*, but is missing"):
        folder_set(*pair, dataset_json=tmp_path / "absent.json")
    (pair[1] / "dataset.json").write_text("{")
    with pytest.raises(EvaluationError, match=r"dataset\.json must be JSON"):
        folder_set(*pair)


@pytest.mark.parametrize("labels", [{}, {"lesion": 1}, {"background": 1, "lesion": 0}, [0, 1]])
def test_a_declaration_without_background_0_is_refused(pair: tuple[Path, Path], labels: object) -> None:
    declare(pair[1], labels)
    with pytest.raises(EvaluationError, match="must declare labels with background 0"):
        folder_set(*pair)


def test_regions_are_refused(pair: tuple[Path, Path]) -> None:
    declare(pair[1], {"background": 0, "whole": [1, 2], "core": 2})
    with pytest.raises(EvaluationError, match=r"one label for each class, got regions \(1: whole\)"):
        folder_set(*pair)


# Published masks


def test_published_masks_are_lesions_at_the_original_size(tmp_path: Path) -> None:
    predictions = label_maps(tmp_path / "restored", "ISIC_1")
    truth = label_maps(tmp_path / "ISBI2016_ISIC_Part1_Test_GroundTruth")
    save(truth / "ISIC_1_Segmentation.png", np.eye(4, dtype=np.uint8) * 255)
    cases = folder_set(truth, predictions)
    assert (cases.labels, cases.grid, cases.cases[0].id) == (LabelScheme({"lesion": 1}), "original size", "ISIC_1")


# Data sets in nnU-Net's raw format


@pytest.fixture
def converted(raw: Path, tmp_path: Path) -> Path:
    return convert(write_release(tmp_path / "release"), 116, size=32).folder


def predicted(truth: Path, folder: Path) -> Path:
    return label_maps(folder, *(path.stem for path in truth.iterdir()))


def test_a_split_of_a_data_set_is_named_by_it_and_on_the_training_grid(converted: Path, tmp_path: Path) -> None:
    cases = folder_set(converted / "labelsTs", predicted(converted / "labelsTs", tmp_path / "predicted"))
    assert (cases.name, cases.grid) == ("Dataset116_ISIC2016/Ts", "training grid")
    assert cases.cases[0].images == (converted / "imagesTs" / "3_0000.png",)


def test_the_training_split_is_named_as_the_data_set(converted: Path) -> None:
    raw = RawSet.of_labels(converted / "labelsTr")
    assert raw is not None
    assert (raw.name, raw.key) == ("Dataset116_ISIC2016", "Tr")


def test_an_external_test_set_is_named_by_its_host_and_itself(tmp_path: Path) -> None:
    raw = RawSet.of_labels(tmp_path / "Dataset116_ISIC2016" / "external_PH2" / "labelsTs")
    assert raw is not None
    assert (raw.name, raw.key) == ("Dataset116_ISIC2016/external_PH2", "external_PH2")
    assert raw.dataset_json == tmp_path / "Dataset116_ISIC2016" / "dataset.json"


def test_a_folder_of_another_name_is_no_split(tmp_path: Path) -> None:
    assert RawSet.of_labels(tmp_path / "masks") is None


def test_cases_that_no_fold_divides_are_one_cluster(raw: Path, tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    images = release / EDITIONS[2016].splits[0].image_folder
    shutil.copy(images / "0.jpg", images / "1.jpg")
    truth = convert(release, 116, size=32).folder / "labelsTr"
    clusters = [case.cluster for case in folder_set(truth, predicted(truth, tmp_path / "predicted")).cases]
    assert clusters[0] == clusters[1] != clusters[2]


# Numbered objects


def conic_set(tmp_path: Path, size: Resizing | None = None) -> CaseSet:
    """A data set of patches with numbered nuclei."""
    truth = convert_conic(write_conic(tmp_path / "conic"), 131, Options(size=size)).folder / "labelsTr"
    return folder_set(truth, predicted(truth, tmp_path / "predicted"))


def test_the_numbered_nuclei_of_a_converted_data_set_are_found(raw: Path, tmp_path: Path) -> None:
    cases = conic_set(tmp_path)
    assert cases.cases[0].instances == raw / "Dataset131_CoNIC" / "instancesTr" / f"{cases.cases[0].id}.png"


def test_nuclei_on_another_grid_than_the_labels_are_not_taken(raw: Path, tmp_path: Path) -> None:
    assert conic_set(tmp_path, Resizing.square(32)).cases[0].instances is None


def test_given_numbered_objects_are_taken_for_every_case(pair: tuple[Path, Path], tmp_path: Path) -> None:
    instances = label_maps(tmp_path / "instances", "a")
    with pytest.raises(EvaluationError, match="but lacks 1: b"):
        folder_set(*pair, instances=instances)
    save(instances / "b.png", np.eye(4, dtype=np.uint16))
    assert [case.instances for case in folder_set(*pair, instances=instances).cases] == [
        instances / "a.png",
        instances / "b.png",
    ]
