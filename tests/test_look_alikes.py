"""Copies of a photograph are found, different photographs are not; the numbers of the module docstring come from here.

`pytest -s -m samples tests/test_look_alikes.py` prints them.
"""

import io
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import imagehash
import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance
from samples import SAMPLES, needs_samples

from nnunet_sgdc.datasets.look_alikes import HASH_SIZE, TOLERANCE, fingerprint, look_alikes
from nnunet_sgdc.datasets.phantoms import SIZES, phantom

BITS = HASH_SIZE**2
NOTHING = "0" * (BITS // 4)


def with_bits(*positions: int) -> str:
    return f"{sum(1 << position for position in positions):0{BITS // 4}x}"


def distance(first: str, second: str) -> int:
    return int(imagehash.hex_to_hash(first) - imagehash.hex_to_hash(second))


def smallest_distance(fingerprints: Iterable[str]) -> int:
    return min(distance(*pair) for pair in combinations(fingerprints, 2))


def draw_phantom(seed: int) -> Image.Image:
    random = np.random.default_rng((0, seed))
    return Image.fromarray(phantom(random, SIZES[seed % len(SIZES)])[0])


def compressed(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def trimmed(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return image.crop(tuple(round(edge) for edge in box))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized to 256 x 256": lambda image: image.resize((256, 256), Image.Resampling.LANCZOS),
    "rescaled by 0.9": lambda image: image.resize((image.width * 9 // 10, image.height * 9 // 10)),
    "JPEG quality 60": lambda image: compressed(image, 60),
    "JPEG quality 95": lambda image: compressed(image, 95),
    "5 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "5 % darker": lambda image: ImageEnhance.Brightness(image).enhance(0.95),
    "turned by 1 degree": lambda image: image.rotate(1, Image.Resampling.BICUBIC),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "1 % trimmed at the left": lambda image: trimmed(image, 0.01, 0, 0, 0),
    "2 % trimmed at the left": lambda image: trimmed(image, 0.02, 0, 0, 0),
    "5 % trimmed at the left": lambda image: trimmed(image, 0.05, 0, 0, 0),
    "5 % trimmed at the top": lambda image: trimmed(image, 0, 0.05, 0, 0),
    "2.5 % trimmed at all sides": lambda image: trimmed(image, 0.025, 0.025, 0.025, 0.025),
}


# Fingerprints


def test_fingerprint_is_the_perceptual_hash_of_256_bits() -> None:
    image = draw_phantom(0)
    expected = imagehash.phash(image, hash_size=16)
    assert imagehash.hex_to_hash(fingerprint(image)) - expected <= 8


def test_fingerprint_is_the_same_in_every_thread() -> None:
    image = draw_phantom(1)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: fingerprint(image), range(64))) == {fingerprint(image)}


@pytest.mark.parametrize("change", list(CHANGES)[:8])
def test_changed_copy_of_a_phantom_is_found(change: str) -> None:
    image = draw_phantom(2)
    assert distance(fingerprint(image), fingerprint(CHANGES[change](image))) <= TOLERANCE


def test_no_two_of_40_phantoms_look_alike() -> None:
    fingerprints = {str(seed): fingerprint(draw_phantom(seed)) for seed in range(40)}
    nearest = smallest_distance(fingerprints.values())
    print(f"\n40 phantoms: at least {nearest} bits apart")
    assert set(look_alikes(fingerprints).values()) == set(fingerprints)
    assert nearest > 66


def test_grey_image_has_the_fingerprint_of_its_colour_copy() -> None:
    grey = draw_phantom(3).convert("L")
    assert distance(fingerprint(grey), fingerprint(grey.convert("RGB"))) <= 4


@given(st.tuples(*[st.integers(0, 255)] * 3), st.tuples(*[st.integers(0, 255)] * 3))
@settings(deadline=None, max_examples=100)
def test_flat_images_look_alike_only_if_of_one_colour(
    first: tuple[int, int, int], second: tuple[int, int, int]
) -> None:
    fingerprints = {
        "1": fingerprint(Image.new("RGB", (9, 7), first)),
        "2": fingerprint(Image.new("RGB", (8, 8), second)),
    }
    assert (look_alikes(fingerprints)["2"] == "1") == (first == second)


@pytest.mark.parametrize(("shading", "alike"), [(2, False), (3, True)])
def test_shading_of_two_grey_levels_makes_no_images_look_alike(shading: int, alike: bool) -> None:
    shade = np.random.default_rng(0).permutation(64 * 64).reshape(64, 64, 1) * shading // (64 * 64 - 1)
    colours = {"1": (200, 100, 50), "2": (60, 90, 120)}
    images = {name: Image.fromarray(np.uint8(shade + colour)) for name, colour in colours.items()}
    groups = look_alikes({name: fingerprint(image) for name, image in images.items()})
    assert (groups["2"] == "1") == alike


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2)])
def test_tiny_image_has_a_fingerprint(size: tuple[int, int]) -> None:
    assert len(fingerprint(Image.radial_gradient("L").resize(size))) == BITS // 4


# Groups


def test_nothing_gives_no_groups() -> None:
    assert look_alikes({}) == {}


