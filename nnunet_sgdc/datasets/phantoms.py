"""Dermoscopy phantoms: made-up skin lesions with exact masks, for trials and tests without patients' images.

A phantom is built as the light takes it: skin, pigment in it (absorption, as in the law of Beer and Lambert), hair and
gel on it, then lamp, lens and sensor. The mask is the crisp outline; in the image it is blurred, ragged and sometimes
faint. Nothing is learnt or copied from photographs.

Fields over the image are float32 arrays of shape (height, width), colours float32 of shape (height, width, 3) from 0
(black) to 1 (white).
"""

from pathlib import Path

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from nnunet_sgdc.datasets.isic import EDITIONS, PublishedSplit

Field = NDArray[np.float32]
Shape = tuple[int, int]

SIZES = ((640, 480), (768, 576), (600, 600), (1022, 767))
FIRST_IDENTIFIERS = {"training": 9_000_000, "test": 9_500_000}
JPEG_QUALITY = 92

SKIN_TONES = np.array(
    [
        (0.95, 0.77, 0.73),
        (0.94, 0.72, 0.60),
        (0.90, 0.87, 0.89),
        (0.86, 0.73, 0.84),
        (0.82, 0.62, 0.48),
        (0.64, 0.46, 0.36),
    ],
    dtype=np.float32,
)
# Absorption of red, green and blue light by one unit of each.
BLOOD = np.array((0.10, 0.60, 0.50), dtype=np.float32)
BROWN = np.array((0.38, 0.80, 1.10), dtype=np.float32)
BLACK = np.array((0.95, 1.15, 1.25), dtype=np.float32)
BLUE_GREY = np.array((1.00, 0.75, 0.45), dtype=np.float32)
HAIR_COLOURS = np.array([(0.10, 0.06, 0.06), (0.22, 0.12, 0.08), (0.38, 0.24, 0.14)], dtype=np.float32)


def write_phantoms(folder: Path, *, training: int = 32, test: int = 8, seed: int = 0) -> None:
    """Write phantoms in the folders and formats of the 2016 release, ready for the converter.

    Args:
        folder: Where to create the published folders; is created if need be.
        training: Number of training cases, at least 1.
        test: Number of test cases; 0 leaves the test folders out.
        seed: The same seed gives the same case for the same split and position, however many are written.

    Raises:
        ValueError: A count is too small.
        FileExistsError: `folder` holds a release already.
    """
    if training < 1 or test < 0:
        raise ValueError(f"training must be at least 1 and test at least 0, got {training=} and {test=}")
    for published in EDITIONS[2016].splits:
        count = training if published.name == "training" else test
        if count:
            _write_split(folder, published, count, seed)


