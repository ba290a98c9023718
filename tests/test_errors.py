"""How messages list things."""

import pytest

from nnunet_sgdc.errors import counted, listed


@pytest.mark.parametrize(
    ("identifiers", "text"),
    [
        (["a"], "1: a"),
        (["a", "b", "c"], "3: a, b, c"),
        (["a", "b", "c", "d"], "4: a, b, c, ..."),
        (["a", "b", "c", "d", "e"], "5: a, b, c, ..."),
    ],
)
def test_three_identifiers_are_named(identifiers: list[str], text: str) -> None:
    assert counted(identifiers) == text


@pytest.mark.parametrize(("items", "text"), [([], ""), (["a"], "a"), (("a", 2, None), "a, 2, None")])
def test_all_items_are_listed(items: list[object], text: str) -> None:
    assert listed(items) == text
