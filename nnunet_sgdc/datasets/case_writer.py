"""One case of a release into nnU-Net's folders.

Of a training case, imagesTr/<id>_0000.png gets the 8-bit RGB image, labelsTr/<id>.png the class indices and, where
objects are known, instancesTr/<id>.png their 16-bit numbers at the original size. Ts and Val stand for test and
validation.
"""

import hashlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.datasets.collection import Case, Sample, Split
from nnunet_sgdc.datasets.look_alikes import fingerprint
from nnunet_sgdc.datasets.record import CaseRecord
from nnunet_sgdc.datasets.resizing import Resizing, pixel_counts, resized_image, resized_label
from nnunet_sgdc.datasets.threads import in_threads

# Photographs hold little but noise to find repetitions in: looking for runs only makes files 0 to 9 % larger and is
# written four times as fast (benchmarks/conversion.py).
ENCODING = zlib.Z_RLE


@dataclass(frozen=True)
class CaseWriter:
    """Writes the cases of one split.

    Attributes:
        folder: The data set folder.
        split: The split.
        resizing: The size of what is written.
        fingerprinted: Whether the perceptual hash of the image is wanted.
    """

    folder: Path
    split: Split
    resizing: Resizing
    fingerprinted: bool

    def write(self, case: Case) -> CaseRecord:
        """Read, resize and write a case.

        Raises:
            ConversionError: The case is not as it must be.
            OSError: A file cannot be written.
        """
        sample = case.load()
        size = self.resizing.target(sample.image.size)
        image = resized_image(sample.image, size)
        label = None if sample.label is None else resized_label(sample.label, size)
        return CaseRecord(
            id=case.identifier,
            split=self.split.name,
            original_size=sample.image.size,
            size=size,
            pixels={} if label is None else _histogram(label),
            sources=sample.sources,
            outputs=self._save(case.identifier, sample, image, label),
            fingerprint=fingerprint(image) if self.fingerprinted else "",
            group=case.source or case.identifier,
            remarks=sample.remarks,
        )

    def _save(
        self, identifier: str, sample: Sample, image: Image.Image, label: NDArray[np.uint8] | None
    ) -> dict[str, str]:
        outputs = [self._save_png(image, "images", f"{identifier}_0000.png")]
        if label is not None:
            outputs.append(self._save_png(Image.fromarray(label), "labels", f"{identifier}.png"))
        if sample.instances is not None:
            outputs.append(self._save_png(Image.fromarray(sample.instances), "instances", f"{identifier}.png"))
        return dict(outputs)

    def _save_png(self, image: Image.Image, kind: str, name: str) -> tuple[str, str]:
        """Write one file; returns its name inside the data set and its SHA-256."""
        buffer = io.BytesIO()
        # An embedded colour profile would not be applied by nnU-Net, but would make other readers differ from it.
        image.save(buffer, "PNG", icc_profile=None, compress_type=ENCODING)
        path = self.folder / f"{kind}{self.split.suffix}" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(buffer.getbuffer())
        return path.relative_to(self.folder).as_posix(), hashlib.sha256(buffer.getbuffer()).hexdigest()


def write_cases(
    folder: Path, splits: Sequence[Split], resizing: Resizing, *, fingerprinted: bool, workers: int | None
) -> tuple[CaseRecord, ...]:
    """Write the cases of all splits, several at once, each thread with one case in memory.

    Raises:
        ConversionError: A case is not as it must be.
        OSError: A file cannot be written.
    """
    writers = [(CaseWriter(folder, split, resizing, fingerprinted), case) for split in splits for case in split.cases]
    return in_threads(lambda job: job[0].write(job[1]), writers, workers)


def _histogram(label: NDArray[np.uint8]) -> dict[int, int]:
    counts = pixel_counts(label)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
