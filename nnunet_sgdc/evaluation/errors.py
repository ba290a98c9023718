"""The exception of scoring: something about the masks, labels or settings that the user can put right."""

from nnunet_sgdc.errors import UserError


class EvaluationError(UserError):
    """Masks that cannot be scored as asked; the message is one sentence that says what to do about it."""