def phantom(random: Generator, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw one phantom.

    Args:
        random: Source of all that varies.
        size: (width, height) in pixels.

    Returns:
        The image of shape (height, width, 3) and the lesion of shape (height, width).
    """
    shape = (size[1], size[0])
    level = lesion_level(random, shape)
    image = skin(random, shape) * np.exp(-pigment(random, level))
    for appearance in (hair, gel_bubbles, ruler, light, vignette, sensor):
        image = appearance(random, image)
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8), level < 1


def lesion_level(random: Generator, shape: Shape) -> Field:
    """Distance from the centre of the lesion in units of its outline: below 1 inside, growing from 0 outwards.

    The outline is an ellipse with a random Fourier series on it. The coordinates are bent gently, which adds lobes and
    cannot tear the lesion apart.
    """
    height, width = shape
    radius = np.sqrt(random.uniform(0.05, 0.38) * height * width / np.pi)
    slack = max(0.03, 0.42 - 1.25 * radius / min(shape)) * min(shape)
    centre = np.array(shape) / 2 + random.uniform(-slack, slack, 2)
    bend = random.uniform(0.02, 0.13) * radius
    rows, columns = np.indices(shape, dtype=np.float32)
    rows += bend * _smooth_noise(random, shape, radius) - centre[0]
    columns += bend * _smooth_noise(random, shape, radius) - centre[1]
    outline = radius * _outline(random)
    angle = np.arctan2(rows, columns) % (2 * np.pi)
    reach = np.interp(angle, np.linspace(0, 2 * np.pi, outline.size), outline)
    return np.asarray(np.hypot(rows, columns) / reach, dtype=np.float32)


def _outline(random: Generator, harmonics: int = 20) -> Field:
    """Relative radius over one turn, first and last value equal."""
    angles = np.linspace(0, 2 * np.pi, 721)
    stretch = random.uniform(1, 1.45)
    turned = angles + random.uniform(0, np.pi)
    ellipse = 1 / np.hypot(np.cos(turned) / np.sqrt(stretch), np.sin(turned) * np.sqrt(stretch))
    order = np.arange(2, harmonics)
    heights = random.normal(0, random.uniform(0.02, 0.12), order.size) / order**0.9
    waves = heights @ np.cos(order[:, None] * angles + random.uniform(0, 2 * np.pi, (order.size, 1)))
    return np.asarray(ellipse * np.clip(1 + waves, 0.45, 1.5), dtype=np.float32)


def skin(random: Generator, shape: Shape) -> Field:
    """Bare skin: a tone, blotches of blood, pores and fine furrows."""
    mix = random.dirichlet(np.full(len(SKIN_TONES), 0.4)).astype(np.float32)
    blood = 0.05 * _smooth_noise(random, shape, 140) + 0.03 * _smooth_noise(random, shape, 9)
    furrows = random.uniform(0, 0.10) * _ridges(_smooth_noise(random, shape, random.uniform(7, 14)))
    freckles = random.uniform(0, 0.2) * _step(_smooth_noise(random, shape, 25) - 1.9, 0.4)
    absorbed = blood[..., None] * BLOOD + (furrows + freckles)[..., None] * BROWN
    return mix @ SKIN_TONES * np.exp(-absorbed)


def pigment(random: Generator, level: Field) -> Field:
    """What the lesion absorbs, as colour: one to three tones behind an edge that is soft and ragged."""
    shape = level.shape
    strength = random.uniform(0.3, 0.6) if random.random() < 0.2 else random.uniform(0.7, 1.8)
    absorbed: Field = strength * _texture(random, shape)[..., None] * BROWN
    for tone in random.permutation([BLACK, BLUE_GREY])[: random.integers(0, 3)]:
        patch = _step(_smooth_noise(random, shape, 0.22 * min(shape)) - random.uniform(-0.2, 0.8), 0.5)
        absorbed += (strength * random.uniform(0.3, 0.8) * patch)[..., None] * tone
    absorbed *= _edge(random, level)[..., None]
    return absorbed


def _texture(random: Generator, shape: Shape) -> Field:
    """Density of the brown tone around 1: clouds, a pigment network and globules in a random mixture."""
    scale = random.uniform(8, 14)
    clouds = 0.22 * _smooth_noise(random, shape, 60) + 0.12 * _smooth_noise(random, shape, 15)
    network = random.uniform(0, 0.7) * _ridges(_smooth_noise(random, shape, scale))
    globules = random.uniform(0, 0.8) * _step(_smooth_noise(random, shape, scale) - 1.0, 0.15)
    density: Field = np.maximum(0.15, 0.75 + clouds + network + globules)
    return density


def _edge(random: Generator, level: Field) -> Field:
    """From 1 inside to 0 outside; sharp on one side of the lesion and fading on the other."""
    shape = level.shape
    ragged = random.uniform(0.01, 0.04) * _smooth_noise(random, shape, 16) + 0.02 * _smooth_noise(random, shape, 6)
    softness = random.uniform(0.04, 0.12) * np.exp(0.5 * _smooth_noise(random, shape, 0.5 * min(shape)))
    return _step(0.98 - level - ragged, softness)


def hair(random: Generator, image: Field) -> Field:
    """Curved strands, none on most phantoms and a thicket on some."""
    count = int(random.choice([0, 5, 25], p=[0.45, 0.4, 0.15]) * random.uniform(0.4, 1.6))
    colour, heading = random.choice(HAIR_COLOURS), random.uniform(0, np.pi)
    layer = Image.new("L", (2 * image.shape[1], 2 * image.shape[0]))
    for _ in range(count):
        _draw_strand(random, layer, heading + random.normal(0, 0.5))
    cover = _coverage(layer, image) * np.float32(random.uniform(0.65, 0.95))
    covered: Field = image + (colour - image) * cover
    return covered


def _draw_strand(random: Generator, layer: Image.Image, heading: float) -> None:
    """A quadratic Bezier curve through the layer, thinner towards its tip."""
    extent = np.array(layer.size)
    length = random.uniform(0.15, 0.9) * extent.max()
    along = np.array([np.cos(heading), np.sin(heading)])
    start = random.uniform(-0.1, 1.1, 2) * extent - along * length / 2
    bow = random.normal(0, 0.2) * length * along[::-1] * (1, -1)
    steps = np.linspace(0, 1, 40)[:, None]
    points = start + steps * length * along + 2 * steps * (1 - steps) * bow
    thickness = random.uniform(0.0022, 0.0055) * extent.max()
    draw = ImageDraw.Draw(layer)
    for share, before, after in zip(steps[1:, 0], points[:-1], points[1:], strict=True):
        draw.line([*before, *after], fill=255, width=max(1, round(thickness * (1 - 0.7 * share))))


def gel_bubbles(random: Generator, image: Field) -> Field:
    """Bubbles in the immersion gel: a bright rim and a glint each."""
    if random.random() < 0.6:
        return image
    layer = Image.new("L", (2 * image.shape[1], 2 * image.shape[0]))
    draw = ImageDraw.Draw(layer)
    for _ in range(random.integers(1, 8)):
        across, down = random.uniform(0, layer.size)
        radius = random.uniform(0.005, 0.03) * layer.width
        draw.circle((across, down), radius, fill=25, outline=190, width=max(2, round(radius * 0.12)))
        draw.circle((across - 0.4 * radius, down - 0.4 * radius), 0.15 * radius, fill=255)
    shine = _coverage(layer.filter(ImageFilter.GaussianBlur(1.5)), image) * 0.7
    return image + (1 - image) * shine


def ruler(random: Generator, image: Field) -> Field:
    """A white scale with black marks along the lower edge of a few phantoms."""
    if random.random() < 0.8:
        return image
    height, width = image.shape[:2]
    top, pitch = round(height * random.uniform(0.95, 0.975)), width // random.integers(9, 16)
    image = image.copy()
    image[top:] = 0.93
    marks = (np.arange(width) + random.integers(pitch)) % pitch < pitch // 3
    image[top : top + (height - top) // 2, marks] = 0.08
    return image


def light(random: Generator, image: Field) -> Field:
    """A lamp that stands to one side and is not quite white."""
    rows, columns = _centred_indices(image.shape[:2])
    heading = random.uniform(0, 2 * np.pi)
    slope = random.uniform(0, 0.16) * (np.cos(heading) * rows + np.sin(heading) * columns)
    white = 1 + random.normal(0, 0.025, 3)
    lit: Field = image * ((random.uniform(0.9, 1.05) + slope)[..., None] * white).astype(np.float32)
    return lit


def vignette(random: Generator, image: Field) -> Field:
    """Dark corners: none, those of the lens, or the black surround of a round contact plate."""
    kind = random.choice(["none", "lens", "plate"], p=[0.45, 0.35, 0.2])
    if kind == "none":
        return image
    away = np.hypot(*_centred_indices(image.shape[:2]))
    if kind == "lens":
        passed = 1 - np.float32(random.uniform(0.2, 0.7)) * np.clip(away - np.float32(0.6), 0, None) ** 2
    else:
        passed = _step(np.float32(random.uniform(1.15, 1.3)) - away, random.uniform(0.005, 0.06))
    return image * passed[..., None]


def sensor(random: Generator, image: Field) -> Field:
    """Blur of the optics and noise of the sensor."""
    picture = Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 1.1))), dtype=np.float32) / 255
    grain = random.standard_normal(image.shape, dtype=np.float32)
    return blurred + np.float32(random.uniform(0.004, 0.018)) * grain


def _smooth_noise(random: Generator, shape: Shape, scale: float) -> Field:
    """Noise with mean 0 and variance about 1 whose waves are about `scale` pixels long."""
    grid = [max(2, round(length / scale)) + 1 for length in shape]
    coarse = Image.fromarray(random.standard_normal(grid, dtype=np.float32))
    fine = np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    # Makes up for the variance that interpolation takes away.
    return fine * np.float32(1.2)


def _ridges(noise: Field) -> Field:
    """Thin lines from 0 to 1 where noise changes its sign: a net of meshes."""
    lines: Field = np.exp(-((noise / 0.35) ** 2))
    return lines


def _step(distance: Field, softness: Field | float) -> Field:
    """A smooth step from 0 where `distance` is negative to 1 where it is positive."""
    step: Field = 0.5 + 0.5 * np.tanh(distance / softness)
    return step


def _coverage(layer: Image.Image, image: Field) -> Field:
    """A drawing of twice the size as a weight from 0 to 1, of shape (height, width, 1)."""
    drawing = layer.resize((image.shape[1], image.shape[0]), Image.Resampling.BOX)
    return np.asarray(drawing, dtype=np.float32)[..., None] / np.float32(255)


def _centred_indices(shape: Shape) -> tuple[Field, Field]:
    """Row and column coordinates: 0 in the centre, 1 at the middle of the longer edges."""
    rows, columns = np.indices(shape, dtype=np.float32)
    half = min(shape) / 2
    return (rows - shape[0] / 2) / half, (columns - shape[1] / 2) / half


def _write_split(folder: Path, published: PublishedSplit, count: int, seed: int) -> None:
    images, masks = folder / published.image_folder, folder / published.mask_folder
    images.mkdir(parents=True)
    masks.mkdir()
    first = FIRST_IDENTIFIERS[published.name]
    for identifier in range(first, first + count):
        random = default_rng((seed, identifier))
        image, lesion = phantom(random, SIZES[random.integers(len(SIZES))])
        Image.fromarray(image).save(images / f"ISIC_{identifier}.jpg", quality=JPEG_QUALITY)
        Image.fromarray(lesion.astype(np.uint8) * 255).save(masks / f"ISIC_{identifier}_Segmentation.png")
