"""Every bad input of the tables in tests/bad_inputs, given to the real command, and docs/bad_inputs.md, their document.

`python tests/test_bad_inputs.py` writes the document anew.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import pytest
from bad_inputs.arrays import ARRAYS
from bad_inputs.entry import CONIC, ISIC, PH2, BadInput, Release, repaired
from bad_inputs.folders import FOLDERS
from bad_inputs.photographs import PHOTOGRAPHS
from bad_inputs.spoiling import unspoilt
from ordinary_user import as_ordinary_user, public_folder
from releases import names

DOCUMENT = Path(__file__).parents[1] / "docs" / "bad_inputs.md"
TABLES = {
    "Photographs and masks of ISIC and PH2": PHOTOGRAPHS,
    "Folders and archives": FOLDERS,
    "Arrays and tables of CoNIC": ARRAYS,
}
ENTRIES = [entry for entries in TABLES.values() for entry in entries]
TITLE = attrgetter("title")
# The lines of the report of every release.
USUAL = ("training: ", "test: ", "pixels: ", "folds: ")
INTRODUCTION = """\
# Bad inputs

What the converters do with files that are not as a release should be. Every row is tested: `tests/test_bad_inputs.py`
spoils a good release in this way, runs the command and compares the message word for word.

An input that cannot be meant is **refused**: the command prints one sentence that names what is wrong and what to do
about it, leaves with exit code 1, and nothing is written, not even in part. An input whose meaning is clear is
**repaired** as the last column says; if that is worth a look, the report has a line on it with the number of cases and
the first of them, else it says nothing.

In the messages FOLDER is the folder of the release and REASON what the operating system or the library that reads the
file says. The name of the command that begins an error, as in `nnunet_sgdc-convert-isic: error: `, is left out.
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with public_folder() as folder:
        yield folder


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and the message or the unusual lines of its report, with FOLDER for the release."""

    code: object
    said: str


def converted(entry: BadInput, folder: Path, raw: Path) -> Outcome:
    """Spoil a release and run the command on it."""
    entry.release.write(folder)
    entry.spoil(folder)
    arguments = [str(folder / entry.source), "1", "--native", "--raw", str(raw), *entry.options]
    user = as_ordinary_user(raw) if entry.unprivileged else nullcontext()
    with redirect_stdout(io.StringIO()) as report, redirect_stderr(io.StringIO()) as message, user:
        code = _exit_code(entry.release.main, arguments)
    said = _message(entry, message.getvalue()) if code else _remarks(report.getvalue())
    return Outcome(code, said.replace(str(folder), "FOLDER"))


def _exit_code(main: Callable[[list[str]], None], arguments: list[str]) -> object:
    try:
        main(arguments)
    except SystemExit as end:
        return end.code
    return 0


def _message(entry: BadInput, stderr: str) -> str:
    match = re.fullmatch(f"{entry.release.command}: error: (.+)\n", stderr)
    assert match, f"one line of error was expected, got {stderr!r}"
    return match[1]


def _remarks(stdout: str) -> str:
    lines = [line.strip() for line in stdout.splitlines()[1:]]
    return "\n".join(line for line in lines if not line.startswith(USUAL))


def pattern(entry: BadInput) -> str:
    return re.escape(entry.says).replace("REASON", ".+")


def document() -> str:
    return "\n".join([INTRODUCTION, *(f"## {title}\n\n{_table(entries)}" for title, entries in TABLES.items())])


def _table(entries: list[BadInput]) -> str:
    rows = [
        f"| {entry.title} | {f'`{entry.says}`' if entry.says else 'nothing'} | {entry.becomes} |" for entry in entries
    ]
    return "\n".join(["| input | what the command says | what happens |", "|---|---|---|", *rows, ""])


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if not entry.check], ids=TITLE)
def test_input_is_refused_in_one_sentence_and_nothing_is_written(entry: BadInput, tmp_path: Path, raw: Path) -> None:
    outcome = converted(entry, tmp_path / "release", raw)
    assert re.fullmatch(pattern(entry), outcome.said), outcome.said
    assert outcome.code == 1
    assert names(raw) == []


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.check], ids=TITLE)
def test_input_is_repaired_as_the_report_says(entry: BadInput, tmp_path: Path, raw: Path) -> None:
    outcome = converted(entry, tmp_path / "release", raw)
    assert re.fullmatch(pattern(entry), outcome.said), outcome.said
    assert names(raw) == [entry.release.dataset]
    assert entry.check is not None
    entry.check(raw / entry.release.dataset)


@pytest.mark.parametrize("release", [ISIC, PH2, CONIC], ids=lambda release: release.dataset)
def test_good_release_gives_nothing_to_say(release: Release, tmp_path: Path, raw: Path) -> None:
    good = repaired("good", unspoilt, "", lambda folder: None, release=release)
    assert converted(good, tmp_path / "release", raw) == Outcome(0, "")


def test_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run: python tests/test_bad_inputs.py"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
