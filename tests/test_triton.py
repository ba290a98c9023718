"""The Triton kernels: what they compute (in `triton_kernels`), that they compile for GPUs, and when they are chosen."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch._subclasses import FakeTensorMode

from nnunet_sgdc.ops import _triton, dynamic_conv2d

KERNELS_TESTS = Path(__file__).with_name("triton_kernels.py")
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_triton.VARIABLE, raising=False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def pair(dtype: torch.dtype = torch.float32, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(1, 4, 5, 5, dtype=dtype, device=device), torch.ones(1, 2, 9, 5, 5, dtype=dtype, device=device)


def run_kernel_tests(**settings: str) -> subprocess.CompletedProcess[str]:
    """In a process of their own: Triton reads once, when it is imported, whether it interprets."""
    command = [sys.executable, "-m", "pytest", "-q", str(KERNELS_TESTS)]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=500, check=False)


def compiled(name: str, element: str, capability: int, **flags: bool):
    """A kernel compiled for a GPU that need not be there, by Triton and by NVIDIA's assembler that comes with it."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from nnunet_sgdc.ops import _triton_kernels

    constants = {"SIZE": 7, "ROWS": _triton.ROWS, "PIXELS": _triton.PIXELS, **flags}
    kernel = getattr(_triton_kernels, name)
    tensors, sizes = kernel.arg_names[:3], _triton_kernels.SIZES
    signature = (
        dict.fromkeys(tensors, f"*{element}") | dict.fromkeys(sizes, "i32") | dict.fromkeys(constants, "constexpr")
    )
    return triton.compile(ASTSource(kernel, signature, constants), target=GPUTarget("cuda", capability, 32))


@needs_triton
def test_kernels_compute_in_the_interpreter_what_they_should() -> None:
    ended = run_kernel_tests(TRITON_INTERPRET="1")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_triton
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_kernels_compute_on_the_gpu_what_they_should() -> None:
    ended = run_kernel_tests()
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_triton
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("element", ["fp16", "bf16", "fp32", "fp64"])
@pytest.mark.parametrize(
    ("name", "flags"), [("gather", {"TRANSPOSED": False}), ("gather", {"TRANSPOSED": True}), ("correlate", {})]
)
def test_kernels_compile_for_gpus_without_detours(name, flags, element, capability, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    program = compiled(name, element, capability, **flags)
    assert f".target sm_{capability}" in program.asm["ptx"]
    assert program.asm["cubin"].startswith(b"\x7fELF")
    # Neither pixels that wait for one another at every tap, nor sums that do not fit the registers.
    assert program.metadata.shared == 0
    assert "bar.sync" not in program.asm["ptx"]
    assert "st.local" not in program.asm["ptx"]


def test_kernels_are_off_unless_asked_for() -> None:
    assert not _triton.chosen(*pair())


@needs_triton
def test_variable_asks_for_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setenv(_triton.VARIABLE, "1")
    assert _triton.chosen(*pair())


@needs_triton
def test_kernels_that_are_asked_for_and_cannot_run_are_missed_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_triton.VARIABLE, "1")
    with pytest.warns(
        UserWarning, match="asks for Triton kernels, but they run on CUDA, not on cpu; continuing without"
    ):
        assert not _triton.chosen(*pair())


@needs_triton
def test_convolution_goes_on_without_the_kernels_that_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = dynamic_conv2d(*pair())
    monkeypatch.setenv(_triton.VARIABLE, "1")
    with pytest.warns(UserWarning, match="they run on CUDA"):
        assert torch.equal(dynamic_conv2d(*pair()), expected)


@needs_triton
def test_compiled_graph_does_not_ask_for_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setenv(_triton.VARIABLE, "1")
    monkeypatch.setattr(_triton, "forward", lambda *_: pytest.fail("the kernels ran"))
    compiled_convolution = torch.compile(dynamic_conv2d, fullgraph=True, backend="eager")
    assert compiled_convolution(*pair()).shape == (1, 4, 5, 5)


def test_missing_triton_is_an_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_triton, "find_spec", lambda name: None)
    assert _triton.obstacle_to(*pair()) == "triton is not installed"


@needs_triton
def test_dtype_that_no_convolution_has_is_an_obstacle() -> None:
    assert _triton.obstacle_to(*pair(torch.int32)).endswith("torch.float64, not torch.int32")


@needs_triton
def test_empty_tensors_are_an_obstacle() -> None:
    x, kernels = pair()
    assert _triton.obstacle_to(x[:0], kernels[:0]).startswith("there is nothing to compute")


@needs_triton
@pytest.mark.parametrize(("capability", "runs"), [((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_gpus_before_ampere_are_an_obstacle(capability, runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    with FakeTensorMode():
        obstacle = _triton.obstacle_to(*pair(device="cuda:0"))
    assert obstacle == (None if runs else "they need compute capability (8, 0), cuda:0 has (7, 5)")


def test_operators_are_imported_without_triton() -> None:
    script = "import sys; sys.modules['triton'] = None; import nnunet_sgdc.ops._triton"
    subprocess.run([sys.executable, "-c", script], check=True)
