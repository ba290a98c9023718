"""One patch of the CoNIC challenge: checked, counted and made into a label."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.datasets.collection import Sample
from nnunet_sgdc.datasets.conic_files import ReleaseFile
from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.instances import Integers, object_classes, recovered, separate_touching
from nnunet_sgdc.errors import counted

CLASSES = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")
CLASS_LABELS = {"background": 0, **{name: index for index, name in enumerate(CLASSES, start=1)}}
BINARY_LABELS = {"background": 0, "nucleus": 1}
# The challenge counts the nuclei that have a pixel in this central square of a patch.
COUNTED_SIDE = 224

OTHER_COUNTS = "patches whose nuclei are not as many as counts.csv says, ignored as asked"
NOT_RECOVERED = "patches where a nucleus is not one connected component of its class in spite of the separation"


@dataclass(frozen=True)
class Reading:
    """How patches are read.

    Attributes:
        binary: Whether all nuclei are one class.
        separate_touching: Whether a line is drawn between touching nuclei of one class.
        check_counts: Whether patches whose nuclei are not as many as counted are refused.
    """

    binary: bool = False
    separate_touching: bool = False
    check_counts: bool = True


@dataclass(frozen=True)
class Patches:
    """The patches of a release.

    Attributes:
        names: Such as consep_1-0000.
        images: 8-bit RGB of shape (patches, height, width, 3).
        labels: Number and class of the nucleus at every pixel, of shape (patches, height, width, 2).
        counts: Published nuclei of each class in the centre of each patch, in the order of CLASSES.
        image_file: The file of the images.
        label_file: The file of the labels.
        reading: How they are read.
    """

    names: Sequence[str]
    images: NDArray[np.uint8]
    labels: Integers
    counts: Sequence[Sequence[int]]
    image_file: ReleaseFile
    label_file: ReleaseFile
    reading: Reading

    def load(self, index: int) -> Sample:
        """Read and check a patch.

        Raises:
            ConversionError: Numbers and classes are out of range or contradict each other, or the nuclei are not as
                many as published.
        """
        image, label = np.array(self.images[index]), np.array(self.labels[index])
        name = f"{self.label_file}[{index}] ({self.names[index]})"
        instances, classes = _checked(label, name)
        remarks = self._count_remarks(central_counts(instances, classes), index, name)
        classes = (classes > 0).astype(np.uint8) if self.reading.binary else classes
        if self.reading.separate_touching:
            classes = separate_touching(instances, classes)
            found, existing = recovered(classes, instances)
            remarks += () if found == existing else (NOT_RECOVERED,)
        return Sample(Image.fromarray(image), classes, self._sources(index, image, label), instances, remarks)

    def _count_remarks(self, found: Mapping[str, int], index: int, name: str) -> tuple[str, ...]:
        """What is worth telling of the counts; refuses those that differ unless they are to be ignored."""
        differing = [
            f"{found[label]} {label} where counts.csv says {published}"
            for label, published in zip(CLASSES, self.counts[index], strict=True)
            if found[label] != published
        ]
        if differing and self.reading.check_counts:
            raise ConversionError(
                f"{name} must hold as many nuclei as were counted, got {' and '.join(differing)}: take both files from "
                "the same release, or give --ignore-counts"
            )
        return (OTHER_COUNTS,) if differing else ()

    def _sources(self, index: int, image: NDArray[np.uint8], label: Integers) -> Mapping[str, str]:
        arrays = {self.image_file.path: image, self.label_file.path: label}
        return {f"{path}[{index}]": hashlib.sha256(array.tobytes()).hexdigest() for path, array in arrays.items()}


def central_counts(instances: Integers, classes: Integers) -> dict[str, int]:
    """The nuclei of each class that have a pixel in the centre of the patch, as the challenge counts them."""
    numbers, of_class = object_classes(central(instances), central(classes))
    counts = np.bincount(of_class[numbers > 0], minlength=len(CLASS_LABELS))
    return {name: int(counts[CLASS_LABELS[name]]) for name in CLASSES}


def central(values: Integers) -> Integers:
    """The part of a patch of shape (height, width) in which a nucleus must have a pixel to be counted."""
    return values[tuple(slice(max((side - COUNTED_SIDE) // 2, 0), (side + COUNTED_SIDE) // 2) for side in values.shape)]


def _checked(label: Integers, name: str) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Numbers and classes of a patch that do not contradict each other."""
    instances, classes = label[..., 0], label[..., 1]
    _check_range(instances, np.iinfo(np.uint16).max, f"{name} must have nuclei numbered")
    _check_range(classes, len(CLASSES), f"{name} must have classes")
    numbers, of_class = object_classes(instances, classes)
    nuclei = numbers[numbers > 0]
    faults = {
        "nuclei without a class": numbers[(numbers > 0) & (of_class == 0)],
        "pixels of a class without a nucleus, of class": of_class[(numbers == 0) & (of_class > 0)],
        "nuclei of several classes": nuclei[1:][nuclei[1:] == nuclei[:-1]],
    }
    for fault, which in faults.items():
        if which.size:
            raise ConversionError(
                f"{name} must give every nucleus one class, but has {fault} ({counted([str(n) for n in which])}): "
                "download the release again"
            )
    return instances.astype(np.uint16), classes.astype(np.uint8)


def _check_range(values: Integers, largest: int, expectation: str) -> None:
    found = int(values.min()), int(values.max())
    if found[0] < 0 or found[1] > largest:
        raise ConversionError(
            f"{expectation} from 0 to {largest}, got {found[0]} to {found[1]}: download the release again"
        )
