"""The exception of comparisons that cannot be made as asked."""

from nnunet_sgdc.errors import UserError


class ComparisonError(UserError):
    """Values that cannot be compared; the message is one sentence that says what to do about it."""
