"""What trainers cost on the plans of a data set, before anyone trains them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from tqdm import tqdm

from nnunet_sgdc.networks import is_grafted
from nnunet_sgdc.profiling.counting import Counts, count
from nnunet_sgdc.profiling.device import describe_device
from nnunet_sgdc.profiling.errors import ProfileError
from nnunet_sgdc.profiling.measuring import Measurements, measure
from nnunet_sgdc.profiling.setting import Setting
from nnunet_sgdc.profiling.trainers import find_trainer, has_sgdc, make_trainer, quarantine

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Cost:
    """What one trainer costs.

    Attributes:
        trainer: Its name.
        counts: What is counted.
        measurements: What is measured.
    """

    trainer: str
    counts: Counts
    measurements: Measurements


@dataclass(frozen=True)
class Profile:
    """What trainers cost; the first one is what the others are compared with.

    Attributes:
        setting: The plans they would train on.
        costs: What they cost.
        device: What was measured on, for readers.
        is_cuda: Whether that tells its peak memory.
        threads: Number of threads of PyTorch.
        repetitions: How often each time was taken.
        notes: What the reader should know of the numbers.
    """

    setting: Setting
    costs: tuple[Cost, ...]
    device: str
    is_cuda: bool
    threads: int
    repetitions: int
    notes: tuple[str, ...] = ()


def profile(setting: Setting, trainers: Sequence[str], device: torch.device, repetitions: int) -> Profile:
    """Count and measure what trainers cost; nothing is left in nnU-Net's folders.

    Args:
        setting: The plans they would train on.
        trainers: Their names, first the one to compare with; again is ignored.
        device: Where to measure.
        repetitions: How often each time is taken, at least once.

    Raises:
        ProfileError: A trainer is unknown or cannot do with the plans, or repetitions is out of its range.
    """
    if repetitions < 1:
        raise ProfileError(f"--repetitions must be at least 1, got {repetitions}: leave it out for 7")
    with quarantine(setting):
        kinds = {name: find_trainer(name) for name in dict.fromkeys(trainers)}
        makers = {name: partial(make_trainer, kind, setting) for name, kind in kinds.items()}
        counts = {name: count(make(CPU)) for name, make in tqdm(makers.items(), desc="counts")}
        measured = measure({name: partial(make, device) for name, make in makers.items()}, device, repetitions)
    return Profile(
        setting=setting,
        costs=tuple(Cost(name, counts[name], measured[name]) for name in kinds),
        device=describe_device(device),
        is_cuda=device.type == "cuda",
        threads=torch.get_num_threads(),
        repetitions=repetitions,
        notes=(
            *_ungrafted(setting, [name for name, kind in kinds.items() if not has_sgdc(kind)]),
            *(found.note for found in counts.values() if found.note),
        ),
    )


def _ungrafted(setting: Setting, stock: Sequence[str]) -> list[str]:
    architecture = setting.configured.configuration["architecture"]
    if not stock or not is_grafted(architecture):
        return []
    backbone = architecture["arch_kwargs"]["backbone"].split(".")[-1]
    return [
        f"{setting.plans_name} names SGDC. To compare with, {' and '.join(stock)} had its backbone {backbone} without "
        "SGDC, with the same patch and batch size."
    ]
