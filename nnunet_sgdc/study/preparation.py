"""What has to be there before anything can be trained: raw data sets, plans, preprocessed data, trainers."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from difflib import get_close_matches
from importlib.metadata import entry_points
from io import StringIO
from pathlib import Path

from tqdm import tqdm

from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.trained_model import ALL
from nnunet_sgdc.executables import executable
from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.folders import dataset_name, folder_named
from nnunet_sgdc.study.study_file import StudiedDataset, StudyFile
from nnunet_sgdc.study.training_job import TrainingJob, training_jobs

CONVERTERS = "nnunet_sgdc-convert-"
STOCK_PLANS = {
    "nnUNetPlans": "ExperimentPlanner",
    "nnUNetResEncUNetMPlans": "nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "nnUNetPlannerResEncXL",
}
OUR_PLANS = {
    "nnUNetSGDCPlans": [],
    "nnUNetSGDCResEncUNetMPlans": ["--preset", "M"],
    "nnUNetSGDCResEncUNetLPlans": ["--preset", "L"],
    "nnUNetSGDCResEncUNetXLPlans": ["--preset", "XL"],
}


def check_trainers(study: StudyFile) -> None:
    """Check that nnU-Net finds all trainers, and that none has plans that it cannot do with.

    Args:
        study: The study.

    Raises:
        UserError: A trainer is unknown or does not fit its plans.
    """
    # nnU-Net and torch take seconds to import.
    from nnunet_sgdc.profiling.trainers import find_trainer, has_sgdc

    for entry in study.trainers:
        # nnU-Net tells where it looks.
        with redirect_stdout(StringIO()):
            kind = find_trainer(entry.trainer)
        plans = entry.plans or study.plans
        if plans in OUR_PLANS and not has_sgdc(kind):
            raise StudyError(
                f"{entry.trainer} must have plans of stock nnU-Net, got {plans}, whose network has SGDC: write "
                f"'{{trainer: {entry.trainer}, plans: nnUNetPlans}}'"
            )


def preparation(study: StudyFile) -> list[list[str]]:
    """The commands that are still to be run before the trainings, in their order.

    Args:
        study: The study.

    Raises:
        StudyError: A converter is unknown, or it is not said how something that is missing is made.
    """
    return [command for dataset in study.datasets for command in _commands(study, dataset)]


def prepare(study: StudyFile, commands: Sequence[Sequence[str]], log_folder: Path) -> None:
    """Run the commands of `preparation`, each with a log of its own, and check what they were to make.

    Args:
        study: The study.
        commands: The commands.
        log_folder: Where the logs go.

    Raises:
        StudyError: A command fails, or the data set is still not complete.
        OSError: A log cannot be written.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    for number, command in enumerate(tqdm(commands, "Prepare data sets", unit="step", disable=None), 1):
        log = log_folder / f"prepare_{number}.log"
        with log.open("w") as stream:
            code = subprocess.run([executable(command[0]), *command[1:]], stdout=stream, stderr=stream).returncode
        if code:
            raise StudyError(f"{shlex.join(command)} must end well, but left with {code}: see {log}")
    # Trainers and seeds have these in common.
    for job in {(job.plans_file, job.fold): job for job in training_jobs(study)}.values():
        _check_prepared(job)


def _check_prepared(job: TrainingJob) -> None:
    if not job.plans_file.is_file():
        raise StudyError(
            f"{job.plans_file} must be there by now, but is missing: check 'convert' and 'plan' in the file"
        )
    # For a fold beyond the last, nnU-Net would take a random split.
    count = job.trained_model.expected_folds
    if job.fold != ALL and int(job.fold) >= count:
        raise StudyError(
            f"folds must be below {count}, of which {job.dataset} has no more, got {job.fold}: change the file"
        )


def _commands(study: StudyFile, dataset: StudiedDataset) -> Iterator[list[str]]:
    name = dataset_name(dataset.id)
    preprocessed = folder_named("nnUNet_preprocessed") / name
    if not (folder_named("nnUNet_raw") / name / "dataset.json").is_file() and not preprocessed.is_dir():
        if not dataset.convert:
            there = listed(sorted(path.name for path in folder_named("nnUNet_raw").glob("Dataset*"))) or "none"
            raise StudyError(
                f"datasets must be in nnUNet_raw (there: {there}) or say how they get there, but {dataset.id} is and "
                f"does neither: choose one of them, or add 'convert: {CONVERTERS}...'"
            )
        yield from map(_converter, dataset.convert)
    wanted = dict.fromkeys(entry.plans or study.plans for entry in study.trainers)
    missing = [plans for plans in wanted if not _is_preprocessed(preprocessed, plans, study.configurations)]
    if missing and dataset.plan:
        yield from map(shlex.split, dataset.plan)
    elif missing:
        yield from (_planner(dataset.id, plans, study.configurations) for plans in missing)


def _is_preprocessed(preprocessed: Path, plans: str, configurations: Sequence[str]) -> bool:
    """Whether the plans and the data of all configurations are there; nnU-Net checks the data when it trains."""
    file = preprocessed / f"{plans}.json"
    if not file.is_file():
        return False
    known = json.loads(file.read_text(encoding="utf-8"))["configurations"]
    identifiers = [known[name].get("data_identifier") for name in configurations if name in known]
    return all(identifier and any((preprocessed / identifier).glob("*")) for identifier in identifiers)


def _converter(line: str) -> list[str]:
    command = shlex.split(line)
    known = sorted(
        script.name for script in entry_points(group="console_scripts") if script.name.startswith(CONVERTERS)
    )
    if not command or command[0] not in known:
        near = get_close_matches(command[0] if command else "", known) or known
        raise StudyError(f"convert must begin with one of our converters, got {line!r}: did you mean {listed(near)}?")
    return command


def _planner(identifier: int, plans: str, configurations: Sequence[str]) -> list[str]:
    workers = ["-np", str(max(1, min(8, os.cpu_count() or 1)))]
    which = ["-d", str(identifier), "-c", *configurations, *workers]
    if plans in OUR_PLANS:
        return ["nnunet_sgdc-plan", *which, *OUR_PLANS[plans], "--preprocess"]
    if plans in STOCK_PLANS:
        return ["nnUNetv2_plan_and_preprocess", *which, "-pl", STOCK_PLANS[plans], "--verify_dataset_integrity"]
    near = get_close_matches(plans, [*STOCK_PLANS, *OUR_PLANS])
    hint = f"did you mean {listed(near)}? Otherwise " if near else ""
    raise StudyError(
        f"plans must be there or have a name that says how they are made, but {plans} of data set {identifier} are and "
        f"have not: {hint}add 'plan: ...' with the command that makes them"
    )
