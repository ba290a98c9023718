"""One training of a study: which command does it, and where nnU-Net puts what comes out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.trained_model import TrainedModel
from nnunet_sgdc.schedule import Schedule
from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.folders import dataset_name, folder_named
from nnunet_sgdc.study.study_file import StudyFile


@dataclass(frozen=True)
class TrainingJob:
    """One training.

    Attributes:
        dataset: Full name of the data set, as in `Dataset116_ISIC2016`.
        trainer: Name of the trainer, without length and seed.
        schedule: Its length and seed.
        plans: Name of nnU-Net's plans.
        configuration: nnU-Net's configuration.
        fold: Fold.
        label: What reports call the trainer.
    """

    dataset: str
    trainer: str
    schedule: Schedule
    plans: str
    configuration: str
    fold: str
    label: str

    def __str__(self) -> str:
        return f"{self.dataset} {self.configuration} {self.trainer_name} {self.plans} fold {self.fold}"

    @property
    def trainer_name(self) -> str:
        """The name that nnU-Net is told, length and seed included."""
        return f"{self.trainer}{self.schedule}"

    @property
    def model(self) -> Path:
        """nnU-Net's folder of all folds of the training."""
        name = f"{self.trainer_name}__{self.plans}__{self.configuration}"
        return folder_named("nnUNet_results") / self.dataset / name

    @property
    def folder(self) -> Path:
        """nnU-Net's folder of the training."""
        return self.model / f"fold_{self.fold}"

    @property
    def trained_model(self) -> TrainedModel:
        """What evaluations know of all folds of the training."""
        return TrainedModel(self.model, self.dataset, self.trainer_name, self.configuration, self.plans)

    @property
    def is_finished(self) -> bool:
        """Whether the training and its validation have come to their end."""
        return self.trained_model.is_finished(self.fold)

    @property
    def plans_file(self) -> Path:
        """The plans that it is to be trained on."""
        return folder_named("nnUNet_preprocessed") / self.dataset / f"{self.plans}.json"

    def command(self, device: str, gpus: int) -> list[str]:
        """The command that trains, or goes on with a training that was interrupted.

        Args:
            device: Where to train.
            gpus: Number of GPUs.
        """
        what = [self.dataset, self.configuration, self.fold, "-tr", self.trainer_name, "-p", self.plans]
        several = ["-num_gpus", str(gpus)] if gpus > 1 else []
        # Without a checkpoint nnU-Net starts anew.
        return ["nnUNetv2_train", *what, "-device", device, *several, "--c"]

    def unseeded(self) -> "TrainingJob":
        """The job without its seed, which all seeds share."""
        return replace(self, schedule=replace(self.schedule, seed=None))


def training_jobs(study: StudyFile) -> list[TrainingJob]:
    """All trainings of a study, in the order of the file; data sets that are not converted yet have a stand-in name.

    Args:
        study: The study.

    Raises:
        StudyError: Two trainers of the study would write the same folder, or have the same label.
    """
    jobs = list(_expanded(study))
    again = [job for job, count in Counter(replace(job, label="") for job in jobs).items() if count > 1]
    if again:
        raise StudyError(f"every training must come once, but {again[0]} comes again: remove one from the file")
    _check_labels(study)
    return jobs


def _expanded(study: StudyFile) -> Iterator[TrainingJob]:
    names = {dataset.id: dataset_name(dataset.id) for dataset in study.datasets}
    seeds = (None,) if study.seeds is None else study.seeds
    axes = (study.datasets, study.configurations, study.folds, seeds, study.trainers)
    # Reports tell trainers apart, not configurations.
    several = len(study.configurations) > 1
    for dataset, configuration, fold, seed, trainer in product(*axes):
        yield TrainingJob(
            dataset=names[dataset.id],
            trainer=trainer.trainer,
            schedule=Schedule(study.epochs, study.iterations, seed),
            plans=trainer.plans or study.plans,
            configuration=configuration,
            fold=str(fold),
            label=f"{trainer.label or trainer.trainer}{f' {configuration}' if several else ''}",
        )


def _check_labels(study: StudyFile) -> None:
    labels = [trainer.label or trainer.trainer for trainer in study.trainers]
    again = sorted({label for label in labels if labels.count(label) > 1})
    if again:
        raise StudyError(
            f"trainers must have labels of their own, but {listed(again)} comes again: add 'label: ...' to one of them"
        )
