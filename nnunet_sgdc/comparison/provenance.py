"""Where the numbers of a comparison come from: what a reviewer asks for."""

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath

from nnunet_sgdc.comparison.study import Study
from nnunet_sgdc.evaluation.record import EvaluationRecord


def provenance(study: Study, command: str) -> dict[str, dict[str, str]]:
    """For the comparison and each evaluation the name and value of what it depends on.

    Args:
        study: What was compared.
        command: The command line of the comparison.
    """
    compared = {"command": command, "baseline": study.baseline, **_versions(study)}
    return {
        "Comparison": {name: value for name, value in compared.items() if value},
        **{f"{one.trainer} on {one.dataset}, seed {one.seed}": _evaluation(one) for one in study.evaluations},
    }


def _versions(study: Study) -> dict[str, str]:
    """Versions of all tools; several where evaluations were made with different ones."""
    found: dict[str, list[str]] = {}
    for record in study.evaluations:
        for tool, version in record.tools.items():
            found.setdefault(tool, []).append(version)
    return {tool: " and ".join(sorted(set(versions))) for tool, versions in found.items()}


def _evaluation(record: EvaluationRecord) -> dict[str, str]:
    facts = {
        "cases": f"{len(record.cases)}{_folds(record)}",
        "grid": f"{record.grid}, {_sizes(record)}",
        "spacing": _spacing(record),
        "configuration": record.configuration,
        "plans": " ".join(part for part in (record.plans, _short(record.hashes, "plans")) if part),
        "splits": _short(record.hashes, "splits"),
        # Reports are passed on; where else the results lie is nobody's business.
        "model": "/".join(PurePath(record.model).parts[-2:]),
        "evaluated by": record.command,
    }
    return {name: value for name, value in facts.items() if value}


def _folds(record: EvaluationRecord) -> str:
    folds = sorted({case.fold for case in record.cases if case.fold})
    return f", folds {', '.join(folds)}" if folds else ""


def _sizes(record: EvaluationRecord) -> str:
    counts = Counter("{} x {}".format(*case.size) for case in record.cases)
    common, _ = counts.most_common(1)[0]
    return common if len(counts) == 1 else f"{len(counts)} sizes"


def _spacing(record: EvaluationRecord) -> str:
    return "{} x {}".format(*record.settings.spacing) if record.settings.spacing else ""


def _short(hashes: Mapping[str, str], name: str) -> str:
    return f"SHA-256 {hashes[name]}" if hashes.get(name) else ""
