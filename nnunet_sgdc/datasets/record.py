"""`conversion.json`: what a converted data set was made from, how, and what it holds.

It is what `nnunet_sgdc-restore` and later conversions read. It holds no time, no path of this machine and nothing else
that differs between two conversions of the same files.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from PIL import features

from nnunet_sgdc import __version__
from nnunet_sgdc.datasets.errors import ConversionError

FILE_NAME = "conversion.json"
FORMAT = 1


def tool_name() -> str:
    """Name and version of this package."""
    return f"nnunet_sgdc {__version__}"


def tool_versions() -> dict[str, str]:
    """Versions of nnunet_sgdc and of the libraries that resample, compress, compare and divide."""
    codecs = {name: features.version(name) or "" for name in ("jpg", "zlib")}
    libraries = {name: metadata.version(name) for name in ("imagehash", "numpy", "pillow", "scikit-learn", "scipy")}
    return {"nnunet_sgdc": __version__, **libraries, **codecs}


@dataclass(frozen=True)
class CaseRecord:
    """One converted case.

    Attributes:
        id: Its identifier.
        split: The published split it belongs to.
        original_size: (width, height) of the original image, upright, in pixels.
        size: (width, height) of the converted one.
        pixels: How many pixels of each label the converted label has, by label index; empty without ground truth.
        sources: SHA-256 of what it was read from, by name inside the source.
        outputs: SHA-256 of what was written for it, by name inside the data set.
        fingerprint: Perceptual hash of the image; empty where images are grouped by their source instead.
        group: The group of cases that no fold divides.
        remarks: What was worth telling of it.
    """

    id: str
    split: str
    original_size: tuple[int, int]
    size: tuple[int, int]
    pixels: Mapping[int, int]
    sources: Mapping[str, str]
    outputs: Mapping[str, str]
    fingerprint: str = ""
    group: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def foreground(self) -> float:
        """Share of the pixels that are not background, 0 to 1."""
        total = sum(self.pixels.values())
        return 1 - self.pixels.get(0, 0) / total if total else 0.0


@dataclass(frozen=True)
class ConversionRecord:
    """The content of `conversion.json`.

    Attributes:
        release: Name of the release, for example "ISIC2016".
        options: The options that decide what is written, as text or numbers.
        labels: Class names and indices.
        cases: All cases, training first, each split ordered by identifier.
        tools: Versions of what may change a pixel or a byte.
    """

    release: str
    options: Mapping[str, Any]
    labels: Mapping[str, int]
    cases: tuple[CaseRecord, ...]
    tools: Mapping[str, str] = field(default_factory=tool_versions)

    def write(self, folder: Path) -> None:
        """Write `conversion.json` into a data set folder."""
        content = {
            "format": FORMAT,
            "tools": self.tools,
            "release": self.release,
            "options": self.options,
            "labels": self.labels,
            "counts": Counter(case.split for case in self.cases),
            "label_pixels": self.label_pixels(),
            "cases": [asdict(case) for case in self.cases],
        }
        (folder / FILE_NAME).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def label_pixels(self) -> dict[str, int]:
        """How many pixels of all labels belong to each class, by its name."""
        total: Counter[int] = Counter()
        for case in self.cases:
            total.update(case.pixels)
        return {name: total[index] for name, index in self.labels.items()}


def read_record(folder: Path) -> ConversionRecord:
    """Read `conversion.json` of a data set folder.

    Raises:
        ConversionError: It is missing, damaged or of a later version.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise ConversionError(
            f"{folder} holds no {FILE_NAME}, so no converter of nnunet_sgdc made it: convert the data with one"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content["format"]
        cases = tuple(_case(entry) for entry in content["cases"]) if found == FORMAT else ()
        record = ConversionRecord(content["release"], content["options"], content["labels"], cases, content["tools"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConversionError(f"{path} is damaged ({type(error).__name__}: {error}): convert the data again") from error
    if found != FORMAT:
        raise ConversionError(f"{path} must be of format {FORMAT}, got {found}: convert the data again")
    return record


def _case(entry: dict[str, Any]) -> CaseRecord:
    pixels = {int(label): count for label, count in entry.pop("pixels").items()}
    sizes = {name: (int(entry[name][0]), int(entry[name][1])) for name in ("original_size", "size")}
    return CaseRecord(**{**entry, **sizes, "pixels": pixels, "remarks": tuple(entry["remarks"])})
