"""Finding images that show the same photograph, so that no fold trains on a copy of what it validates.

Releases hold copies of one photograph under several ids: resized, compressed again, brightened, trimmed. A perceptual
hash of 256 bits (`imagehash.phash`, the signs of the lowest 16 x 16 frequencies) changes little under that, whereas
hashes of different photographs differ in about half of their bits. The samples and phantoms gave these numbers, shown
by `pytest -s -m samples tests/test_look_alikes.py`:

- Of 155 dermoscopic images, all copies were found that had been resized to 256 x 256, rescaled by 0.9, saved as JPEG of
  quality 60, made 5 % brighter or darker, turned by 1 degree, or trimmed by 2 % at one side; 150 copies turned by 2
  degrees, 127 trimmed by 2.5 % at all sides, and 41 trimmed by 5 % at one side.
- Different images differ in 72 bits or more, in 68 or more once all have the same black surround of a contact plate,
  and 40 phantoms in 74 or more. The tolerance of 48 leaves a margin for collections larger than the samples.

Mirrored copies and quarter turns are not found.
"""

import hashlib
from collections.abc import Mapping

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import connected_components

HASH_SIZE = 16
# Side of the square that imagehash takes the frequencies of.
THUMBNAIL = 4 * HASH_SIZE
# Bits that may differ, of 256.
TOLERANCE = 48
# An image whose grey levels span no more than this holds rounding and nothing to recognise it by.
FLAT = 2
CHUNK = 1024


def fingerprint(image: Image.Image) -> str:
    """The perceptual hash of an image, the same for the full size and for a copy resized to a square.

    Shapes and not colours count, save for a flat image: its hash is a checksum of its colours, so that it resembles
    nothing but the same flat image.

    Args:
        image: An 8-bit grey or RGB image.

    Returns:
        64 hexadecimal digits.
    """
    thumbnail = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if np.ptp(np.asarray(thumbnail.convert("L"))) <= FLAT:
        return hashlib.sha256(thumbnail.tobytes()).hexdigest()
    return str(imagehash.phash(thumbnail, HASH_SIZE))


def look_alikes(fingerprints: Mapping[str, str], tolerance: int = TOLERANCE) -> dict[str, str]:
    """Group images whose fingerprints differ little, also by way of other images.

    Args:
        fingerprints: Identifiers of images, and their fingerprints.
        tolerance: How many bits of two fingerprints may differ.

    Returns:
        For each identifier the smallest one of its group, in sorted order; an image like no other is its own group.
    """
    names = sorted(fingerprints)
    if not names:
        return {}
    # Equal fingerprints count once, lest many copies of one image take memory for all their pairs.
    distinct, copies = np.unique([fingerprints[name] for name in names], return_inverse=True)
    _, labels = connected_components(_links(_signs(distinct.tolist()), tolerance), directed=False)
    labels = labels[copies]
    _, smallest = np.unique(labels, return_index=True)
    return {name: names[first] for name, first in zip(names, smallest[labels], strict=True)}


def _signs(fingerprints: list[str]) -> NDArray[np.float32]:
    """The bits as -1 and 1, of shape (images, bits)."""
    packed = np.array([list(bytes.fromhex(digits)) for digits in fingerprints], dtype=np.uint8)
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _links(signs: NDArray[np.float32], tolerance: int) -> csr_array:
    """Which images lie within the tolerance, of shape (images, images)."""
    # The product of two fingerprints is the number of bits that agree less those that differ.
    least = signs.shape[1] - 2 * tolerance
    return vstack([csr_array(signs[start : start + CHUNK] @ signs.T >= least) for start in range(0, len(signs), CHUNK)])
