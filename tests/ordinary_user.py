"""What it takes to be kept out by file modes, which do not bind root, as whom the tests may run."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def as_ordinary_user(*owned: Path) -> Iterator[None]:
    """Run as somebody whom file modes keep out, but not out of these folders; root steps down for it."""
    if not hasattr(os, "seteuid"):
        pytest.skip("file modes do not keep anyone out here")
    user = os.geteuid()
    if user == 0:
        for folder in owned:
            os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder where every user may go, unlike those of pytest, which closes them whenever it starts."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
