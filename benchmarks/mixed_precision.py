"""Whether training with SGDC stays finite in float16 on CUDA, with nnU-Net's own step, compiled and in eager mode."""

import os
from unittest.mock import patch

import torch

from benchmarks.measure import device, print_header, print_row
from benchmarks.plans import plan
from nnunet_sgdc.profiling.batch import random_batch
from nnunet_sgdc.profiling.trainers import make_trainer, quarantine
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

STEPS = 20
NETWORK, EDGE, BATCH = "PlainConvUNet", 256, 8
MODES = {"eager": "f", "compiled": "t"}


def main() -> None:
    """Print a table.

    Raises:
        ArithmeticError: A loss or a weight is not finite.
    """
    print(f"{STEPS} steps of nnUNetTrainerSGDC, {NETWORK}, {EDGE} x {EDGE}, batch {BATCH}, {device().type}\n")
    print_header("mode", "first loss", "last loss", "scale of the loss", "finite")
    for mode, compiles in MODES.items():
        with patch.dict(os.environ, nnUNet_compile=compiles):
            _print_training(mode)
    print()


def _print_training(mode: str) -> None:
    setting = plan(NETWORK, (EDGE, EDGE), BATCH)
    with quarantine(setting):
        trainer = make_trainer(nnUNetTrainerSGDC, setting, device())
    batch = random_batch(trainer)
    trainer.network.train()
    losses = torch.tensor([float(trainer.train_step(batch)["loss"]) for _ in range(STEPS)])
    finite = [tensor.isfinite().all() for tensor in (losses, *trainer.network.parameters())]
    scale = trainer.grad_scaler.get_scale() if trainer.grad_scaler is not None else 1
    print_row(mode, f"{losses[0]:.4f}", f"{losses[-1]:.4f}", f"{scale:.0f}", "yes" if all(finite) else "no")
    if not all(finite):
        raise ArithmeticError(f"losses and weights must be finite after {STEPS} steps in {mode} mode, but are not")


if __name__ == "__main__":
    main()
