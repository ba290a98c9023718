"""The YAML file that describes a study: what is trained, where, and on what it is tested."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError
from pydantic import NonNegativeInt as Count

from nnunet_sgdc.errors import listed
from nnunet_sgdc.study.errors import StudyError

DEFAULT_PLANS = "nnUNetPlans"
Device = Literal["cuda", "cpu", "mps"]


def _as_list(value: Any) -> Any:
    """A single value where a list is expected."""
    return value if isinstance(value, list) else [value]


def _as_entry(key: str) -> BeforeValidator:
    """A plain value where a mapping with this key is expected."""
    return BeforeValidator(lambda value: value if isinstance(value, Mapping | BaseModel) else {key: value})


OneOrMore = BeforeValidator(_as_list)
Texts = Annotated[tuple[str, ...], OneOrMore]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudiedDataset(_Part):
    """A data set.

    Attributes:
        id: nnU-Net's number.
        convert: Commands `nnunet_sgdc-convert-*` that make the raw data set where it is missing, one after the other.
        plan: Commands that plan and preprocess it where the plans are missing; left out, those that the name of the
            plans stands for.
        tests: On what `report` tests, as in `Ts` and `external_PH2`; left out, on all sets that have their truth.
    """

    id: int = Field(ge=1, le=999)
    convert: Texts = ()
    plan: Texts = ()
    tests: Texts | None = None


class StudiedTrainer(_Part):
    """A trainer.

    Attributes:
        trainer: Its name, without length and seed.
        plans: Plans that it trains on; left out, those of the study.
        label: What the report calls it; left out, its name.
    """

    trainer: str
    plans: str | None = None
    label: str | None = None


class LocalExecutor(_Part):
    """This machine.

    Attributes:
        kind: `local`.
        device: Where to train; left out, on CUDA if there is any.
        gpus: Numbers of the GPUs to use, one training on each; left out, all.
        workers: Trainings at once where there are no GPUs.
    """

    kind: Literal["local"] = "local"
    device: Device | None = None
    gpus: tuple[Count, ...] | None = None
    workers: PositiveInt = 1


class SlurmExecutor(_Part):
    """A cluster under Slurm; every training is one task of an array job.

    Attributes:
        kind: `slurm`.
        device: Where to train.
        partition: Partition; left out, the cluster's default.
        gpus: GPUs of one training; several are nnU-Net's `-num_gpus`.
        cpus: Processors of one training.
        memory_gb: Memory of one training in GB; left out, the cluster's default.
        hours: Time after which a job is stopped; it then goes on in another one, from its last checkpoint.
        notice_seconds: How long before that it is told.
        parallel: Largest number of trainings at once.
        requeues: How often a job may go on after its time was over.
        setup: Shell commands that come before, as in `module load cuda`.
        options: Other options of `sbatch`, as in `{account: me, gres: gpu:a100:1}`.
    """

    kind: Literal["slurm"]
    device: Device = "cuda"
    partition: str | None = None
    gpus: Count = 1
    cpus: PositiveInt = 8
    memory_gb: PositiveFloat | None = None
    hours: PositiveFloat = 24
    notice_seconds: PositiveInt = 90
    parallel: PositiveInt = 256
    requeues: Count = 20
    setup: Texts = ()
    options: dict[str, Any] = {}


class StudyFile(_Part):
    """A study: every trainer on every data set, configuration and fold, from every seed.

    Attributes:
        name: Name of the study and of its folder in nnUNet_results.
        datasets: Data sets.
        trainers: Trainers; the first is the baseline of the report.
        configurations: nnU-Net's configurations.
        folds: Folds.
        plans: Name of nnU-Net's plans.
        seeds: Seeds, one training of each; left out, nothing is fixed and each training is done once.
        epochs: Epochs of every training; left out, the trainer's own number, 1000 for nnU-Net's.
        iterations: Batches of an epoch; left out, nnU-Net's 250.
        retries: How often a training that fails is tried again.
        allow: What may differ between trainers in the report, as in `nnunet_sgdc-compare --allow`.
        environment: Variables for every training, as in `{nnUNet_n_proc_DA: 8}`.
        executor: Where trainings run.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    datasets: Annotated[tuple[Annotated[StudiedDataset, _as_entry("id")], ...], OneOrMore] = Field(min_length=1)
    trainers: Annotated[tuple[Annotated[StudiedTrainer, _as_entry("trainer")], ...], OneOrMore] = Field(min_length=1)
    configurations: Annotated[tuple[str, ...], OneOrMore] = Field(("2d",), min_length=1)
    folds: Annotated[tuple[Count | Literal["all"], ...], OneOrMore] = Field((0, 1, 2, 3, 4), min_length=1)
    plans: str = DEFAULT_PLANS
    seeds: Annotated[tuple[Count, ...], OneOrMore] | None = None
    epochs: PositiveInt | None = None
    iterations: PositiveInt | None = None
    retries: Count = 1
    allow: Texts = ()
    environment: dict[str, str | int] = {}
    executor: Annotated[LocalExecutor | SlurmExecutor, Field(discriminator="kind")] = LocalExecutor()


def read_study_file(path: Path) -> StudyFile:
    """Read and check a study file; nothing that it names is looked for.

    Args:
        path: The YAML file.

    Raises:
        StudyError: It is no YAML, or a key or value in it is not as it must be.
        OSError: It cannot be read.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} must be YAML, but is not ({' '.join(str(error).split())}): put that right") from error
    if not isinstance(content, dict):
        raise StudyError(
            f"{path} must hold keys and values, as in 'name: mine', got {type(content).__name__}: see studies/"
        )
    executor = content.get("executor")
    if isinstance(executor, dict):
        # Where nothing else is said, trainings run here.
        content["executor"] = {"kind": "local", **executor}
    try:
        return StudyFile.model_validate(content)
    except ValidationError as error:
        raise StudyError(f"{path}: {_sentence(error.errors()[0])}") from error


def _sentence(error: Any) -> str:
    *parents, last = error["loc"] or ("the file",)
    place = ".".join(map(str, [*parents, last]))
    match error["type"]:
        case "extra_forbidden":
            return f"{place} is no key of a study: {_nearest(str(last), _known_keys())}"
        case "missing":
            return f"{place} must be given, but is missing: add it"
        case "union_tag_invalid":
            return f"{place}.kind must be local or slurm, got {error['input'].get('kind')!r}: choose one of them"
    return (
        f"{place} is not as it must be ({error['msg'][0].lower()}{error['msg'][1:]}), got {error['input']!r}: change it"
    )


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known)
    return f"did you mean {' or '.join(near)}?" if near else f"choose among {listed(known)}"


def _known_keys() -> list[str]:
    parts = (StudyFile, StudiedDataset, StudiedTrainer, LocalExecutor, SlurmExecutor)
    return list(dict.fromkeys(key for part in parts for key in part.model_fields))
