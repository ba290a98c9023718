"""Parts of a block that are computed again in the backward pass; the oracle is the part as it is."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from nnunet_sgdc.blocks import recomputation
from nnunet_sgdc.blocks.recomputation import recomputed, recomputed_by_rows


class Operations(TorchDispatchMode):
    """Names of the operations that ran while the mode was on."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def wavy(x: Tensor) -> Tensor:
    return x.exp().sin().cos()


def image() -> Tensor:
    return torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)


def test_result_and_gradient_are_those_of_the_part() -> None:
    x = image()
    assert_close(recomputed(wavy, x), wavy(x))
    assert_close(torch.autograd.grad(recomputed(wavy, x).sum(), x), torch.autograd.grad(wavy(x).sum(), x))


def test_nothing_but_the_inputs_is_kept() -> None:
    x, kept = image(), []
    with saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        recomputed(wavy, x)
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]


def test_a_convolution_at_the_end_is_not_computed_again() -> None:
    conv = nn.Conv2d(3, 2, 1).double()
    result = recomputed(lambda x: conv(x.exp()), image())
    with Operations() as operations:
        result.sum().backward()
    assert "exp" in operations.names
    assert "convolution" not in operations.names


@pytest.mark.parametrize("block_bytes", [1, 500, 10**6], ids=["row by row", "rows that do not divide", "all rows"])
def test_blocks_of_rows_change_nothing(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputation, "CPU_BLOCK_BYTES", block_bytes)
    x = image()
    result = recomputed_by_rows(wavy, x, width=3)
    assert_close(result, wavy(x))
    assert_close(torch.autograd.grad(result.sum(), x), torch.autograd.grad(wavy(x).sum(), x))


def test_a_block_of_rows_is_as_large_as_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    # A row of the widest map inside has 2 images, 6 channels and 4 pixels of 8 bytes.
    monkeypatch.setattr(recomputation, "CPU_BLOCK_BYTES", 2 * 6 * 4 * 8 * 2)
    heights = []
    recomputed_by_rows(lambda x: heights.append(x.shape[2]) or x, image(), width=6)
    assert heights == [2, 2, 1]


def test_other_devices_take_the_map_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputation, "CPU_BLOCK_BYTES", 1)
    heights = []
    recomputed_by_rows(lambda x: heights.append(x.shape[2]) or x, image().to("meta"), width=3)
    assert heights == [5]
