"""What is kept of a run: one file, which appears complete or not at all."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.design_study.variants import Run, Settings

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Result:
    """What came out of a run.

    Attributes:
        run: What was trained.
        scores: Of each test set, by case and metric.
        layer_scales: Mean magnitude of LayerScale after each epoch, by the stride of its stage.
        parameters: Number of weights of the network.
        seconds: How long training and prediction took by the clock, beside whatever else the machine did.
        train_losses: After each epoch.
    """

    run: Run
    scores: Mapping[str, Scores]
    layer_scales: Mapping[str, list[float]]
    parameters: int
    seconds: Mapping[str, float]
    train_losses: list[float]

    def values(self, test_set: str, metric: str) -> dict[str, float]:
        """The value of each case."""
        return {case: scores[metric] for case, scores in self.scores[test_set].items()}


def make_folders(work: Path) -> None:
    """Make the folders of results and of nnU-Net's messages."""
    _folder(work).mkdir(parents=True, exist_ok=True)
    log_file(work, Run("", 0)).parent.mkdir(exist_ok=True)


def log_file(work: Path, run: Run) -> Path:
    """Where the messages of a run go."""
    return work / "logs" / f"{run.name}.txt"


def write(work: Path, settings: Settings, result: Result) -> None:
    """Keep a result.

    Args:
        work: The folder of the study.
        settings: What all runs have in common.
        result: What to keep.
    """
    content = {**asdict(result), **asdict(result.run), "settings": asdict(settings)}
    del content["run"]
    file = _folder(work) / f"{result.run.name}.json"
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, file)


def read(work: Path, settings: Settings) -> list[Result]:
    """All results of these settings.

    Args:
        work: The folder of the study.
        settings: What all runs have in common; others are no part of the study.
    """
    contents = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(_folder(work).glob("*.json"))]
    return [_result(content) for content in contents if content.pop("settings") == asdict(settings)]


def _result(content: dict[str, object]) -> Result:
    return Result(Run(content.pop("variant"), content.pop("seed")), **content)


def _folder(work: Path) -> Path:
    return work / "runs"
