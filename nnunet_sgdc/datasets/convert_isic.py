"""Turn a release of the ISIC challenge 2016, 2017 or 2018 into a data set in nnU-Net's raw format.

The training split becomes imagesTr and labelsTr. The test split, or where it is missing the validation split, becomes
imagesTs and, as far as its ground truth is there, labelsTs. `conversion.json` in the data set folder records how it was
made and the original size of every case, so that predictions can be put back to it.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from nnunet_sgdc import __version__
from nnunet_sgdc.datasets.errors import ConversionError, counted
from nnunet_sgdc.datasets.images import LESION_THRESHOLD, read_mask, read_rgb, resized_image, resized_mask
from nnunet_sgdc.datasets.isic_releases import EDITIONS, Case, FoundSplit, Release, find_release
from nnunet_sgdc.datasets.raw_dataset import check_vacant, dataset_name, raw_folder, staged

DEFAULT_SIZE = 256
TOOL = f"nnunet_sgdc-convert-isic {__version__}"
CONVERSION_FILE = "conversion.json"


@dataclass(frozen=True)
class ConvertedCase:
    """What became of one case; `width` and `height` are those of the original image, upright, in pixels."""

    identifier: str
    split: str
    width: int
    height: int
    unusual_mask: bool
    empty_label: bool


@dataclass(frozen=True)
class ConversionReport:
    """What was converted; its text is the summary for the reader.

    Attributes:
        folder: The new data set.
        release: The splits that were found and those left out.
        size: Side of the square images in pixels; None for the original sizes.
        cases: Every case, training first, each split ordered by identifier.
    """

    folder: Path
    release: Release
    size: int | None
    cases: tuple[ConvertedCase, ...]

    @property
    def unusual_masks(self) -> tuple[str, ...]:
        """Identifiers of the masks that held values other than 0 and 255."""
        return tuple(case.identifier for case in self.cases if case.unusual_mask)

    @property
    def empty_labels(self) -> tuple[str, ...]:
        """Identifiers of the labels that hold no lesion after conversion."""
        return tuple(case.identifier for case in self.cases if case.empty_label)

    def __str__(self) -> str:
        pixels = "at their original sizes" if self.size is None else f"resized to {self.size} x {self.size}"
        lines = [f"ISIC {self.release.edition.year} -> {self.folder}, images {pixels}"]
        lines += [_described(split, ending) for split, ending in _placed(self.release)]
        lines += [f"  {name}: left out, as there is a test split" for name in self.release.left_out]
        if self.unusual_masks:
            lines.append(
                f"  masks with values other than 0 and 255 ({counted(self.unusual_masks)}): 128 and up are lesion"
            )
        if self.empty_labels:
            lines.append(f"  labels without any lesion ({counted(self.empty_labels)})")
        return "\n".join(lines)


def convert_isic(
    source: Path,
    dataset_id: int,
    *,
    edition: int | None = None,
    size: int | None = DEFAULT_SIZE,
    name: str | None = None,
    raw: Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
) -> ConversionReport:
    """Convert a release of the ISIC challenge; nothing is left behind if it fails or is interrupted.

    Args:
        source: The folder that holds the published folders, the one above it, or one of the published folders.
        dataset_id: nnU-Net's number of the data set, 1 to 999.
        edition: 2016, 2017 or 2018; None takes the only edition that is there.
        size: Side in pixels of the square that images and labels are resized to; None keeps their sizes.
        name: Name of the data set; None gives ISIC2016, ISIC2017 or ISIC2018.
        raw: The folder of raw data sets; None takes the environment variable nnUNet_raw.
        overwrite: Whether a data set of the same id and name is replaced.
        workers: Number of threads; None takes one per processor.

    Raises:
        ConversionError: The release, an image, a mask or an argument is not as it must be.
        OSError: The data set cannot be written.
    """
    _check_positive("size", size)
    _check_positive("workers", workers)
    release = find_release(source, edition)
    target = raw_folder(raw) / dataset_name(dataset_id, f"ISIC{release.edition.year}" if name is None else name)
    check_vacant(target, overwrite)
    with staged(target, overwrite) as folder:
        cases = _convert_cases(release, folder, size, workers or os.cpu_count() or 1)
        _write_json(folder / "dataset.json", _dataset_description(release, target.name))
        _write_json(folder / CONVERSION_FILE, _conversion_record(release, size, cases))
    return ConversionReport(target, release, size, cases)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; leaves with 0, with 1 and one sentence on an error, with 130 on Ctrl-C.

    Args:
        arguments: The command line; None takes that of the process.
    """
    options = _parser().parse_args(arguments)
    try:
        print(convert_isic(**vars(options)))
    except (ConversionError, OSError) as error:
        _leave(1, f"error: {error}")
    except KeyboardInterrupt:
        _leave(130, "interrupted: no data set was written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nnunet_sgdc-convert-isic",
        description="Turn a release of the ISIC challenge into a data set in nnU-Net's raw format.",
    )
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE", help="folder that holds the folders of the release")
    add("dataset_id", type=int, metavar="DATASET_ID", help="nnU-Net's number of the new data set, 1 to 999")
    add("--edition", type=int, choices=tuple(EDITIONS), help="needed only if SOURCE holds several editions")
    size = "side of the square images in pixels, or native to keep their sizes (default: %(default)s)"
    add("--size", type=_size, default=DEFAULT_SIZE, metavar="N|native", help=size)
    add("--name", help="name of the data set (default: ISIC and the year)")
    add("--raw", type=Path, metavar="FOLDER", help="folder of raw data sets (default: the variable nnUNet_raw)")
    add("--overwrite", action="store_true", help="replace the data set of the same id and name")
    add("--workers", type=int, metavar="N", help="number of threads (default: one per processor)")
    parser.add_argument("--version", action="version", version=TOOL)
    return parser


