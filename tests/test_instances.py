"""Lines between touching objects, checked by hand, by scikit-image and on random maps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage import measure

from nnunet_sgdc.datasets.instances import object_classes, recovered, separate_touching

Map = NDArray[np.uint16]


def drawn(*rows: str) -> Map:
    """A map of one digit per pixel; a dot is 0."""
    return np.array([[int(pixel) for pixel in row.replace(".", "0")] for row in rows], np.uint16)


def one_class(instances: Map) -> NDArray[np.uint8]:
    return (instances > 0).astype(np.uint8)


def separated(instances: Map, classes: NDArray[np.uint8] | None = None) -> list[str]:
    """The objects that are left, drawn as they were given."""
    label = separate_touching(instances, one_class(instances) if classes is None else classes)
    kept = np.where(label > 0, instances, 0)
    return ["".join(map(str, row)).replace("0", ".") for row in kept]


@st.composite
def random_cells(draw: st.DrawFn) -> tuple[Map, NDArray[np.uint8]]:
    """Objects that fill much of the plane and touch, each of one class, as nuclei do: the nearest of random seeds."""
    side = draw(st.integers(3, 24))
    seeds = draw(st.lists(st.tuples(*[st.integers(0, side - 1)] * 2), min_size=1, max_size=12, unique=True))
    rows, columns = np.indices((side, side))
    distances = np.stack([np.hypot(rows - row, columns - column) for row, column in seeds])
    cells = np.where(distances.min(axis=0) <= draw(st.integers(0, side)), distances.argmin(axis=0) + 1, 0)
    of_object = draw(arrays(np.uint8, len(seeds) + 1, elements=st.integers(1, 3)))
    return cells.astype(np.uint16), np.where(cells > 0, of_object[cells], 0).astype(np.uint8)


@st.composite
def random_pixels(draw: st.DrawFn) -> tuple[Map, NDArray[np.uint8]]:
    """Objects in many pieces, which no annotator draws."""
    cells = draw(arrays(np.uint16, (7, 9), elements=st.integers(0, 5)))
    of_object = np.concatenate([[0], draw(arrays(np.uint8, 5, elements=st.integers(1, 2)))]).astype(np.uint8)
    return cells, of_object[cells]


maps = st.one_of(random_cells(), random_pixels())


def touching_pairs(instances: Map, label: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Neighbours, also diagonal ones, of one class and of two objects; every pair of pixels is looked at."""
    pixels = {(int(row), int(column)) for row, column in np.argwhere(label > 0)}
    return [
        one
        for one in pixels
        for other in ((one[0] + down, one[1] + right) for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)))
        if other in pixels and label[one] == label[other] and instances[one] != instances[other]
    ]


@settings(deadline=None, max_examples=60)
@given(maps)
def test_no_two_objects_of_a_class_touch_afterwards(random: tuple[Map, NDArray[np.uint8]]) -> None:
    instances, classes = random
    assert touching_pairs(instances, separate_touching(instances, classes)) == []


@settings(deadline=None, max_examples=60)
@given(maps)
def test_pixels_change_to_background_and_only_on_contacts(random: tuple[Map, NDArray[np.uint8]]) -> None:
    instances, classes = random
    changed = separate_touching(instances, classes) != classes
    assert not separate_touching(instances, classes)[changed].any()
    for row, column in np.argwhere(changed):
        around = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
        same_class = classes[around] == classes[row, column]
        assert (same_class & (instances[around] != instances[row, column])).any()


@settings(deadline=None, max_examples=60)
@given(maps)
def test_separating_twice_changes_nothing_more(random: tuple[Map, NDArray[np.uint8]]) -> None:
    once = separate_touching(*random)
    np.testing.assert_array_equal(separate_touching(np.where(once > 0, random[0], 0), once), once)


@settings(deadline=None, max_examples=60)
@given(maps)
def test_no_class_is_lost(random: tuple[Map, NDArray[np.uint8]]) -> None:
    assert set(np.unique(separate_touching(*random))) | {0} == set(np.unique(random[1])) | {0}


@settings(deadline=None, max_examples=60)
@given(maps)
def test_recovered_objects_are_those_of_one_component_each(random: tuple[Map, NDArray[np.uint8]]) -> None:
    instances, classes = random
    components = measure.label(classes, connectivity=2)
    found = {frozenset(map(tuple, np.argwhere(components == index))) for index in range(1, components.max() + 1)}
    objects = [
        frozenset(map(tuple, np.argwhere(instances == number))) for number in np.unique(instances[instances > 0])
    ]
    assert recovered(classes, instances) == (sum(pixels in found for pixels in objects), len(objects))


def test_larger_object_gives_way() -> None:
    assert separated(drawn("1112", "1112")) == ["11.2", "11.2"]


def test_of_equal_objects_that_of_the_larger_number_gives_way() -> None:
    assert separated(drawn("2211", "2211")) == ["2.11", "2.11"]


def test_diagonal_contact_is_a_contact() -> None:
    assert separated(drawn("11..", "11..", "..2.")) == ["11..", "1...", "..2."]


def test_objects_apart_stay_as_they_are() -> None:
    apart = drawn("11.2", "11.2")
    assert separated(apart) == ["11.2", "11.2"]


def test_objects_of_two_classes_stay_as_they_are() -> None:
    instances = drawn("1112", "1112")
    assert separated(instances, np.where(instances == 2, 2, 1).astype(np.uint8)) == ["1112", "1112"]


def test_object_at_the_edge_of_the_image_does_not_touch_the_opposite_one() -> None:
    assert separated(drawn("1...2", "1...2")) == ["1...2", "1...2"]


def test_each_of_several_objects_gives_way_to_the_smaller_ones_only() -> None:
    instances = drawn("33333", "33333", "3.1.2", "..1.2")
    assert separated(instances) == ["33333", "3....", "3.1.2", "..1.2"]


def test_object_that_would_vanish_is_kept_and_its_neighbour_gives_way() -> None:
    # All 5 pixels of object 1 touch the smaller object 2.
    assert separated(drawn("111", "122", "122")) == ["111", "1..", "1.2"]


def test_first_result_is_taken_where_the_second_loses_as_many() -> None:
    assert separated(drawn("123")) == ["1.."]


def test_nothing_at_all_is_separated_into_nothing() -> None:
    assert separated(drawn("...", "...")) == ["...", "..."]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("11.2", "11.2"), (2, 2)),
        (("1122", "1122"), (0, 2)),
        (("11..", "..2."), (0, 2)),
        (("1.1.2", "1.1.2"), (1, 2)),
        (("...", "..."), (0, 0)),
    ],
    ids=["apart", "side by side", "corner to corner", "in two pieces", "none"],
)
def test_recovered_objects_are_counted(rows: tuple[str, ...], expected: tuple[int, int]) -> None:
    assert recovered(one_class(drawn(*rows)), drawn(*rows)) == expected


def test_lost_object_is_not_recovered() -> None:
    instances = drawn("1.2")
    assert recovered(np.array([[1, 0, 0]], np.uint8), instances) == (1, 2)


def test_objects_and_their_classes_are_listed() -> None:
    numbers, classes = object_classes(drawn("5.3", "5.3"), drawn("1.6", "2.6"))
    assert list(zip(numbers, classes, strict=True)) == [(0, 0), (3, 6), (5, 1), (5, 2)]
