"""Label maps in files: which files count, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from releases import save

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.label_files import label_files, read_prediction, read_truth

MASK = np.array([[0, 255, 255], [0, 255, 0]], np.uint8)
LABELS = np.array([[0, 1, 2], [0, 6, 0]], np.uint8)


def test_label_maps_are_found_by_case_and_other_files_left_alone(tmp_path: Path) -> None:
    save(tmp_path / "a.png", LABELS)
    save(tmp_path / "b.tif", LABELS)
    save(tmp_path / "._a.png", LABELS)
    (tmp_path / "summary.json").write_text("{}")
    assert label_files(tmp_path, "PREDICTIONS") == {"a": tmp_path / "a.png", "b": tmp_path / "b.tif"}


@pytest.mark.parametrize("name", ["ISIC_1_Segmentation.png", "ISIC_1_segmentation.png"])
def test_the_suffix_of_published_masks_is_no_part_of_the_case(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, MASK)
    assert list(label_files(tmp_path, "GROUND_TRUTH")) == ["ISIC_1"]


def test_two_files_of_one_case_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", LABELS)
    save(tmp_path / "a_segmentation.png", MASK)
    with pytest.raises(EvaluationError, match=r"must hold one file of each case, but two of some \(1: a\.png\)"):
        label_files(tmp_path, "PREDICTIONS")


def test_a_folder_without_label_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="PREDICTIONS must hold 2-D label maps"):
        label_files(tmp_path, "PREDICTIONS")


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"GROUND_TRUTH must be a folder, got .*absent"):
        label_files(tmp_path / "absent", "GROUND_TRUTH")


@pytest.mark.parametrize("read", [read_truth, read_prediction])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32])
def test_labels_are_read_as_they_are(tmp_path: Path, read: object, kind: type) -> None:
    path = save(tmp_path / "a.tif", LABELS.astype(kind))
    assert np.array_equal(read(path), LABELS)  # type: ignore[operator]


def test_labels_of_a_palette_are_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(LABELS, "P")
    image.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10] * 3)
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_prediction(tmp_path / "a.png"), LABELS)


@pytest.mark.parametrize("read", [read_truth, read_prediction])
def test_masks_become_the_labels_0_and_1(tmp_path: Path, read: object) -> None:
    path = save(tmp_path / "a_segmentation.png", MASK)
    assert np.array_equal(read(path), MASK == 255)  # type: ignore[operator]


def test_true_masks_are_lesion_from_128_up(tmp_path: Path) -> None:
    path = save(tmp_path / "a_segmentation.png", np.array([[0, 127, 128, 255, 0]], np.uint8))
    assert read_truth(path).tolist() == [[0, 0, 1, 1, 0]]


def test_a_predicted_mask_may_be_wrong_but_not_grey(tmp_path: Path) -> None:
    inverted = np.pad(np.zeros((4, 4), np.uint8), 1, constant_values=255)
    assert read_prediction(save(tmp_path / "a_segmentation.png", inverted)).sum() == 20
    with pytest.raises(EvaluationError, match=r"must hold 0 and 255 only, .*, got 1: name label maps <id>"):
        read_prediction(save(tmp_path / "b_segmentation.png", MASK // 255))


def test_a_picture_of_labels_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(EvaluationError, match="must be a label map of one channel, got mode 'RGB'"):
        read_prediction(path)


def test_a_file_of_suspicious_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", LABELS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(EvaluationError, match=r"a\.png must be an image, got Image size \(6 pixels\) exceeds limit"):
        read_prediction(path)


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(EvaluationError, match=r"a\.png must be an image"):
        read_truth(tmp_path / "a.png")
