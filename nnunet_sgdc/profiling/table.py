"""What profiling prints, and the same numbers as a CSV file."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from nnunet_sgdc.profiling.flops import COUNTED
from nnunet_sgdc.profiling.profile import Cost, Profile
from nnunet_sgdc.profiling.timing import WARM_UP


@dataclass(frozen=True)
class Quantity:
    """A column of the table.

    Attributes:
        name: Of the attribute, and of the column of the CSV file.
        header: What is printed above the column.
        unit: What is printed below that.
        divisor: Size of the unit.
        digits: Decimals that are printed.
        missing: What is printed where there is no number.
    """

    name: str
    header: str
    unit: str
    divisor: float
    digits: int
    missing: str

    def values(self, costs: Sequence[Cost]) -> list[float | None]:
        """The number of every trainer, None where there is none."""
        sources = [{**vars(cost.counts), **vars(cost.measurements)} for cost in costs]
        return [source[self.name] for source in sources]


UNKNOWN, OUT_OF_MEMORY = "?", "out of memory"
PEAK = Quantity("peak_bytes", "peak memory", "MB", 1e6, 0, OUT_OF_MEMORY)
QUANTITIES = (
    Quantity("parameters", "parameters", "M", 1e6, 2, UNKNOWN),
    Quantity("flops", "forward pass", "GFLOP", 1e9, 2, UNKNOWN),
    Quantity("activation_bytes", "activations", "MB", 1e6, 1, UNKNOWN),
    Quantity("step_seconds", "training step", "ms", 1e-3, 1, OUT_OF_MEMORY),
    Quantity("prediction_seconds", "prediction", "ms", 1e-3, 1, OUT_OF_MEMORY),
    PEAK,
)
MEANINGS = (
    "In brackets: the ratio to the first row. MB: 10^6 bytes.",
    f"forward pass: one patch, as in prediction; counted are {COUNTED}, two for a multiply-add.",
    "activations: what a training step keeps from its forward to its backward pass, computed for float32.",
    "training step: forward pass, loss, backward pass and optimizer on a random batch; loading data is not included.",
    "prediction: one forward pass of one patch, without mirroring.",
)
PEAK_MEANING = "peak memory: the most that PyTorch held at a time for a trainer and a training step of it."


def as_text(profile: Profile) -> str:
    """The table, what it is of, and what its columns mean."""
    meanings = [*MEANINGS, PEAK_MEANING] if profile.is_cuda else MEANINGS
    return "\n".join([*_head(profile), "", _table(profile), "", *meanings, *profile.notes])


def write_csv(profile: Profile, path: Path) -> None:
    """Write the numbers in full, a row for each trainer; the file appears complete or not at all.

    Numbers that are unknown, or that there was no memory for, are left empty, as are their ratios.

    Raises:
        OSError: The file cannot be written.
    """
    rows = _records(profile)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def ratios(values: Sequence[float | None]) -> list[float | None]:
    """What every number is of the first; None where either is missing, or the first is 0."""
    first = values[0]
    return [value / first if value is not None and first else None for value in values]


def _head(profile: Profile) -> list[str]:
    setting, configured = profile.setting, profile.setting.configured
    patch = " x ".join(map(str, configured.patch_size))
    return [
        f"{setting.dataset}, {setting.plans_name}, {setting.configuration}: patch {patch}, batch size "
        f"{configured.batch_size}, {setting.channels} channels, {setting.outputs}",
        f"{profile.device}, torch {torch.__version__}, {profile.threads} threads; times are medians of "
        f"{profile.repetitions} repetitions, after {WARM_UP} to warm up, of the trainers in turn",
    ]


def _quantities(profile: Profile) -> list[Quantity]:
    return [quantity for quantity in QUANTITIES if profile.is_cuda or quantity is not PEAK]


def _table(profile: Profile) -> str:
    quantities = _quantities(profile)
    columns = [[cost.trainer for cost in profile.costs], *(_cells(quantity, profile.costs) for quantity in quantities)]
    headers = ["trainer\n", *(f"{quantity.header}\n{quantity.unit}" for quantity in quantities)]
    align = ("left", *("right" for _ in quantities))
    rows = list(zip(*columns, strict=True))
    table: str = tabulate(rows, headers=headers, disable_numparse=True, colalign=align)
    return table


def _cells(quantity: Quantity, costs: Sequence[Cost]) -> list[str]:
    values = quantity.values(costs)
    return [_cell(quantity, value, ratio) for value, ratio in zip(values, ratios(values), strict=True)]


def _cell(quantity: Quantity, value: float | None, ratio: float | None) -> str:
    if value is None:
        return quantity.missing
    shown = f"{value / quantity.divisor:.{quantity.digits}f}"
    return shown if ratio is None else f"{shown} ({ratio:.2f} x)"


def _records(profile: Profile) -> list[dict[str, Any]]:
    columns: dict[str, Sequence[Any]] = {"trainer": [cost.trainer for cost in profile.costs]}
    for quantity in _quantities(profile):
        values = quantity.values(profile.costs)
        columns |= {quantity.name: values, f"{quantity.name}_ratio": ratios(values)}
    rows = zip(*columns.values(), strict=True)
    return [{**_context(profile), **dict(zip(columns, row, strict=True))} for row in rows]


def _context(profile: Profile) -> dict[str, Any]:
    setting, configured = profile.setting, profile.setting.configured
    return {
        "dataset": setting.dataset,
        "plans": setting.plans_name,
        "configuration": setting.configuration,
        "patch": "x".join(map(str, configured.patch_size)),
        "batch_size": configured.batch_size,
        "device": profile.device,
        "torch": torch.__version__,
        "threads": profile.threads,
        "repetitions": profile.repetitions,
    }
