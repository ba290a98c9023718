"""The exception that converters raise for something the user can put right, and how its message lists cases."""

from collections.abc import Sequence

SHOWN_IDENTIFIERS = 3


class ConversionError(ValueError):
    """A release that cannot be converted as asked; the message is one sentence that says what to do about it."""


def counted(identifiers: Sequence[str]) -> str:
    """The number of cases and the first few of them, as in `4: a, b, c, ...`."""
    more = ", ..." if len(identifiers) > SHOWN_IDENTIFIERS else ""
    return f"{len(identifiers)}: {', '.join(identifiers[:SHOWN_IDENTIFIERS])}{more}"
