"""Study files: what may stand in them, and what is said about mistakes."""

from pathlib import Path

import pytest

from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.study_file import LocalExecutor, SlurmExecutor, read_study_file

STUDIES = Path(__file__).parents[1] / "studies"
LEAST = "name: mine\ndatasets: [7]\ntrainers: [nnUNetTrainer]\n"


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_files_that_come_along_are_read(path: Path) -> None:
    assert read_study_file(path).name == path.stem


def test_a_name_a_data_set_and_a_trainer_are_enough(written) -> None:
    study = read_study_file(written(LEAST))
    assert (study.folds, study.seeds, study.configurations) == ((0, 1, 2, 3, 4), None, ("2d",))
    assert study.executor == LocalExecutor()


def test_single_values_stand_for_lists(written) -> None:
    study = read_study_file(written("name: mine\ndatasets: 7\ntrainers: nnUNetTrainer\nfolds: 0\nseeds: 3\n"))
    assert (study.datasets[0].id, study.trainers[0].trainer, study.folds, study.seeds) == (
        7,
        "nnUNetTrainer",
        (0,),
        (3,),
    )


def test_data_sets_and_trainers_may_say_more_about_themselves(written) -> None:
    text = """
name: mine
datasets: [7, {id: 8, convert: nnunet_sgdc-convert-isic ISIC 8, tests: Ts}]
trainers: [nnUNetTrainer, {trainer: nnUNetTrainer, plans: nnUNetResEncUNetMPlans, label: residual}]
"""
    study = read_study_file(written(text))
    assert study.datasets[1].convert == ("nnunet_sgdc-convert-isic ISIC 8",)
    assert study.datasets[1].tests == ("Ts",)
    assert study.trainers[1].label == "residual"


def test_an_executor_without_a_kind_is_this_machine(written) -> None:
    assert read_study_file(written(f"{LEAST}executor: {{workers: 2}}")).executor == LocalExecutor(workers=2)


def test_an_executor_may_be_slurm(written) -> None:
    executor = read_study_file(written(f"{LEAST}executor: {{kind: slurm, partition: gpu, hours: 0.5}}")).executor
    assert executor == SlurmExecutor(kind="slurm", partition="gpu", hours=0.5)


MISTAKES = {
    f"{LEAST}epoch: 3\n": "epoch is no key of a study: did you mean epochs",
    f"{LEAST}executor: {{kind: slurm, partitoin: gpu}}\n": "partitoin is no key of a study: did you mean partition",
    f"{LEAST}zzz: 3\n": "zzz is no key of a study: choose among name, datasets",
    f"{LEAST}executor: {{kind: pbs}}\n": r"executor\.kind must be local or slurm, got 'pbs': choose one of them",
    f"{LEAST}epochs: 0\n": r"epochs is not as it must be \(input should be greater than 0\), got 0: change it",
    f"{LEAST}seeds: [-1]\n": r"seeds\.0 is not as it must be .*, got -1",
    "name: mine\ntrainers: [nnUNetTrainer]\n": "datasets must be given, but is missing: add it",
    "name: mine\ndatasets: []\ntrainers: [nnUNetTrainer]\n": "datasets is not as it must be .* at least 1",
    "name: my study\ndatasets: [7]\ntrainers: [nnUNetTrainer]\n": "name is not as it must be .*, got 'my study'",
    "name: mine\ndatasets: [1000]\ntrainers: [nnUNetTrainer]\n": r"datasets\.0\.id .* less than or equal to 999",
    "- a\n- b\n": "must hold keys and values, as in 'name: mine', got list",
    "name: [\n": "must be YAML, but is not",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_mistake_is_told_in_one_sentence(written, text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        read_study_file(written(text))
    assert "\n" not in str(caught.value)
