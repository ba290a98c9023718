"""What the user can put right, and how messages list things."""

from collections.abc import Iterable, Sequence

SHOWN_IDENTIFIERS = 3


class UserError(ValueError):
    """Something the user can put right; the message is one sentence that says how, and commands print only that."""


def counted(identifiers: Sequence[str]) -> str:
    """The number of cases and the first few of them, as in `4: a, b, c, ...`."""
    more = ", ..." if len(identifiers) > SHOWN_IDENTIFIERS else ""
    return f"{len(identifiers)}: {', '.join(identifiers[:SHOWN_IDENTIFIERS])}{more}"


def listed(items: Iterable[object]) -> str:
    """All items, as in `a, b, c`."""
    return ", ".join(str(item) for item in items)
