"""What makes trainings of any length go on where a kill left them."""

import os

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class ResumableTrainer(nnUNetTrainer):
    """Write checkpoints so that one is always there to continue from."""

    save_every: int

    def _set_length(self, epochs: int, iterations: int, val_iterations: int) -> None:
        """Train for so many epochs of so many iterations."""
        self.num_epochs = epochs
        self.num_iterations_per_epoch = iterations
        self.num_val_iterations_per_epoch = val_iterations
        # nnU-Net's 50 epochs between checkpoints would leave short trainings nothing to resume from.
        self.save_every = max(1, min(self.save_every, epochs // 10))

    def save_checkpoint(self, filename: str) -> None:
        """Write beside and rename, so that a kill in the middle leaves the previous checkpoint to resume from."""
        partial = f"{filename}.partial"
        super().save_checkpoint(partial)
        if self.local_rank == 0 and not self.disable_checkpointing:
            os.replace(partial, filename)
