"""The exception of planning: something about the data set, its files or the options that the user can put right."""

from nnunet_sgdc.errors import UserError


class PlanningError(UserError):
    """A data set that cannot be planned as asked; the message is one sentence that says what to do about it."""
