"""What the name of a trainer says behind that of its class: how long it trains, and from which seed."""

import re
from dataclasses import dataclass

NAME = re.compile(
    r"(?P<trainer>\w+?)(_(?P<epochs>[1-9]\d*)epochs?)?(_(?P<iterations>[1-9]\d*)iterations?)?(_seed(?P<seed>\d+))?"
)


@dataclass(frozen=True)
class Schedule:
    """Length and seed of a training; None is what the trainer has by itself.

    Attributes:
        epochs: Number of epochs.
        iterations: Batches of an epoch.
        seed: Where random numbers start.
    """

    epochs: int | None = None
    iterations: int | None = None
    seed: int | None = None

    def __str__(self) -> str:
        """The ending of a name, as in `_20epochs_50iterations_seed1`."""
        lengths = {"epochs": self.epochs, "iterations": self.iterations}
        ending = "".join(f"_{count}{unit}" for unit, count in lengths.items() if count)
        return ending if self.seed is None else f"{ending}_seed{self.seed}"


def split_name(name: str) -> tuple[str, Schedule]:
    """Take the name of a trainer apart.

    Args:
        name: As in `nnUNetTrainerSGDC_20epochs_seed1`.

    Returns:
        The name of the class and what follows it.
    """
    match = NAME.fullmatch(name)
    if not match:
        return name, Schedule()
    numbers = {key: int(match[key]) for key in ("epochs", "iterations", "seed") if match[key]}
    return match["trainer"], Schedule(**numbers)
