"""The command `nnunet_sgdc-doctor`: would a training with our trainers start here, and if not, why?

Every check is one function that returns a `Check`. The command itself imports neither torch nor nnU-Net, so that it
can report on both when they are broken: a fresh process looks for the trainers as `nnUNetv2_train` would.
"""

from nnunet_sgdc.doctor.command import main

__all__ = ["main"]
