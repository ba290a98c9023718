"""Every command ends in the same way: with its result, or with exit code 1 and one sentence."""

import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest
from PIL import Image

from nnunet_sgdc import __version__
from nnunet_sgdc.command_line import command_parser, run
from nnunet_sgdc.errors import UserError


def failing(error: BaseException) -> Callable[[], object]:
    def action() -> object:
        raise error

    return action


def test_the_result_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    run("command", lambda: 42)
    assert capsys.readouterr() == ("42\n", "")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("--size must be a number: give one"), "error: --size must be a number: give one"),
        (
            PermissionError(13, "Permission denied", "out/a.png"),
            "error: out/a.png: Permission denied; put that right and start again, nothing was written",
        ),
        (
            OSError(28, "No space left on device"),
            "error: No space left on device; put that right and start again, nothing was written",
        ),
        (OSError("broken"), "error: broken; put that right and start again, nothing was written"),
        (KeyboardInterrupt(), "interrupted: nothing was written"),
    ],
)
def test_failure_is_one_sentence_and_exit_code_1(
    error: BaseException, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run("command", failing(error))
    assert end.value.code == 1
    assert capsys.readouterr() == ("", f"command: {sentence}\n")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = "from nnunet_sgdc.command_line import run; run('command', lambda: 'many words\\n' * 100_000)"
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "many words\n", "")


def test_an_error_of_the_program_itself_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="a slip"):
        run("command", failing(ValueError("a slip")))


def test_a_photograph_of_suspicious_size_is_an_error() -> None:
    with pytest.raises(Image.DecompressionBombWarning):
        run("command", lambda: warnings.warn("large", Image.DecompressionBombWarning, stacklevel=1))


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command_parser("command", "Does something.").parse_args(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"nnunet_sgdc {__version__}\n"


def test_help_names_the_command_and_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_parser("nnunet_sgdc-command", "Does something.").parse_args(["--help"])
    assert re.match(r"usage: nnunet_sgdc-command .*Does something\.", capsys.readouterr().out, re.DOTALL)
