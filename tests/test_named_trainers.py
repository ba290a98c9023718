"""Trainers whose names say their length and seed: nnU-Net finds them, and they do what the name says."""

import re
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from test_trainer import MakeTrainer, make_trainer, train_one_epoch
from torch.testing import assert_close

from nnunet_sgdc import trainers
from nnunet_sgdc.schedule import Schedule, split_name
from nnunet_sgdc.trainers import nnUNetTrainerBoundary, nnUNetTrainerSGDC
from nnunet_sgdc.trainers.named import named_trainer

pytestmark = pytest.mark.usefixtures("one_thread")

__all__ = ["make_trainer"]


@pytest.mark.parametrize(
    ("name", "trainer", "schedule"),
    [
        ("nnUNetTrainer", "nnUNetTrainer", Schedule()),
        ("nnUNetTrainer_seed0", "nnUNetTrainer", Schedule(seed=0)),
        ("nnUNetTrainerSGDC_1epoch", "nnUNetTrainerSGDC", Schedule(epochs=1)),
        ("nnUNetTrainerSGDC_300epochs_seed12", "nnUNetTrainerSGDC", Schedule(300, None, 12)),
        ("nnUNetTrainerDA5_20epochs_8iterations_seed1", "nnUNetTrainerDA5", Schedule(20, 8, 1)),
        ("nnUNetTrainerSGDC_demo", "nnUNetTrainerSGDC_demo", Schedule()),
        ("nnUNetTrainer_0epochs", "nnUNetTrainer_0epochs", Schedule()),
        ("nnUNetTrainer_seed1_20epochs", "nnUNetTrainer_seed1", Schedule(20)),
    ],
)
def test_a_name_is_taken_apart(name: str, trainer: str, schedule: Schedule) -> None:
    assert split_name(name) == (trainer, schedule)


@pytest.mark.parametrize(("epochs", "iterations", "seed"), [*product([None, 20], [None, 8], [None, 0, 3])])
def test_a_schedule_survives_its_name(epochs: int | None, iterations: int | None, seed: int | None) -> None:
    schedule = Schedule(epochs, iterations, seed)
    assert split_name(f"nnUNetTrainerSGDC{schedule}") == ("nnUNetTrainerSGDC", schedule)


@pytest.mark.parametrize("base", ["nnUNetTrainer", "nnUNetTrainerNoMirroring", "nnUNetTrainerBoundary"])
def test_nnunet_finds_every_trainer_with_a_length_and_a_seed(base: str) -> None:
    found = recursive_find_trainer_class_by_name(f"{base}_7epochs_seed3")
    assert found.__name__ == f"{base}_7epochs_seed3"
    assert issubclass(found, recursive_find_trainer_class_by_name(base))
    assert found is recursive_find_trainer_class_by_name(f"{base}_7epochs_seed3")


def test_a_trainer_in_a_folder_of_the_user_is_found_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from nnunet_sgdc.trainers import nnUNetTrainerSGDC\nclass nnUNetTrainerMine(nnUNetTrainerSGDC):\n    pass\n"
    )
    monkeypatch.setenv("nnUNet_extTrainer", f"{tmp_path}:{Path(trainers.__file__).parents[0]}")
    assert issubclass(named_trainer("nnUNetTrainerMine_seed1"), nnUNetTrainerSGDC)


@pytest.mark.parametrize("name", ["nnUNetTrainerSGCD_seed1", "nnUNetTrainerSGDC_seed", "nnUNetTrainerNone"])
def test_nnunet_refuses_names_that_say_nothing_it_knows(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"Could not find requested nnunet trainer {name}"):
        recursive_find_trainer_class_by_name(name)


def test_other_names_are_no_attributes_of_the_module() -> None:
    with pytest.raises(AttributeError, match="nnUNetTrainerNone"):
        trainers.nnUNetTrainerNone  # noqa: B018  looked up for its error


@pytest.mark.parametrize("length", [1, 5, 20, 50, 100, 250, 500])
@pytest.mark.parametrize("base", ["nnUNetTrainerSGDC", "nnUNetTrainerStaticConv"])
def test_a_length_is_that_of_its_name(make_trainer: MakeTrainer, base: str, length: int) -> None:
    trainer = make_trainer(getattr(trainers, f"{base}_{length}epoch{'s' if length > 1 else ''}"))
    assert (trainer.num_epochs, trainer.num_iterations_per_epoch) == (length, 250)


