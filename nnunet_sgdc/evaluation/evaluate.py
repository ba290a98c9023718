"""Score one trainer on one set of cases and write what comes of it, complete or not at all."""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import fmean
from typing import Any

from nnunet_sgdc.evaluation.averages import (
    MEAN_PER_CASE,
    POOLED_PIXELS,
    WITH_BACKGROUND,
    mean_including_background,
    mean_per_case,
    pooled_pixels,
)
from nnunet_sgdc.evaluation.case_set import CaseSet
from nnunet_sgdc.evaluation.case_table import write_case_table
from nnunet_sgdc.evaluation.counts import Counts
from nnunet_sgdc.evaluation.metrics import DEFINITIONS, RATIOS, Settings
from nnunet_sgdc.evaluation.nuclei import conic_scores
from nnunet_sgdc.evaluation.record import EvaluatedCase, EvaluationRecord, TrainingCost
from nnunet_sgdc.evaluation.report import EvaluationReport
from nnunet_sgdc.evaluation.scoring import ScoredCase, score_set
from nnunet_sgdc.evaluation.summary import write_summary
from nnunet_sgdc.staging import check_apart, check_replaceable, staged


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where predictions come from; see `EvaluationRecord` for the attributes."""

    trainer: str
    seed: int = 0
    configuration: str = ""
    plans: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    cost: TrainingCost | None = None
    command: str = ""


def evaluate(
    cases: CaseSet,
    origin: Origin,
    output: Path,
    *,
    settings: Settings | None = None,
    isic: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
) -> EvaluationReport:
    """Score a set of cases and write `evaluation.json`, `cases.csv` and `summary.json`.

    Args:
        cases: The cases.
        origin: Where their predictions come from.
        output: The folder to write.
        settings: What distances are measured in and against; by default pixels and the standard tolerances.
        isic: Whether the ISIC challenge's own scores are added.
        overwrite: Whether `output` may be replaced.
        workers: Number of processes; None takes one per processor.

    Raises:
        UserError: A file is no label map of the data set, sizes differ, or the output exists or holds what is read.
        OSError: Something cannot be read or written.
    """
    output = output.resolve()
    check_apart(output, *_folders(cases))
    check_replaceable(output, overwrite)
    settings = settings or Settings()
    scored = score_set(cases, settings, isic, workers)
    record = EvaluationRecord(
        dataset=cases.name,
        grid=cases.grid,
        settings=settings,
        classes=cases.labels.classes,
        ignore_label=cases.labels.ignore_label,
        cases=tuple(_evaluated(one) for one in scored),
        averages=averages(scored),
        definitions=DEFINITIONS,
        challenge=_challenge_scores(scored),
        tools=_tools(),
        **{name: getattr(origin, name) for name in origin.__dataclass_fields__},
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with staged(output, overwrite) as folder:
        record.write(folder)
        write_case_table(folder, record.dataset, record.trainer, record.seed, scored)
        write_summary(folder, cases.labels, scored)
    return EvaluationReport(output, record, cases.notes)


def averages(scored: Sequence[ScoredCase]) -> dict[str, dict[str, Any]]:
    """The averages of each of the three score families, with None for what no case defines."""
    classes = {name: [one.classes[name] for one in scored] for name in scored[0].classes}
    families = {
        MEAN_PER_CASE: {name: asdict(mean_per_case(scores)) for name, scores in classes.items()},
        POOLED_PIXELS: {name: _ratios(pooled_pixels(scores)) for name, scores in classes.items()},
        WITH_BACKGROUND: mean_including_background([one.counts for one in scored]),
    }
    return {name: _without_nan(family) for name, family in families.items()}


def _ratios(counts: Counts) -> dict[str, float]:
    return {name: getattr(counts, name) for name in RATIOS}


def _without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON has not."""
    if isinstance(value, Mapping):
        return {name: _without_nan(one) for name, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _folders(cases: CaseSet) -> set[Path]:
    """All folders that files are read from."""
    return {path.parent for case in cases.cases for path in (case.truth, case.prediction, *case.images)}


def _evaluated(scored: ScoredCase) -> EvaluatedCase:
    case = scored.case
    return EvaluatedCase(
        id=case.id,
        fold=case.fold,
        cluster=case.cluster or case.id,
        size=scored.size,
        truth=str(case.truth),
        prediction=str(case.prediction),
        images=tuple(map(str, case.images)),
    )


def _challenge_scores(scored: Sequence[ScoredCase]) -> dict[str, Any]:
    nuclei = [one.nuclei for one in scored if one.nuclei]
    scores = {"CoNIC": _without_nan(asdict(conic_scores(nuclei)))} if nuclei else {}
    if scored[0].isic:
        scores["ISIC"] = {name: fmean(one.isic[name] for one in scored) for name in scored[0].isic}
    return scores


def _tools() -> dict[str, str]:
    libraries = {name: metadata.version(name) for name in ("nnunet_sgdc", "nnunetv2", "numpy", "pillow", "scipy")}
    return {**libraries, "python": platform.python_version()}
