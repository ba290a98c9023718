"""The four files of CoNIC are found, checked and read; releases of a few tiny patches are made up for that."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conic_release import COUNT_HEADER, NAMES, SIZE, patch, write_release
from numpy.typing import NDArray

from nnunet_sgdc.datasets.collection import Collection, Sample
from nnunet_sgdc.datasets.conic import read_conic
from nnunet_sgdc.datasets.conic_files import find_files, open_images, open_labels
from nnunet_sgdc.datasets.conic_patches import Reading, central_counts
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.source_tree import opened_source


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


def read(source: Path, **options: bool) -> Collection:
    scratch = source.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    with opened_source(source) as tree:
        return read_conic(find_files(tree, scratch), Reading(**options))


def loaded(source: Path, index: int = 0, **options: bool) -> Sample:
    """The patch at a place in the arrays."""
    return {case.identifier: case for case in read(source, **options).cases}[NAMES[index]].load()


def edit(path: Path, change: Callable[[NDArray[np.uint16]], object]) -> None:
    array = np.load(path)
    change(array)
    np.save(path, array)


def edit_label(release: Path, *changes: tuple[object, object]) -> None:
    """Put values at places of the second patch, each a (row, column) and a (number, class)."""

    def change(labels: NDArray[np.uint16]) -> None:
        for place, value in changes:
            labels[1][place] = value

    edit(release / "labels.npy", change)


# What is read


def test_patches_are_ordered_by_name(release: Path) -> None:
    assert [case.identifier for case in read(release).cases] == sorted(NAMES)


def test_patches_know_their_image_and_institute(release: Path) -> None:
    known = {(case.source, case.attributes["source"], case.attributes["institute"]) for case in read(release).cases}
    assert known == {("consep_1", "consep_1", "consep"), ("glas_2", "glas_2", "glas")}


def test_folds_are_shared_evenly_by_the_institutes(release: Path) -> None:
    assert read(release).stratify_by == "institute"


def test_published_counts_become_attributes(release: Path) -> None:
    attributes = read(release).cases[0].attributes
    assert [attributes[name] for name in COUNT_HEADER.split(",")] == ["0", "2", "0", "0", "0", "1"]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_image_label_and_instances_belong_together(release: Path, index: int) -> None:
    edit(release / "labels.npy", lambda labels: labels.__setitem__((1, 9, 13), (9, 6)))
    (release / "counts.csv").write_text(f"{COUNT_HEADER}\n0,2,0,0,0,1\n0,2,0,0,0,2\n0,2,0,0,0,1\n")
    sample = loaded(release, index)
    np.testing.assert_array_equal(np.asarray(sample.image), np.load(release / "images.npy")[index])
    assert sample.instances is not None
    together = np.stack([sample.instances, np.asarray(sample.label)], axis=-1)
    np.testing.assert_array_equal(together, np.load(release / "labels.npy")[index])


def test_binary_takes_all_nuclei_as_one_class(release: Path) -> None:
    sample = loaded(release, binary=True)
    assert np.bincount(np.ravel(sample.label)).tolist() == [10 * 14 - 27, 27]
    assert read(release, binary=True).labels == {"background": 0, "nucleus": 1}


def test_touching_nuclei_are_separated_if_asked(release: Path) -> None:
    plain, separate = (np.asarray(loaded(release, separate_touching=asked).label) for asked in (False, True))
    # The last row of the larger nucleus.
    assert np.argwhere(plain != separate).tolist() == [[3, 1], [3, 2], [3, 3], [3, 4]]


@pytest.mark.parametrize(("binary", "spent"), [(False, 4), (True, 6)])
def test_nuclei_of_two_classes_are_separated_if_all_are_one_class(release: Path, binary: bool, spent: int) -> None:
    edit_label(release, ((slice(1, 3), 5), (8, 6)))
    (release / "counts.csv").write_text(f"{COUNT_HEADER}\n" + "0,2,0,0,0,2\n" * 3)
    label = loaded(release, 1, separate_touching=True, binary=binary).label
    assert np.count_nonzero(label) == 27 + 2 - spent


def test_instances_keep_their_pixels_when_separated(release: Path) -> None:
    instances = loaded(release, separate_touching=True).instances
    np.testing.assert_array_equal(np.asarray(instances), patch()[..., 0])


def test_nucleus_in_two_pieces_is_remarked_if_separation_was_asked(release: Path) -> None:
    edit_label(release, ((9, 13), (500, 6)))
    assert loaded(release, 1).remarks == ()
    (remark,) = loaded(release, 1, separate_touching=True).remarks
    assert "not one connected component" in remark
    assert loaded(release, 0, separate_touching=True).remarks == ()


@pytest.mark.parametrize("kind", [np.uint8, np.int32, ">u2", np.uint64])
def test_labels_of_every_integer_type_are_read(release: Path, kind: str) -> None:
    labels = np.load(release / "labels.npy")
    labels[labels == 500] = 200
    np.save(release / "labels.npy", labels.astype(kind))
    sample = loaded(release)
    assert sample.instances is not None
    assert sample.instances.dtype == np.uint16
    np.testing.assert_array_equal(sample.instances, labels[0, ..., 0])


def test_patches_have_the_hashes_of_their_bytes(release: Path) -> None:
    expected = {
        f"{name}.npy[2]": hashlib.sha256(np.load(release / f"{name}.npy")[2].tobytes()).hexdigest()
        for name in ("images", "labels")
    }
    assert loaded(release, 2).sources == expected


def test_files_have_their_hashes(release: Path, tmp_path: Path) -> None:
    with opened_source(release) as tree:
        files = find_files(tree, tmp_path)
    assert files["images.npy"].sha256() == hashlib.sha256((release / "images.npy").read_bytes()).hexdigest()


def test_arrays_are_mapped_and_not_loaded(release: Path, tmp_path: Path) -> None:
    with opened_source(release) as tree:
        files = find_files(tree, tmp_path)
    assert isinstance(open_images(files["images.npy"]), np.memmap)
    assert isinstance(open_labels(files["labels.npy"]), np.memmap)


def test_nuclei_are_counted_in_the_central_224_pixels() -> None:
    instances, classes = np.zeros((2, 256, 256), np.uint16)
    for number, (row, column) in enumerate([(16, 16), (239, 239), (15, 100), (100, 240), (100, 15), (240, 100)], 1):
        instances[row, column], classes[row, column] = number, 3
    assert central_counts(instances, classes)["lymphocyte"] == 2


def test_nucleus_that_reaches_into_the_centre_is_counted_once() -> None:
    instances = np.zeros((256, 256), np.uint16)
    instances[10:20, 5:60] = 4
    counts = central_counts(instances, (instances > 0).astype(np.uint8))
    assert counts == {**dict.fromkeys(COUNT_HEADER.split(","), 0), "neutrophil": 1}


# Where the files are


def test_files_may_lie_deeper(tmp_path: Path) -> None:
    write_release(tmp_path / "download" / "CoNIC" / "data")
    assert len(read(tmp_path / "download").cases) == 3


def test_files_may_lie_in_folders_of_their_own(release: Path) -> None:
    for name in ("images", "labels"):
        (release / name).mkdir()
        (release / f"{name}.npy").rename(release / name / f"{name}.npy")
    assert set(loaded(release).sources) == {"images/images.npy[0]", "labels/labels.npy[0]"}


def test_archive_is_read_like_a_folder(release: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "conic.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in release.iterdir():
            archive.write(file, file.name)
    assert read(tmp_path / "conic.zip").cases[0].load().sources == read(release).cases[0].load().sources


def test_complete_folder_goes_before_lone_files(release: Path) -> None:
    (release / "official").mkdir()
    (release / "official" / "counts.csv").write_text("other")
    assert len(read(release).cases) == 3


def test_several_releases_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_release(tmp_path / "all" / name)
    with pytest.raises(ConversionError, match=r"CoNIC release once, but each of .*/one, .*/two holds it: give one"):
        read(tmp_path / "all")


def test_file_that_is_there_twice_is_refused(release: Path) -> None:
    (release / "more").mkdir()
    for place in (release, release / "more"):
        (place / "images.npy").touch()
    (release / "labels.npy").rename(release / "more" / "labels.npy")
    with pytest.raises(
        ConversionError, match=r"images\.npy was found more than once .*: .*release/images\.npy, .*more"
    ):
        read(release)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "counts.csv", "patch_info.csv"])
def test_missing_file_is_named(release: Path, name: str) -> None:
    (release / name).unlink()
    with pytest.raises(
        ConversionError, match=rf"{name} was not found below .*: expected images\.npy, .* got .*download"
    ):
        read(release)


# Arrays that are refused


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
@pytest.mark.parametrize(
    "content", [b"", b"no array at all", b"\x93NUMPY\x01\x00\x10\x00{'descr': (     \n", b"PK\3\4"]
)
def test_file_that_is_no_array_is_named(release: Path, name: str, content: bytes) -> None:
    (release / name).write_bytes(content)
    with pytest.raises(ConversionError, match=rf"{name} must be an array of numbers .* but is none \(.+\): download"):
        read(release)


def test_truncated_array_is_refused(release: Path) -> None:
    (release / "labels.npy").write_bytes((release / "labels.npy").read_bytes()[:-1])
    with pytest.raises(ConversionError, match=r"labels\.npy must be an array of numbers"):
        read(release)


def test_pickled_objects_are_refused(release: Path) -> None:
    np.save(release / "images.npy", np.array([{}, []], object), allow_pickle=True)
    with pytest.raises(ConversionError, match=r"images\.npy must be an array of numbers .*Python objects"):
        read(release)


@pytest.mark.parametrize("kind", [np.float32, np.uint16, np.int8])
def test_images_of_another_type_are_refused(release: Path, kind: type) -> None:
    np.save(release / "images.npy", np.zeros((3, *SIZE, 3), kind))
    with pytest.raises(ConversionError, match=rf"images\.npy must be of type uint8, got {np.dtype(kind)}"):
        read(release)


@pytest.mark.parametrize("kind", [np.float32, np.bool_])
def test_labels_of_another_type_are_refused(release: Path, kind: type) -> None:
    np.save(release / "labels.npy", np.zeros((3, *SIZE, 2), kind))
    with pytest.raises(ConversionError, match=rf"labels\.npy must be of an integer type, got {np.dtype(kind)}"):
        read(release)


@pytest.mark.parametrize("shape", [(3, *SIZE), (3, *SIZE, 4), (3, 3, *SIZE), (0, *SIZE, 3), ()])
def test_images_of_another_shape_are_refused(release: Path, shape: tuple[int, ...]) -> None:
    np.save(release / "images.npy", np.zeros(shape, np.uint8))
    with pytest.raises(ConversionError, match=r"images\.npy must be of shape \(patches, height, width, 3\), got \("):
        read(release)


def test_labels_of_another_shape_are_refused(release: Path) -> None:
    np.save(release / "labels.npy", np.zeros((3, *SIZE), np.uint16))
    with pytest.raises(
        ConversionError, match=r"labels\.npy must be of shape \(patches, height, width, 2\), got \(3, 10"
    ):
        read(release)


def test_labels_of_another_size_than_the_images_are_refused(release: Path) -> None:
    np.save(release / "labels.npy", np.zeros((3, *SIZE[::-1], 2), np.uint16))
    with pytest.raises(ConversionError, match=r"size of the images, \(10, 14\), got \(14, 10\)"):
        read(release)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("images.npy", "2, 3, 3, 3"), ("labels.npy", "3, 2, 3, 3"), ("counts.csv", "3, 3, 2, 3")],
)
def test_files_of_different_lengths_are_refused(release: Path, tmp_path: Path, name: str, numbers: str) -> None:
    shorter = write_release(tmp_path / "shorter", NAMES[:2])
    (release / name).write_bytes((shorter / name).read_bytes())
    with pytest.raises(ConversionError, match=f"must hold the same patches, got {numbers} of them"):
        read(release)


# Tables that are refused


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("counts.csv", "a,b\n1,2\n", r"counts\.csv must begin with 'neutrophil,.*connective', got 'a,b'"),
        ("counts.csv", "", r"counts\.csv must begin with .* got ''"),
        ("counts.csv", f"{COUNT_HEADER}\n1,2,3\n", r"counts\.csv must have 6 cells in line 2, got '1,2,3'"),
        ("counts.csv", f"{COUNT_HEADER}\n1,2,,4,5,6\n", r"counts\.csv must have 6 cells in line 2, got '1,2,,4,5,6'"),
        ("counts.csv", f"{COUNT_HEADER}\n1,2,3,x,5,6\n", r"must hold whole numbers, got '1,2,3,x,5,6' in line 2"),
        ("counts.csv", f"{COUNT_HEADER}\n1,2,3,-4,5,6\n", r"must hold whole numbers, got '1,2,3,-4,5,6' in line 2"),
        ("patch_info.csv", "name\nconsep_1-0000\n", r"patch_info\.csv must begin with 'patch_info', got 'name'"),
        ("patch_info.csv", "patch_info\na_1-0000\n\nb_1-0000\n", r"patch_info\.csv must have 1 cell in line 3, got ''"),
        ("patch_info.csv", "patch_info\nconsep_1\n", r"patches as in consep_1-0000, but has others \(1: consep_1\)"),
        ("patch_info.csv", "patch_info\n../x_1-0000\n", r"patches as in consep_1-0000, but has others"),
        (
            "patch_info.csv",
            "patch_info\na_1-0000\na_1-0000\n",
            r"every patch once, but has twins \(2: a_1-0000, a_1-0000",
        ),
        (
            "patch_info.csv",
            "patch_info\na_1-0000\nA_1-0000\n",
            r"every patch once, but has twins \(2: a_1-0000, A_1-0000",
        ),
    ],
)
def test_table_that_is_not_as_published_is_refused(release: Path, name: str, content: str, message: str) -> None:
    (release / name).write_text(content)
    with pytest.raises(ConversionError, match=message):
        read(release)


def test_table_that_is_no_text_is_refused(release: Path) -> None:
    (release / "counts.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConversionError, match=r"counts\.csv must be a table in UTF-8"):
        read(release)


def test_tables_that_went_through_a_spreadsheet_are_read(release: Path) -> None:
    for name in ("counts.csv", "patch_info.csv"):
        text = (release / name).read_text().replace("\n", "\r\n") + "\r\n"
        (release / name).write_text(text, encoding="utf-8-sig", newline="")
    assert len(read(release).cases) == 3


# Patches that are refused

PATCH = r"labels\.npy\[1\] \(consep_1-0000\) must "


@pytest.mark.parametrize(
    ("pixel", "message"),
    [
        ((9, 7), "have classes from 0 to 6, got 0 to 7"),
        ((9, 0), r"give every nucleus one class, but has nuclei without a class \(1: 9\)"),
        ((0, 4), r"but has pixels of a class without a nucleus, of class \(1: 4\)"),
        ((7, 3), r"but has nuclei of several classes \(1: 7\)"),
    ],
    ids=["unknown class", "no class", "no nucleus", "two classes"],
)
def test_numbers_and_classes_that_contradict_each_other_are_refused(
    release: Path, pixel: tuple[int, int], message: str
) -> None:
    edit_label(release, ((9, 13), pixel))
    with pytest.raises(ConversionError, match=PATCH + ".*" + message):
        loaded(release, 1)


@pytest.mark.parametrize(("number", "found"), [(-1, "got -1 to 500"), (70000, "got 0 to 70000")])
def test_numbers_that_do_not_fit_16_bits_are_refused(release: Path, number: int, found: str) -> None:
    np.save(release / "labels.npy", np.load(release / "labels.npy").astype(np.int32))
    edit_label(release, ((9, 13), (number, 1)))
    with pytest.raises(ConversionError, match=f"{PATCH}have nuclei numbered from 0 to 65535, {found}"):
        loaded(release, 1)


def test_other_patches_of_a_release_with_a_faulty_one_are_read(release: Path) -> None:
    edit_label(release, ((9, 13), (9, 7)))
    assert loaded(release, 0).instances is not None


def test_counts_that_differ_are_refused_with_the_remedy(release: Path) -> None:
    (release / "counts.csv").write_text(f"{COUNT_HEADER}\n0,2,0,0,0,1\n0,3,0,0,0,0\n0,2,0,0,0,1\n")
    differing = "got 2 epithelial where counts.csv says 3 and 1 connective where counts.csv says 0"
    with pytest.raises(ConversionError, match=rf"{PATCH}hold as many nuclei .*{differing}: .* give --ignore-counts"):
        loaded(release, 1)


def test_counts_that_differ_are_remarked_if_ignored(release: Path) -> None:
    (release / "counts.csv").write_text(f"{COUNT_HEADER}\n0,2,0,0,0,1\n0,3,0,0,0,0\n0,2,0,0,0,1\n")
    (remark,) = loaded(release, 1, check_counts=False).remarks
    assert "not as many as counts.csv says" in remark
    assert loaded(release, 0, check_counts=False).remarks == ()
