"""The exception of comparisons that cannot be made as asked."""


class ComparisonError(ValueError):
    """Values that cannot be compared; the message is one sentence that says what to do about it."""
