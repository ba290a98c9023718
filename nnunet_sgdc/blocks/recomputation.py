"""Parts of a block that the backward pass computes again instead of keeping what is inside them.

Torch stops computing again as soon as it has what the gradient of the last step needs. A part that ends with a
convolution therefore costs only what comes before it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Of 1, 4 and 8 MiB this was fastest.
CPU_BLOCK_BYTES = 8 * 2**20


def recomputed(part: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Call a part that draws no random numbers; only its inputs are kept for the backward pass.

    Args:
        part: Function of tensors.
        *inputs: Its arguments.
    """
    result: Any = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
    return result  # type: ignore[no-any-return]


def recomputed_by_rows(part: Callable[[Tensor], Tensor], x: Tensor, width: int) -> Tensor:
    """Call a part that treats every pixel alone, as `recomputed` does, on a CPU in blocks of rows.

    What a block needs inside stays in the cache and is never large enough for the allocator to give it back to the
    system at once, which costs more than the arithmetic. Other devices, and compiled code, take the map as a whole.

    Args:
        part: Function of a map of shape (B, C, H, W).
        x: Its argument.
        width: Channels of the widest map inside the part.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return recomputed(part, x)
    row_bytes = x.shape[0] * width * x.shape[3] * x.element_size()
    blocks = torch.split(x, max(1, CPU_BLOCK_BYTES // row_bytes), dim=2)
    return torch.cat([recomputed(part, block) for block in blocks], dim=2)
