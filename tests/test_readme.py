"""The README's examples run, and its tables name the options and trainers that there are."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from nnunet_sgdc import trainers
from nnunet_sgdc.comparison import compare_command
from nnunet_sgdc.evaluation import evaluate_command, show_command
from nnunet_sgdc.losses import BoundaryConfig
from nnunet_sgdc.networks import SGDCConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [README, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))]
EXAMPLES = re.findall(r"```python\n(.*?)```", "".join(DOCUMENTS), flags=re.DOTALL)

COMMANDS = {"evaluate": evaluate_command.main, "compare": compare_command.main, "show": show_command.main}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[-1])
def test_example_runs(example: str) -> None:
    exec(compile(example, "README.md", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("name", ["evaluate", "compare", "show"])
def test_every_option_of_a_command_that_is_documented_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith(f"`nnunet_sgdc-{name}`")]
    with pytest.raises(SystemExit):
        COMMANDS[name](["--help"])
    known = set(re.findall(r"--?[a-z]+(?:-[a-z]+)*", capsys.readouterr().out))
    assert set(re.findall(r"(?<=[ `])--[a-z]+(?:-[a-z]+)*", section)) <= known


@pytest.mark.parametrize("option", fields(SGDCConfig), ids=lambda option: option.name)
def test_network_option_has_the_default_it_is_said_to_have(option) -> None:
    assert re.search(rf"^\| `{option.name}` \| {re.escape(str(option.default))} \|", README, flags=re.MULTILINE)


def test_every_boundary_option_is_in_the_table() -> None:
    table = README[README.index("| `BoundaryConfig` |") :]
    assert all(f"`{option.name}`" in table for option in fields(BoundaryConfig))


@pytest.mark.parametrize("trainer", trainers.__all__)
def test_every_trainer_is_named(trainer: str) -> None:
    suffix = trainer.removeprefix("nnUNetTrainerSGDC")
    assert f"{suffix}`" in README
