"""The one exception that converters raise for something the user can put right."""


class ConversionError(ValueError):
    """A release that cannot be converted as asked; the message is one sentence that says what to do about it."""
