"""The exception of converters."""

from nnunet_sgdc.errors import UserError


class ConversionError(UserError):
    """A release that cannot be converted as asked; the message is one sentence that says what to do about it."""
