"""Small raw data sets in nnU-Net's folders, their fingerprints made up, and data that looks preprocessed."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nnunet_sgdc.datasets.phantoms import phantom

DATASET = "Dataset001_Test"
CASES = ("a", "b")
# As nnU-Net reads PNG files: one slice, which is far from the next.
FLAT = (999.0, 1.0, 1.0)


def write_raw(
    raw: Path, *, name: str = DATASET, cases: Iterable[str] = CASES, channels: int = 1, count: int | None = None
) -> Path:
    """Phantoms of 64 x 64 pixels; `count` is how many there seem to be.

    The files are listed in dataset.json, which spares nnU-Net the processes that look for them.
    """
    folder, cases = raw / name, list(cases)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        image, lesion = phantom(np.random.default_rng(number), (64, 64))
        Image.fromarray(image).convert("L" if channels == 1 else "RGB").save(folder / "imagesTr" / f"{case}_0000.png")
        Image.fromarray((lesion > 0).astype(np.uint8)).save(folder / "labelsTr" / f"{case}.png")
    files = {case: {"images": [f"imagesTr/{case}_0000.png"], "label": f"labelsTr/{case}.png"} for case in cases}
    content = {
        "dataset": files,
        "channel_names": {str(channel): f"channel {channel}" for channel in range(channels)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": count or len(cases),
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def write_fingerprint(
    preprocessed: Path,
    shape: tuple[int, int, int] = (1, 64, 64),
    *,
    name: str = DATASET,
    channels: int = 1,
    count: int = len(CASES),
    spacing: tuple[float, float, float] = FLAT,
    mean: float = 100.0,
) -> Path:
    content = {
        "spacings": [spacing] * count,
        "shapes_after_crop": [shape] * count,
        "foreground_intensity_properties_per_channel": {str(channel): {"mean": mean} for channel in range(channels)},
        "median_relative_size_after_cropping": 1.0,
    }
    path = preprocessed / name / "dataset_fingerprint.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_preprocessed(preprocessed: Path, identifier: str, *, name: str = DATASET) -> Path:
    """What nnU-Net leaves of every case, without content."""
    data, truths = preprocessed / name / identifier, preprocessed / name / "gt_segmentations"
    for folder in (data, truths):
        folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        for ending in (".b2nd", "_seg.b2nd", ".pkl"):
            (data / f"{case}{ending}").write_bytes(b"content.")
        (truths / f"{case}.png").touch()
    return data


def read_plans(preprocessed: Path, plans_name: str, *, name: str = DATASET) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((preprocessed / name / f"{plans_name}.json").read_text())
    return content
