"""The exception of profiling: something about data set, plans, trainers or device that the user can put right."""

from nnunet_sgdc.errors import UserError


class ProfileError(UserError):
    """What cannot be profiled as asked; the message is one sentence that says what to do about it."""
