"""The report of a study: predictions of the test sets, scores, and the comparison of all trainers over all seeds."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nnunet_sgdc.comparison.compare import ComparisonReport, compare
from nnunet_sgdc.errors import counted
from nnunet_sgdc.evaluation.evaluate_model import default_device, evaluate_model
from nnunet_sgdc.evaluation.model_sets import VALIDATION
from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.folders import study_folder
from nnunet_sgdc.study.job_state import DONE
from nnunet_sgdc.study.status_table import StudyState
from nnunet_sgdc.study.study_file import StudyFile
from nnunet_sgdc.study.training_job import TrainingJob

REPORT = "report"


@dataclass(frozen=True)
class _Model:
    """All folds of one trainer from one seed."""

    jobs: tuple[TrainingJob, ...]

    def evaluate(self, tests: Sequence[str] | None, device: str, command: str) -> list[Path]:
        """Score validation folds and test sets, predicting what is not predicted yet."""
        first = self.jobs[0]
        reports = evaluate_model(
            first.trained_model,
            folds=[job.fold for job in self.jobs],
            sets=None if tests is None else [VALIDATION, *tests],
            device=device,
            trainer=first.label,
            seed=first.schedule.seed or 0,
            command=command,
        )
        return [report.folder for report in reports]


def write_report(
    study: StudyFile, state: StudyState, *, partial: bool, gallery: bool, command: str
) -> ComparisonReport:
    """Predict, score and compare.

    Args:
        study: The study.
        state: How it stands.
        partial: Whether trainers and seeds whose folds are all done are compared although others are missing.
        gallery: Whether pictures of cases are shown.
        command: The command line, for the record.

    Raises:
        StudyError: Trainings are missing.
        UserError: Something cannot be predicted, scored or compared.
        OSError: Something cannot be read or written.
    """
    models = _finished_models(state)
    if state.missing and not partial:
        missing = counted([str(job) for job in state.missing])
        raise StudyError(
            f"all trainings must be done before they are compared, but {missing} are not: give --partial to "
            "compare what is there, or 'run' the study first"
        )
    asked = study.executor.device
    # The machine that writes the report may have no GPU although the trainings had.
    device = default_device() if asked in (None, "cuda") else asked
    tests = {job.dataset: dataset.tests for dataset in study.datasets for job in state.jobs if _is_of(job, dataset.id)}
    evaluations = [
        path
        for model in tqdm(models, "Evaluate", unit="model", disable=None)
        for path in model.evaluate(tests[model.jobs[0].dataset], device, command)
    ]
    return compare(
        evaluations,
        study_folder(study) / REPORT,
        baseline=study.trainers[0].label or study.trainers[0].trainer,
        allow=study.allow,
        device=device,
        gallery=gallery,
        overwrite=True,
        command=command,
    )


def _finished_models(state: StudyState) -> list[_Model]:
    """Trainers and seeds all of whose folds are done."""
    kinds, jobs = defaultdict(set), defaultdict(list)
    for job, stands in zip(state.jobs, state.states, strict=True):
        kinds[job.model].add(stands.kind)
        jobs[job.model].append(job)
    return [_Model(tuple(jobs[model])) for model, found in kinds.items() if found == {DONE}]


def _is_of(job: TrainingJob, identifier: int) -> bool:
    return job.dataset.startswith(f"Dataset{identifier:03d}_")