def test_group_is_named_by_its_smallest_identifier() -> None:
    assert look_alikes({"c": NOTHING, "b": with_bits(0), "a": "f" * 64}) == {"a": "a", "b": "b", "c": "b"}


def test_tolerance_is_the_last_distance_that_counts() -> None:
    fingerprints = {"a": NOTHING, "b": with_bits(5, 77, 255)}
    assert look_alikes(fingerprints, 3) == {"a": "a", "b": "a"}
    assert look_alikes(fingerprints, 2) == {"a": "a", "b": "b"}


def test_images_are_linked_by_way_of_others() -> None:
    fingerprints = {"a": NOTHING, "b": with_bits(1, 2), "c": with_bits(1), "d": with_bits(1, 2, 3, 4)}
    assert look_alikes(fingerprints, 1) == {"a": "a", "b": "a", "c": "a", "d": "d"}


@given(
    st.dictionaries(st.text("abc", min_size=1), st.sets(st.integers(0, 5)).map(lambda bits: with_bits(*bits))),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=200)
def test_groups_are_the_components_that_networkx_finds(fingerprints: Mapping[str, str], tolerance: int) -> None:
    graph = networkx.Graph()
    graph.add_nodes_from(fingerprints)
    pairs = combinations(fingerprints, 2)
    graph.add_edges_from(pair for pair in pairs if distance(*map(fingerprints.__getitem__, pair)) <= tolerance)
    expected = {name: min(group) for group in networkx.connected_components(graph) for name in group}
    assert look_alikes(fingerprints, tolerance) == expected


def test_copies_far_apart_in_a_long_list_are_found() -> None:
    random = np.random.default_rng(0)
    fingerprints = {f"{index:04d}": random.bytes(32).hex() for index in range(3000)}
    changed = bytes([bytes.fromhex(fingerprints["0010"])[0] ^ 1]) + bytes.fromhex(fingerprints["0010"])[1:]
    groups = look_alikes(fingerprints | {"2900": changed.hex()})
    assert {name: group for name, group in groups.items() if name != group} == {"2900": "0010"}


@pytest.mark.parametrize("length", [1, 32], ids=["mostly copies", "all different"])
def test_five_thousand_images_take_seconds(length: int) -> None:
    random = np.random.default_rng(0)
    fingerprints = {str(index): random.bytes(length).hex().zfill(64) for index in range(5000)}
    start = time.perf_counter()
    groups = look_alikes(fingerprints, tolerance=0)
    assert time.perf_counter() - start < 10
    assert len(set(groups.values())) == len(set(fingerprints.values()))


# The sample releases


def sample_images() -> list[Path]:
    """Photographs of all editions; the same name stands for the same photograph."""
    return [*sorted(SAMPLES.glob("isic*/*/*.jpg")), *sorted(SAMPLES.glob("ph2/**/*Dermoscopic*/*.bmp"))]


def changed_fingerprints(path: Path) -> dict[str, str]:
    image = Image.open(path).convert("RGB")
    changed = {change: fingerprint(make(image)) for change, make in CHANGES.items()}
    return {"": fingerprint(image), "behind a plate": fingerprint(behind_plate(image))} | changed


def behind_plate(image: Image.Image) -> Image.Image:
    """The image as if taken with the black surround of a round contact plate."""
    image = image.resize((256, 192))
    plate = Image.new("L", image.size)
    ImageDraw.Draw(plate).circle((128, 96), 141, fill=255)
    return Image.composite(image, Image.new("RGB", image.size), plate)


@pytest.fixture(scope="module")
def fingerprints() -> dict[str, dict[str, str]]:
    """For each distinct sample the fingerprints of the image as it is and of its changed copies."""
    paths = {path.stem: path for path in sample_images()}
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(changed_fingerprints, paths.values()), strict=True))


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize(
    ("change", "least"),
    list(zip(CHANGES, [1, 1, 1, 1, 1, 1, 1, 0.95, 1, 1, 0.25, 0.25, 0.8], strict=True)),
)
def test_changed_copies_of_samples_are_found(
    fingerprints: dict[str, dict[str, str]], change: str, least: float
) -> None:
    found = sum(distance(copies[""], copies[change]) <= TOLERANCE for copies in fingerprints.values())
    print(f"\n{change}: {found} of {len(fingerprints)} found")
    assert found >= least * len(fingerprints)


@pytest.mark.samples
@needs_samples
@pytest.mark.parametrize(("view", "least"), [("", 72), ("behind a plate", 64)])
def test_different_samples_do_not_look_alike(fingerprints: dict[str, dict[str, str]], view: str, least: int) -> None:
    nearest = smallest_distance(copies[view] for copies in fingerprints.values())
    print(f"\n{len(fingerprints)} samples {view}: at least {nearest} bits apart")
    assert nearest >= least


@pytest.mark.samples
@needs_samples
def test_samples_in_several_editions_look_alike() -> None:
    fingerprints = {str(path): fingerprint(Image.open(path).convert("RGB")) for path in sample_images()}
    for path, first in look_alikes(fingerprints).items():
        assert Path(path).stem == Path(first).stem
    assert len(set(look_alikes(fingerprints).values())) == len({Path(path).stem for path in fingerprints})
