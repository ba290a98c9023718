"""What is known of a release once its files are found and before a pixel is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.datasets.resizing import Resizing


@dataclass(frozen=True)
class Sample:
    """What the files of one case hold, at their own size.

    Attributes:
        image: 8-bit RGB, upright.
        label: Class indices of shape (height, width); None without ground truth.
        instances: Number of the object at every pixel, 0 for none, as large as the label; None where none are known.
        remarks: What is worth telling the user, each the same text for all cases it is true of.
        sources: SHA-256 of everything the case was read from, by its name inside the source.
    """

    image: Image.Image
    label: NDArray[np.uint8] | None
    sources: Mapping[str, str]
    instances: NDArray[np.uint16] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One image to convert.

    Attributes:
        identifier: Its name in nnU-Net.
        load: Reads and checks it.
        labelled: Whether it has ground truth.
        source: The larger image it was cut from; None if it stands for itself.
        attributes: What else is known of it: its row of the case table.
    """

    identifier: str
    load: Callable[[], Sample]
    labelled: bool
    source: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """One split as published.

    Attributes:
        name: For example "training".
        suffix: That of nnU-Net's folders for it, as the Tr in imagesTr.
        cases: Ordered by identifier; all have ground truth or none has.
        published: How many cases were published.
    """

    name: str
    suffix: str
    cases: tuple[Case, ...]
    published: int

    @property
    def labelled(self) -> bool:
        """Whether the ground truth is there."""
        return self.cases[0].labelled


@dataclass(frozen=True)
class Collection:
    """A release, or the part of it that is there.

    Attributes:
        name: What the data set is called unless the user says otherwise, for example "ISIC2016".
        description: One line for dataset.json.
        reference: Whom to cite.
        licence: Under what it was published.
        labels: Class names and indices for dataset.json.
        splits: The training split first.
        default_size: The size of the converted images unless the user says otherwise.
        stratify_by: The attribute whose values the folds shall share evenly; None takes the size of the foreground.
        notes: What the report shall say of the release as a whole.
    """

    name: str
    description: str
    reference: str
    licence: str
    labels: Mapping[str, int]
    splits: tuple[Split, ...]
    default_size: Resizing
    stratify_by: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases of all splits."""
        return tuple(case for split in self.splits for case in split.cases)

    @property
    def cut(self) -> bool:
        """Whether the images were cut from larger ones."""
        return any(case.source is not None for case in self.cases)
