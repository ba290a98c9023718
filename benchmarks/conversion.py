"""Converting a release: images per second, memory, and the share of the work that no converter can avoid.

That share is decoding JPEG and PNG and encoding PNG. It is taken in processor time, which other programs on the machine
hardly change, and with one worker. Each conversion runs in a process of its own.
"""

import argparse
import hashlib
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFile, ImageOps

from nnunet_sgdc.datasets import case_writer, conversion, images
from nnunet_sgdc.datasets.convert_isic import convert_isic
from nnunet_sgdc.datasets.isic import EDITIONS
from nnunet_sgdc.datasets.options import Options
from nnunet_sgdc.datasets.phantoms import JPEG_QUALITY, phantom
from nnunet_sgdc.datasets.record import ConversionRecord
from nnunet_sgdc.datasets.resizing import Resizing
from nnunet_sgdc.datasets.source_files import FolderFile

PAIRS = 1000
# An image takes several times as long at its full size.
NATIVE_PAIRS = 100
PIXELS = (1024, 768)
PHANTOMS = 20
SIZES = ("256", "native")
WORKERS = (1, 2)
# The functions of each part, where they are looked up; what one of them calls of another part counts there.
PARTS: dict[str, list[tuple[object, str]]] = {
    "decode": [(ImageFile.ImageFile, "load")],
    "encode": [(Image.Image, "save")],
    "resize image": [(case_writer, "resized_image")],
    "resize label": [(case_writer, "resized_label")],
    "fingerprint": [(case_writer, "fingerprint")],
    "mask": [(images, "lesion_label"), (case_writer, "_histogram")],
    "copies": [(ImageOps, "exif_transpose"), (images, "_rgb")],
    "SHA-256": [(hashlib, "sha256")],
    "files": [(FolderFile, "read"), (Path, "write_bytes"), (Path, "mkdir")],
    "folds and records": [(conversion, "divide"), (ConversionRecord, "write")],
}
CODEC = ("decode", "encode")


class Measurement(NamedTuple):
    """One conversion.

    Attributes:
        cases: Number of images.
        wall: Seconds that it took.
        processor: Seconds that processors worked.
        parts: Seconds that processors worked, by part.
        peak: Megabytes of memory at most, Python and its libraries included.
    """

    cases: int
    wall: float
    processor: float
    parts: dict[str, float]
    peak: float


class Stopwatch:
    """Processor seconds by part, for work in a single thread."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        # Seconds of the timed functions that the running one has called.
        self._inner = 0.0

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose seconds count for the part, less those of timed functions that it calls."""

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            start, outer = time.thread_time(), self._inner
            self._inner = 0.0
            try:
                return function(*args, **options)
            finally:
                spent = time.thread_time() - start
                self.seconds[part] += spent - self._inner
                self._inner = outer + spent

        return call


def main(arguments: Sequence[str] | None = None) -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.conversion", description="Measure the conversion of a release.")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="images for 256 x 256 (default: %(default)s)")
    parser.add_argument("--native-pairs", type=int, default=NATIVE_PAIRS, help="at full size (default: %(default)s)")
    parser.add_argument("--samples", type=Path, metavar="FOLDER", help="releases in folders isic2016, isic2017, ...")
    parsed = parser.parse_args(arguments)
    phantoms = [phantom(default_rng(seed), PIXELS) for seed in range(PHANTOMS)]
    with tempfile.TemporaryDirectory() as name:
        releases = {size: Path(name) / size for size in SIZES}
        for folder, pairs in zip(releases.values(), (parsed.pairs, parsed.native_pairs), strict=True):
            write_release(folder, phantoms, pairs)
        made = {(size, workers): measure(releases[size], size, workers) for size in SIZES for workers in WORKERS}
    _print_throughput(made)
    found = {("phantoms", size): made[size, 1] for size in SIZES}
    for release in _sample_releases(parsed.samples):
        found.update({(release.name, size): measure(release, size, workers=1) for size in SIZES})
    _print_parts(found)


def write_release(folder: Path, phantoms: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_]]], pairs: int) -> None:
    """Write the training split of ISIC 2018 from phantoms, each in many brightnesses."""
    published = EDITIONS[2018].splits[0]
    image_folder, mask_folder = folder / published.image_folder, folder / published.mask_folder
    image_folder.mkdir(parents=True)
    mask_folder.mkdir()
    for index, brightness in enumerate(np.linspace(0.8, 1.1, pairs)):
        image, lesion = phantoms[index % len(phantoms)]
        stem = f"ISIC_{index:07d}"
        brightened = ImageEnhance.Brightness(Image.fromarray(image)).enhance(brightness)
        brightened.save(image_folder / f"{stem}.jpg", quality=JPEG_QUALITY)
        Image.fromarray(lesion.astype(np.uint8) * 255).save(mask_folder / f"{stem}_segmentation.png")


def measure(release: Path, size: str, workers: int) -> Measurement:
    """Convert a release in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_measure_here, release, size, workers).result()


def _measure_here(release: Path, size: str, workers: int) -> Measurement:
    # Imported once and late by the conversion, which takes a second, however many images there are.
    import_module("sklearn.model_selection")
    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as raw, ExitStack() as patches:
        for part, functions in PARTS.items() if workers == 1 else ():
            for owner, name in functions:
                patches.enter_context(patch.object(owner, name, stopwatch.timed(part, getattr(owner, name))))
        options = Options(size=Resizing.parse(size), raw=Path(raw), workers=workers)
        start, start_processor = time.perf_counter(), time.process_time()
        report = convert_isic(release, 1, options)
        wall, processor = time.perf_counter() - start, time.process_time() - start_processor
    return Measurement(len(report.record.cases), wall, processor, dict(stopwatch.seconds), _peak())


def _peak() -> float:
    """Megabytes that this process held at most; what getrusage says may be the peak of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _sample_releases(samples: Path | None) -> list[Path]:
    folders = [] if samples is None else [samples / f"isic{year}" for year in EDITIONS]
    return [folder for folder in folders if folder.is_dir()]


def _print_throughput(made: Mapping[tuple[str, int], Measurement]) -> None:
    # Imported late, since PyTorch, which comes with it, would count as memory of the conversions.
    from benchmarks.measure import print_header, print_row

    print(f"convert_isic, {PIXELS[0]} x {PIXELS[1]} pixels, load average {os.getloadavg()[0]:.1f}\n")
    print_header("size", "workers", "images", "images per second", "peak memory")
    for (size, workers), found in made.items():
        print_row(size, workers, found.cases, f"{found.cases / found.wall:.1f}", f"{found.peak:.0f} MB")
    print()


def _print_parts(measured: Mapping[tuple[str, str], Measurement]) -> None:
    from benchmarks.measure import print_header, print_row

    print("convert_isic, 1 worker, processor time\n")
    print_header("release", "size", "per image", *CODEC, "together", "other parts")
    for (name, size), found in measured.items():
        print_row(name, size, f"{found.processor / found.cases * 1e3:.1f} ms", *_shares(found))
    print()


def _shares(found: Measurement) -> list[str]:
    """Cells with the shares of the total."""
    shares = {part: seconds / found.processor for part, seconds in found.parts.items()}
    codec = [shares.pop(part) for part in CODEC]
    shares["Python and the rest"] = 1 - sum(codec) - sum(shares.values())
    others = sorted(shares.items(), key=lambda item: -item[1])
    return [
        *(f"{share:.1%}" for share in (*codec, sum(codec))),
        ", ".join(f"{part} {share:.1%}" for part, share in others),
    ]


if __name__ == "__main__":
    main()
