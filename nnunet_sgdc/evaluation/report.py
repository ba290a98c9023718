"""What an evaluation prints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from nnunet_sgdc.evaluation.averages import MEAN_PER_CASE, POOLED_PIXELS, WITH_BACKGROUND
from nnunet_sgdc.evaluation.record import EvaluationRecord

SHOWN = ("dice", "iou", "sensitivity", "specificity", "precision", "hd95", "hd95_percent", "assd", "boundary_iou")
ABSENCES = ("missed", "false_alarms", "both_empty")


@dataclass(frozen=True)
class EvaluationReport:
    """What was evaluated; its text is the summary for the reader.

    Attributes:
        folder: Where it was written.
        record: What it says.
        notes: What the reader should know of the set of cases and of the model.
    """

    folder: Path
    record: EvaluationRecord
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        record = self.record
        title = f"{record.trainer} on {record.dataset}: {len(record.cases)} cases, {self._grid()}"
        parts = [title, self._table(), self._other_families(), *self._challenges(), *self.notes, f"-> {self.folder}"]
        return "\n".join(parts)

    def _grid(self) -> str:
        sizes = sorted({case.size for case in self.record.cases})
        pixels = "{} x {}".format(*sizes[0]) if len(sizes) == 1 else f"{len(sizes)} sizes"
        spacing = self.record.settings.spacing
        unit = "pixels" if spacing is None else "the unit of the spacing {} x {}".format(*spacing)
        return f"{self.record.grid} ({pixels}), distances in {unit}"

    def _table(self) -> str:
        """A row for each metric, a column for each class."""
        means = self.record.averages[MEAN_PER_CASE]
        nsd = (f"nsd@{tolerance:g}" for tolerance in self.record.settings.tolerances)
        rows = [[metric, *(_shown(mean["means"][metric]) for mean in means.values())] for metric in (*SHOWN, *nsd)]
        rows += [[kind.replace("_", " "), *(mean[kind] for mean in means.values())] for kind in ABSENCES]
        table: str = tabulate(rows, headers=[MEAN_PER_CASE, *means], disable_numparse=True, stralign="right")
        return table

    def _other_families(self) -> str:
        """Averages that must not be compared with means per case, named as what they are."""
        pooled, with_background = (self.record.averages[name] for name in (POOLED_PIXELS, WITH_BACKGROUND))
        parts = [f"{name} {_overlaps(ratios)}" for name, ratios in pooled.items()]
        return f"{POOLED_PIXELS}: {'; '.join(parts)}\n{WITH_BACKGROUND}: {_overlaps(with_background)}"

    def _challenges(self) -> list[str]:
        return [f"{name}: {_flat(scores)}" for name, scores in self.record.challenge.items()]


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _overlaps(ratios: Mapping[str, float]) -> str:
    return f"Dice {ratios['dice']:.4f}, IoU {ratios['iou']:.4f}"


def _flat(scores: dict[str, Any]) -> str:
    numbers = {name: value for name, value in scores.items() if isinstance(value, float)}
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())