def _size(text: str) -> int | None:
    if text == "native":
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number of pixels or 'native', got {text!r}") from None


def _leave(code: int, message: str) -> None:
    print(f"nnunet_sgdc-convert-isic: {message}", file=sys.stderr)
    sys.exit(code)


def _check_positive(argument: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ConversionError(f"{argument} must be at least 1, got {value}")


def _convert_cases(release: Release, folder: Path, size: int | None, workers: int) -> tuple[ConvertedCase, ...]:
    """Convert in threads, since Pillow lets go of the interpreter lock; a failure cancels what has not begun."""
    jobs = [job for split, ending in _placed(release) for job in _jobs(split, folder, ending)]
    with ThreadPoolExecutor(workers) as pool:
        try:
            futures = [pool.submit(_convert_case, *job, size) for job in jobs]
            # With None the bar is shown on terminals only.
            return tuple(future.result() for future in tqdm(futures, unit="case", leave=False, disable=None))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _placed(release: Release) -> Iterable[tuple[FoundSplit, str]]:
    """The splits with the ending of nnU-Net's folders for them, as in imagesTr."""
    return zip(release.splits, ("Tr", "Ts"), strict=False)


def _jobs(split: FoundSplit, folder: Path, ending: str) -> list[tuple[Case, str, Path, Path]]:
    images, labels = folder / f"images{ending}", folder / f"labels{ending}"
    images.mkdir()
    if split.labelled:
        labels.mkdir()
    return [(case, split.published.name, images, labels) for case in split.cases]


def _convert_case(case: Case, split: str, images: Path, labels: Path, size: int | None) -> ConvertedCase:
    image = read_rgb(case.image)
    # An embedded colour profile would not be applied by nnU-Net, but would make other readers differ from it.
    resized_image(image, size).save(images / f"{case.identifier}_0000.png", icc_profile=None)
    unusual, empty = False, False
    if case.mask is not None:
        mask = read_mask(case.mask, image.size)
        label = resized_mask(mask.lesion, size)
        Image.fromarray(label.astype(np.uint8)).save(labels / f"{case.identifier}.png")
        unusual, empty = mask.unusual_values, not label.any()
    return ConvertedCase(case.identifier, split, *image.size, unusual_mask=unusual, empty_label=empty)


def _described(split: FoundSplit, ending: str) -> str:
    found, published = len(split.cases), split.published.cases
    count = f"{found} cases" if found == published else f"{found} of the {published} published cases"
    labels = f" and labels{ending}" if split.labelled else ", without ground truth"
    return f"  {split.published.name}: {count} in images{ending}{labels}"


def _dataset_description(release: Release, name: str) -> dict[str, object]:
    """The content of dataset.json; what nnU-Net needs comes first."""
    return {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(release.training.cases),
        "file_ending": ".png",
        "name": name,
        "description": f"Skin lesion segmentation in dermoscopy, ISIC challenge {release.edition.year}",
        "reference": release.edition.reference,
        "licence": release.edition.licence,
        "converted_by": TOOL,
    }


def _conversion_record(release: Release, size: int | None, cases: tuple[ConvertedCase, ...]) -> dict[str, object]:
    return {
        "converted_by": TOOL,
        "edition": release.edition.year,
        "size": "native" if size is None else size,
        "mask_threshold": LESION_THRESHOLD,
        "cases": [
            {"id": case.identifier, "split": case.split, "width": case.width, "height": case.height} for case in cases
        ],
    }


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