@pytest.mark.parametrize(("iterations", "validated"), [(3, 1), (50, 10), (250, 50)])
def test_a_fifth_of_the_iterations_is_validated(make_trainer: MakeTrainer, iterations: int, validated: int) -> None:
    trainer = make_trainer(named_trainer(f"nnUNetTrainer_{iterations}iterations"))
    assert (trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch) == (iterations, validated)


@pytest.mark.parametrize(("length", "every"), [(1, 1), (5, 1), (100, 10), (500, 50)])
@pytest.mark.parametrize("base", ["nnUNetTrainer", "nnUNetTrainerSGDC"])
def test_a_short_training_saves_a_checkpoint_every_tenth_of_it(
    make_trainer: MakeTrainer, base: str, length: int, every: int
) -> None:
    assert make_trainer(named_trainer(f"{base}_{length}epochs")).save_every == every


def first_weights(make_trainer: MakeTrainer, name: str) -> dict[str, torch.Tensor]:
    trainer = make_trainer(named_trainer(name))
    trainer.initialize()
    return {key: value.clone() for key, value in trainer.network.state_dict().items()}


@pytest.mark.parametrize("base", ["nnUNetTrainer", "nnUNetTrainerSGDC"])
def test_a_seed_decides_the_first_weights(make_trainer: MakeTrainer, base: str) -> None:
    torch.manual_seed(1)
    once = first_weights(make_trainer, f"{base}_seed4")
    torch.manual_seed(2)
    assert_close(first_weights(make_trainer, f"{base}_seed4"), once, rtol=0, atol=0)
    other = first_weights(make_trainer, f"{base}_seed5")
    assert any((other[key] != once[key]).any() for key in once)


def test_without_a_seed_nothing_is_fixed(make_trainer: MakeTrainer) -> None:
    torch.manual_seed(1)
    once = first_weights(make_trainer, "nnUNetTrainer_20epochs")
    torch.manual_seed(2)
    again = first_weights(make_trainer, "nnUNetTrainer_20epochs")
    assert any((again[key] != once[key]).any() for key in once)


def draws(make_trainer: MakeTrainer, name: str, epoch: int) -> list[float]:
    trainer = make_trainer(named_trainer(name))
    trainer.initialize()
    trainer.current_epoch = epoch
    trainer.on_epoch_start()
    return [*np.random.rand(3), *torch.rand(3).tolist()]


def test_every_epoch_of_a_seed_has_random_numbers_of_its_own_and_always_the_same(make_trainer: MakeTrainer) -> None:
    first, second = (draws(make_trainer, "nnUNetTrainer_seed4", epoch) for epoch in (0, 1))
    assert first != second
    assert draws(make_trainer, "nnUNetTrainer_seed4", 1) == second
    assert draws(make_trainer, "nnUNetTrainer_seed5", 1) != second


@pytest.mark.parametrize("kind", [nnUNetTrainer, nnUNetTrainerSGDC, nnUNetTrainerBoundary])
def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[nnUNetTrainer]
) -> None:
    trainer = make_trainer(named_trainer(f"{kind.__name__}_seed1"))
    trainer.initialize()
    trainer.save_checkpoint(str(tmp_path / "checkpoint_latest.pth"))
    before = (tmp_path / "checkpoint_latest.pth").read_bytes()

    def killed(content: object, file: str) -> None:
        Path(file).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(str(tmp_path / "checkpoint_latest.pth"))
    assert (tmp_path / "checkpoint_latest.pth").read_bytes() == before


@pytest.mark.parametrize(("minutes", "saved"), [(9, False), (11, True)])
def test_after_ten_minutes_without_a_checkpoint_the_next_epoch_ends_with_one(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, minutes: int, saved: bool
) -> None:
    trainer = make_trainer(named_trainer("nnUNetTrainer_500epochs_seed1"))
    trainer.initialize()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60 * minutes)
    train_one_epoch(trainer)
    assert Path(trainer.output_folder, "checkpoint_latest.pth").exists() == saved
    assert trainer.save_every == 50


def test_a_class_that_is_found_by_name_can_be_pickled() -> None:
    import pickle

    kind = trainers.nnUNetTrainerBoundary_3epochs_seed2
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert re.fullmatch(r"nnUNetTrainerBoundary_3epochs_seed2\.", kind.__doc__)
