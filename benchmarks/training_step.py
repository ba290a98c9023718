"""One training step of nnUNetTrainerSGDC against one of nnUNetTrainer, on nnU-Net's own plans for images of a size.

On a CPU the batch is two images; on CUDA it is what the planner chooses, in mixed precision as always there, and
compiled, unless `nnUNet_compile=f` says otherwise.
"""

import os
from functools import partial

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from benchmarks.measure import Work, device, extra_memory, print_header, print_row, times_in_turn
from benchmarks.plans import PLANNERS, plan
from nnunet_sgdc.profiling.batch import random_batch
from nnunet_sgdc.profiling.measuring import Warm
from nnunet_sgdc.profiling.setting import Setting
from nnunet_sgdc.profiling.trainers import make_trainer, quarantine
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

PAIRS = 7
TRAINERS = {"nnUNetTrainer": nnUNetTrainer, "nnUNetTrainerSGDC": nnUNetTrainerSGDC}
CASES = [(network, edge) for edge in (256, 512) for network in PLANNERS]
CPU_BATCH = 2
# The variable by which nnU-Net is told whether to compile.
COMPILES = "nnUNet_compile"


def main() -> None:
    """Print a table."""
    compiles = os.environ.get(COMPILES, "not set") if device().type == "cuda" else "without effect"
    print(f"train_step, 3 channels, deep supervision, {COMPILES} {compiles}; medians of {PAIRS} pairs\n")
    print_header("network", "patch", "batch", "stock", "SGDC", "time", "stock, extra memory", "SGDC", "memory")
    for network, edge in CASES:
        _print_comparison(network, edge)
    print()


def make_work(trainer_name: str, network: str, edge: int) -> Work:
    """A training step on a random batch."""
    setting = _plan(network, edge)
    with quarantine(setting):
        trainer = make_trainer(TRAINERS[trainer_name], setting, device())
    warm = Warm(trainer, random_batch(trainer))
    warm.train_mode(True)
    return warm.step


def _print_comparison(network: str, edge: int) -> None:
    stock, ours, ratio = times_in_turn(*(make_work(name, network, edge) for name in TRAINERS), pairs=PAIRS)
    memory = [extra_memory(partial(make_work, name, network, edge)) for name in TRAINERS]
    print_row(
        *(network, f"{edge} x {edge}", _plan(network, edge).configured.batch_size),
        *(f"{stock:.3f} s", f"{ours:.3f} s", f"{1 / ratio:.2f} x"),
        *(f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB", f"{memory[1] / memory[0]:.2f} x"),
    )


def _plan(network: str, edge: int) -> Setting:
    return plan(network, (edge, edge), None if device().type == "cuda" else CPU_BATCH)


if __name__ == "__main__":
    main()
