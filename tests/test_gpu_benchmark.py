"""The benchmark for a GPU, as far as it goes without one."""

from types import SimpleNamespace

import pytest

from benchmarks import gpu
from benchmarks.gpu import STEPS, Step, run_steps


def test_a_missing_gpu_is_one_sentence(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("benchmarks.gpu: error: this needs a GPU that PyTorch reaches")


def test_all_steps_together_take_less_than_eight_minutes() -> None:
    assert sum(step.budget for step in STEPS) < 8 * 60


def test_a_step_that_takes_too_long_is_stopped_and_the_next_one_runs() -> None:
    endless = Step("endless", ("timeit", "-n1", "-r1", "__import__('time').sleep(60)"), 1)
    outcomes = run_steps([endless, Step("quick", ("this",), 30)])
    assert [outcome.split(" ")[0] for outcome in outcomes.values()] == ["stopped", "done"]


def test_a_step_that_fails_is_told_with_its_exit_code() -> None:
    assert run_steps([Step("missing", ("no_such_module",), 30)])["missing"].startswith("failed with exit code 1")


def test_a_step_that_fails_fails_the_whole(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    device = SimpleNamespace(name="GPU", major=9, minor=0, total_memory=2**30)
    monkeypatch.setattr(gpu, "run_steps", lambda steps: {"operator": "done in 1 s", "SGE": "failed with exit code 1"})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: device)
    with pytest.raises(SystemExit):
        gpu.main()
    assert "but SGE failed" in capsys.readouterr().err
