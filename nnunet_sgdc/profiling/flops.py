"""Floating-point operations of a forward pass, counted without computing it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnunet_sgdc.blocks import SGDC

COUNTED = "multiplications and additions of convolutions, dynamic ones included, and of matrix products"


def forward_flops(network: nn.Module, shape: Sequence[int]) -> int:
    """Operations of a forward pass, a multiplication and an addition counting as two.

    Convolutions, plain, transposed and dynamic, and matrix products count; normalisation, activation functions,
    interpolation and sums of maps do not.

    Args:
        network: A network on PyTorch's meta device, in the mode in which it is to run.
        shape: Shape of its input, (B, C, H, W) or (B, C, D, H, W).
    """
    dynamic: list[int] = []

    def note(block: SGDC, inputs: tuple[Any, ...], output: Any) -> None:
        # By formula: PyTorch's counter does not see through the operator, which has several formulations.
        dynamic.append(2 * block.kernel_size**2 * inputs[0].numel())

    hooks = [block.register_forward_hook(note) for block in network.modules() if isinstance(block, SGDC)]
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            network(torch.empty(*shape, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    return counter.get_total_flops() + sum(dynamic)
