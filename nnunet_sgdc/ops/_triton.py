"""Dynamic convolution by fused Triton kernels, for eager mode on a GPU: one launch where `_in_place` takes k * k.

Off unless the environment variable NNUNET_SGDC_TRITON is 1: Triton's interpreter and its compiler have been through the
kernels, a GPU has not. Where they are asked for and cannot run, a warning says why, once for every reason.
"""

import math
import os
import warnings
from importlib.util import find_spec

import torch
from torch import Tensor

from nnunet_sgdc.errors import listed
from nnunet_sgdc.ops._taps import kernel_size

VARIABLE = "NNUNET_SGDC_TRITON"
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# What Triton supports.
CAPABILITY = (8, 0)
# The largest tile of one program: eight sums for each of its 128 threads leave registers for full occupancy.
ROWS = 8
PIXELS = 128


def chosen(x: Tensor, kernels: Tensor) -> bool:
    """Whether the kernels are asked for and can run; warns where they are asked for and cannot."""
    if os.environ.get(VARIABLE, "0") == "0":
        return False
    obstacle = obstacle_to(x, kernels)
    if obstacle is not None:
        warnings.warn(f"{VARIABLE} asks for Triton kernels, but {obstacle}; continuing without them", stacklevel=2)
    return obstacle is None


def obstacle_to(x: Tensor, kernels: Tensor) -> str | None:
    """Why the kernels cannot run on x (B, C, H, W) and kernels (B, heads, k * k, H, W); None if they can."""
    if find_spec("triton") is None:
        return "triton is not installed"
    if x.numel() == 0 or kernels.numel() == 0:
        return f"there is nothing to compute in shapes {tuple(x.shape)} and {tuple(kernels.shape)}"
    if x.dtype not in DTYPES:
        return f"they take {listed(DTYPES)}, not {x.dtype}"
    # Triton's interpreter takes tensors of any device.
    return None if os.environ.get("TRITON_INTERPRET") == "1" else _obstacle_of_device(x.device)


def forward(x: Tensor, kernels: Tensor) -> Tensor:
    """Weighted sum of the neighbours of every pixel."""
    return _launch("gather", x, kernels, x.shape, kernels.shape, TRANSPOSED=False)


def grad_x(grad: Tensor, kernels: Tensor) -> Tensor:
    """Every pixel gathers, from each neighbour that used it, that neighbour's gradient times its weight."""
    return _launch("gather", grad, kernels, grad.shape, kernels.shape, TRANSPOSED=True)


def grad_kernels(grad: Tensor, x: Tensor, kernels_shape: torch.Size) -> Tensor:
    """For every tap, grad times shifted x, summed over the channels of a head."""
    return _launch("correlate", x, grad, kernels_shape, kernels_shape)


def _obstacle_of_device(device: torch.device) -> str | None:
    if device.type != "cuda":
        return f"they run on CUDA, not on {device}"
    capability = torch.cuda.get_device_capability(device)
    return None if capability >= CAPABILITY else f"they need compute capability {CAPABILITY}, {device} has {capability}"


def _launch(
    name: str, shifted: Tensor, other: Tensor, shape: torch.Size, kernels_shape: torch.Size, **flags: bool
) -> Tensor:
    """Cover a result of a shape (B, heads * rows, H, W) or (B, heads, rows, H, W) with tiles, a program for each."""
    from nnunet_sgdc.ops import _triton_kernels

    batch, heads, _, height, width = kernels_shape
    rows = math.prod(shape[1:-2]) // heads
    # Triton wants powers of two.
    tile_rows = min(ROWS, 1 << (rows - 1).bit_length())
    tiles = batch * heads * math.ceil(rows / tile_rows) * math.ceil(height * width / PIXELS)
    sizes = {"channels": shifted.shape[1] // heads, "height": height, "width": width}
    constants = {"SIZE": kernel_size(kernels_shape), "ROWS": tile_rows, "PIXELS": PIXELS, **flags}
    result = shifted.new_empty(shape)
    # Triton launches on the current device, whichever holds the tensors.
    with torch.cuda.device(shifted.get_device()):
        kernel = getattr(_triton_kernels, name)
        kernel[(tiles,)](shifted.contiguous(), other.contiguous(), result, **sizes, **constants)
    return result
