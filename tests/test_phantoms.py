"""Phantoms are lesions worth segmenting, the same for the same seed, and the converter takes them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from PIL import Image
from releases import content_of, dice
from skimage.filters import threshold_otsu
from skimage.measure import label

from nnunet_sgdc.datasets.convert_isic import convert_isic
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.phantoms import phantom, write_phantoms
from nnunet_sgdc.datasets.resizing import Resizing

SMALL = (160, 120)
SEEDS = range(12)


@pytest.fixture(scope="module")
def phantoms() -> list[tuple[np.ndarray, np.ndarray]]:
    return [phantom(default_rng(seed), (320, 240)) for seed in SEEDS]


def test_image_and_lesion_have_the_size_asked_for() -> None:
    image, lesion = phantom(default_rng(0), SMALL)
    assert image.shape == (120, 160, 3)
    assert lesion.shape == (120, 160)
    assert image.dtype == np.uint8


def test_every_phantom_has_one_lesion_without_holes(phantoms) -> None:
    assert [label(lesion).max() for _, lesion in phantoms] == [1] * len(SEEDS)
    assert [label(np.pad(~lesion, 1, constant_values=True)).max() for _, lesion in phantoms] == [1] * len(SEEDS)


def test_lesions_are_neither_specks_nor_everything(phantoms) -> None:
    assert all(0.02 < lesion.mean() < 0.6 for _, lesion in phantoms)


def test_lesions_differ_in_size(phantoms) -> None:
    areas = [lesion.mean() for _, lesion in phantoms]
    assert max(areas) > 2 * min(areas)


def test_lesions_are_darker_than_the_skin_next_to_them(phantoms) -> None:
    for image, lesion in phantoms:
        assert np.median(image[lesion]) < np.median(image[~lesion & (image.max(axis=2) > 60)])


def test_a_plain_threshold_solves_some_phantoms_but_not_all(phantoms) -> None:
    greys = [(image.mean(axis=2), lesion) for image, lesion in phantoms]
    scores = [dice(grey < threshold_otsu(grey), lesion) for grey, lesion in greys]
    assert max(scores) > 0.9
    assert min(scores) < 0.75


def test_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_phantoms(tmp_path / name, training=2, test=1, seed=3)
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")


def test_another_seed_writes_other_lesions(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_phantoms(tmp_path / str(seed), training=1, test=0, seed=seed)
    assert content_of(tmp_path / "0") != content_of(tmp_path / "1")


def test_cases_of_one_release_differ(tmp_path: Path) -> None:
    write_phantoms(tmp_path, training=2, test=2)
    assert len({path.read_bytes() for path in tmp_path.rglob("*.jpg")}) == 4


def test_more_training_cases_leave_the_others_as_they_were(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "few", training=1, test=1)
    write_phantoms(tmp_path / "more", training=2, test=1)
    assert content_of(tmp_path / "few").items() < content_of(tmp_path / "more").items()


def test_masks_hold_0_and_255_only(tmp_path: Path) -> None:
    write_phantoms(tmp_path, training=1, test=0)
    (mask,) = tmp_path.rglob("*_Segmentation.png")
    assert np.unique(np.asarray(Image.open(mask))).tolist() == [0, 255]


def test_converter_takes_phantoms_for_isic_2016(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "release", training=2, test=1)
    (tmp_path / "raw").mkdir()
    report = convert_isic(tmp_path / "release", 16, Options(raw=tmp_path / "raw", size=Resizing.square(64)))
    assert report.record.release == "ISIC2016"
    assert [case.id for case in report.record.cases] == ["ISIC_9000000", "ISIC_9000001", "ISIC_9500000"]
    assert report.remarks == {}


def test_existing_release_is_not_written_over(tmp_path: Path) -> None:
    write_phantoms(tmp_path, training=1, test=0)
    with pytest.raises(FileExistsError):
        write_phantoms(tmp_path, training=1, test=0)


@pytest.mark.parametrize(("training", "test"), [(0, 1), (1, -1)])
def test_counts_too_small_are_refused(tmp_path: Path, training: int, test: int) -> None:
    with pytest.raises(ValueError, match="training must be at least 1 and test at least 0"):
        write_phantoms(tmp_path, training=training, test=test)
