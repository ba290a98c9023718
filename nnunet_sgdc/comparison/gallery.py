"""Pictures of the best, the median and the worst case of every trainer: numbers one can look at."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from tqdm import tqdm

from nnunet_sgdc.comparison.report import GalleryEntry
from nnunet_sgdc.comparison.results import MetricComparison
from nnunet_sgdc.comparison.study import Study
from nnunet_sgdc.evaluation.boundary_map import BoundaryMapper
from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.gallery import draw_contact_sheet
from nnunet_sgdc.evaluation.panel import Panel
from nnunet_sgdc.evaluation.record import EvaluatedCase, EvaluationRecord
from nnunet_sgdc.evaluation.selection import from_worst_to_best
from nnunet_sgdc.evaluation.shown_case import ShownCase
from nnunet_sgdc.networks import gives_boundary

SHOWN = 3
# By the number of cases that are shown.
KINDS = {1: ("median",), 2: ("worst", "best"), 3: ("worst", "median", "best")}


class Gallery:
    """Draws the cases that stand for a trainer.

    Args:
        folder: Where the pictures go.
        device: Where boundary maps are predicted: "cuda", "mps" or "cpu".
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.folder = folder
        self._device = torch.device(device)
        self._mapper = cache(self._load_mapper)

    def draw(self, study: Study, comparisons: Sequence[MetricComparison]) -> list[GalleryEntry]:
        """Draw the worst, the median and the best case of every trainer on every data set.

        Cases are ranked by the first comparison of their data set. Of several seeds the first is drawn.

        Args:
            study: What was compared.
            comparisons: What was found.

        Raises:
            UserError: A file of a case is missing or damaged.
            OSError: A file cannot be read or written.
        """
        self.folder.mkdir()
        chosen = list(_chosen(study, comparisons))
        return [self._draw(*one) for one in tqdm(chosen, "Draw cases", unit="case", leave=False, disable=None)]

    def _draw(
        self, record: EvaluationRecord, case: EvaluatedCase, kind: str, comparisons: Sequence[MetricComparison]
    ) -> GalleryEntry:
        scores = ", ".join(_score(comparison, record.trainer, case.id) for comparison in comparisons)
        file = self.folder / f"{record.dataset}__{record.trainer}__{kind}.png".replace("/", "_")
        draw_contact_sheet([self._panel(record, case, f"{case.id}: {scores}")], file)
        return GalleryEntry(
            dataset=record.dataset,
            trainer=record.trainer,
            case=case.id,
            kind=kind,
            class_name=comparisons[0].class_name,
            scores=scores,
            file=file,
        )

    def _panel(self, record: EvaluationRecord, case: EvaluatedCase, title: str) -> Panel:
        mapper = self._mapper(record.model, case.fold) if _has_boundaries(record) else None
        images = tuple(map(Path, case.images))
        shown = ShownCase(case.id, images, Path(case.prediction), Path(case.truth))
        labels = LabelScheme(record.classes, record.ignore_label)
        return replace(shown.panel(labels, {}, mapper(*images) if mapper else None), title=title)

    def _load_mapper(self, model: str, folds: str) -> BoundaryMapper:
        return BoundaryMapper.of_model(Path(model), folds.split("+"), self._device)


def _chosen(
    study: Study, comparisons: Sequence[MetricComparison]
) -> Iterator[tuple[EvaluationRecord, EvaluatedCase, str, Sequence[MetricComparison]]]:
    """Record, case, kind and the comparisons that its scores are taken from."""
    for dataset in study.datasets:
        of_dataset = [comparison for comparison in comparisons if comparison.dataset == dataset]
        shown = [comparison for comparison in of_dataset if comparison.class_name == of_dataset[0].class_name]
        records = {record.trainer: record for record in reversed(study.evaluations_on(dataset))}
        for trainer in study.trainers:
            # Foreign tables have no files, and unknown data sets no images.
            record = records.get(trainer)
            cases = {case.id: case for case in record.cases if case.images} if record else {}
            if record and cases:
                ranked = from_worst_to_best(_quality(shown[0], trainer, cases), SHOWN)
                for kind, case in zip(KINDS[len(ranked)], ranked, strict=True):
                    yield record, cases[case], kind, shown


def _quality(comparison: MetricComparison, trainer: str, cases: Mapping[str, EvaluatedCase]) -> dict[str, float]:
    sign = 1 if comparison.higher_is_better else -1
    return {case: sign * value for case, value in comparison.values[trainer].items() if case in cases}


def _score(comparison: MetricComparison, trainer: str, case: str) -> str:
    value = f"{comparison.values[trainer][case]:.3g}"
    return " ".join(part for part in (comparison.metric, value, comparison.unit) if part)


def _has_boundaries(record: EvaluationRecord) -> bool:
    plans = Path(record.model, "plans.json")
    if not (record.model and plans.is_file()):
        return False
    configuration = json.loads(plans.read_text(encoding="utf-8"))["configurations"][record.configuration]
    return gives_boundary(configuration.get("architecture", {}))
