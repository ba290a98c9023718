"""Reports made by hand, for the tests of their text and of their behaviour in a browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from comparisons import made_comparison, made_values
from PIL import Image

from nnunet_sgdc.comparison.report import GalleryEntry, Plot, Report

STOCK, SGDC, SMALL = "nnUNetTrainer", "nnUNetTrainerSGDC", "nnUNetTrainerSGDC_k5"
DATASETS = ("Dataset116_ISIC2016/Ts", "Dataset118_ISIC2018/Ts")
KINDS = ("worst", "median", "best")


def made_picture(file: Path, width: int = 40) -> Path:
    Image.fromarray(np.full((10, width, 3), 200, np.uint8)).save(file)
    return file


def made_gallery(folder: Path, count: int, trainer: str = SGDC) -> list[GalleryEntry]:
    """Cases in turn of both data sets and all kinds."""
    file = made_picture(folder / "case.png")
    return [
        GalleryEntry(DATASETS[n % 2], trainer, f"ISIC_{n:04d}", KINDS[n % 3], "lesion", f"dice {n}", file)
        for n in range(count)
    ]


def made_costs(*hours: float | None) -> pd.DataFrame:
    rows = [(DATASETS[0], f"trainer{n}", "nnUNetPlans 2d", 33_440_802 + n, hour) for n, hour in enumerate(hours)]
    costs = pd.DataFrame(rows, columns=["dataset", "trainer", "plans", "parameters", "training_hours"])
    return costs.assign(activation_bytes=4_312_334_336).astype({"training_hours": "Float64"})


def made_report(folder: Path, **contents: Any) -> Report:
    """A report on three trainers by two metrics, with a plot and a gallery of six."""
    table = dict(zip((STOCK, SGDC, SMALL), made_values(3, 30).values(), strict=True))
    distances = {trainer: [100 * (1 - value) for value in row] for trainer, row in table.items()}
    usual: dict[str, Any] = {
        "title": "Trainers compared",
        "comparisons": [
            made_comparison(table),
            made_comparison(distances, "hd95", unit="px", higher_is_better=False),
        ],
        "cost": made_costs(9.5, None),
        "plots": [Plot("How they differ", made_picture(folder / "plot.png"))],
        "gallery": made_gallery(folder, 6),
        "definitions": {"dice": "2 TP / (2 TP + FP + FN)"},
        "provenance": {"Comparison": {"command": "nnunet_sgdc-compare A B -o C"}},
        "notes": ["nnU-Net is not deterministic."],
    }
    return Report(**(usual | contents))
