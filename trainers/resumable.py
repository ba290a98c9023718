"""What makes trainings of any length go on where a kill left them."""

import os
import time

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

# On a cluster, what was trained since the last checkpoint is lost with every preemption.
SECONDS_BETWEEN_CHECKPOINTS = 600


class ResumableTrainer(nnUNetTrainer):
    """Write checkpoints so that there is always one to continue from, and never an old one."""

    save_every: int
    _last_checkpoint: float

    def _set_length(self, epochs: int, iterations: int, val_iterations: int) -> None:
        """Train for so many epochs of so many iterations."""
        self.num_epochs = epochs
        self.num_iterations_per_epoch = iterations
        self.num_val_iterations_per_epoch = val_iterations
        # nnU-Net's 50 epochs between checkpoints would leave short trainings nothing to resume from.
        self.save_every = max(1, min(self.save_every, epochs // 10))
        self._last_checkpoint = time.monotonic()

    def on_epoch_end(self) -> None:
        """End the epoch as nnU-Net does, with a checkpoint if the last one is too old."""
        regularly = self.save_every
        if time.monotonic() - self._last_checkpoint > SECONDS_BETWEEN_CHECKPOINTS:
            self.save_every = 1
        super().on_epoch_end()
        self.save_every = regularly

    def save_checkpoint(self, filename: str) -> None:
        """Write beside and rename, so that a kill in the middle leaves the previous checkpoint to resume from."""
        partial = f"{filename}.partial"
        super().save_checkpoint(partial)
        if self.local_rank == 0 and not self.disable_checkpointing:
            os.replace(partial, filename)
        # nnU-Net continues from the latest one only.
        if filename.endswith("checkpoint_latest.pth"):
            self._last_checkpoint = time.monotonic()
