"""What nnU-Net's raw format, and the record of our converters in it, tell of a folder of true label maps."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from nnunet_sgdc.datasets.raw_dataset import EXTERNAL_PREFIX
from nnunet_sgdc.datasets.record import FILE_NAME, CaseRecord, ConversionRecord, read_record
from nnunet_sgdc.evaluation.case_set import CaseFiles
from nnunet_sgdc.evaluation.image_files import image_files

LABELS = re.compile("labels(Tr|Ts|Val)")


@dataclass(frozen=True)
class RawSet:
    """One split of a data set in nnU-Net's raw format, or of an external test set inside it.

    Attributes:
        folder: The folder that holds imagesTr and labelsTr, imagesTs and labelsTs and so on.
        suffix: "Tr", "Ts" or "Val".
    """

    folder: Path
    suffix: str

    @classmethod
    def of_labels(cls, labels: Path) -> "RawSet | None":
        """The split whose label maps lie in a folder; None if the folder is not named as one."""
        labels = labels.resolve()
        found = LABELS.fullmatch(labels.name)
        return cls(labels.parent, found[1]) if found else None

    @property
    def key(self) -> str:
        """Short name inside the data set: `Tr`, `Ts`, `Val` or `external_PH2`."""
        return self.folder.name if self._is_external else self.suffix

    @property
    def name(self) -> str:
        """Name among all sets: that of the data set, and for all but its training cases the key."""
        dataset = self.folder.parent.name if self._is_external else self.folder.name
        return dataset if self.key == "Tr" else f"{dataset}/{self.key}"

    @property
    def labels(self) -> Path:
        """The folder of the true label maps."""
        return self.folder / f"labels{self.suffix}"

    @property
    def images(self) -> Path:
        """The folder of the images."""
        return self.folder / f"images{self.suffix}"

    @property
    def dataset_json(self) -> Path:
        """nnU-Net's description of the data set."""
        return (self.folder.parent if self._is_external else self.folder) / "dataset.json"

    @cached_property
    def record(self) -> ConversionRecord | None:
        """What the converter wrote; None if none of ours made the data set.

        Raises:
            ConversionError: It is damaged.
        """
        return read_record(self.folder) if (self.folder / FILE_NAME).is_file() else None

    def described(self, case: CaseFiles) -> CaseFiles:
        """A case with its image, the group that no fold divides, and its numbered objects if it lacks them."""
        entry = self._entries.get(case.id)
        return replace(
            case,
            cluster=entry.group if entry else "",
            images=self._image_files.get(case.id, ()),
            instances=case.instances or self._instances(case.id),
        )

    @cached_property
    def _image_files(self) -> Mapping[str, tuple[Path, ...]]:
        return image_files(self.images, "images") if self.images.is_dir() else {}

    def _instances(self, case: str) -> Path | None:
        """The numbered objects of a case; None if there are none on the grid of the labels."""
        path = self.folder / f"instances{self.suffix}" / f"{case}.png"
        entry = self._entries.get(case)
        on_grid = entry is not None and entry.size == entry.original_size
        return path if on_grid and path.is_file() else None

    @property
    def _is_external(self) -> bool:
        return self.folder.name.startswith(EXTERNAL_PREFIX)

    @cached_property
    def _entries(self) -> Mapping[str, CaseRecord]:
        return {case.id: case for case in self.record.cases} if self.record else {}
