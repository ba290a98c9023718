"""Sobel magnitude of the channel sum.

The published SGE (arXiv 2602.23496) applies dense C -> C Sobel convolutions in which every weight plane is the same
kernel, so that each of the C outputs is the Sobel response of the channel SUM. One channel gives the same numbers at
1 / C**2 of the work.

Deviations from the published module:
    - An epsilon under the square root keeps gradients finite where the map is constant (padding, blank images).
    - Always computed in float32 or wider: sums over 256 channels overflow float16.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-12


def sobel_magnitude(x: Tensor) -> Tensor:
    """Magnitude of the Sobel gradient of the sum over channels, with zero padding.

    Args:
        x: Feature map of shape (B, C, H, W).

    Returns:
        Magnitude of shape (B, 1, H, W), float32 or wider, at least sqrt(EPSILON).
    """
    summed = x.sum(1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
    padded = F.pad(summed, (1, 1, 1, 1))
    # Separable: smooth with (1, 2, 1) along one axis, difference with (1, 0, -1) along the other.
    rows = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    columns = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    horizontal = rows[..., :-2] - rows[..., 2:]
    vertical = columns[..., :-2, :] - columns[..., 2:, :]
    return torch.sqrt(horizontal**2 + vertical**2 + EPSILON)
