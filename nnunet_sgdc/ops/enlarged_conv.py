r"""Convolution of an enlarged map without enlarging it.

Bilinear enlargement is linear and separable, U = A X B^T with one matrix for the rows and one for the columns, and a
convolution is a sum over shifted maps. Moving the shifts into the matrices gives

    y[o] = sum_{r,s} A_r (sum_c weight[o, c, r, s] X[c]) B_s^T,    A_r, B_s: rows of A and B moved by the tap

so that all channels are contracted at the size of the small map. SGE (arXiv 2602.23496) needs it where the map of the
bottleneck, a few pixels wide, meets a map many times as large.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def conv2d_of_enlarged(x: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge a map bilinearly (align_corners=False) and convolve it, with zeros around the enlarged map.

    The work grows with the size of x times that of the result; it is meant for small x.

    Args:
        x: Map of shape (B, C, h, w).
        weight: Weights of shape (O, C, k, k), k odd.
        size: Height H and width W to which x is enlarged.

    Returns:
        Map of shape (B, O, H, W).
    """
    rows, columns = (
        _shifted_interpolation(old, new, weight.shape[-1], x) for old, new in zip(x.shape[2:], size, strict=True)
    )
    # From left to right: channels, then rows, then columns.
    taps = torch.einsum("ocrs,bcij->bosjri", weight, x)
    return torch.einsum("bosjp,sjq->bopq", torch.einsum("bosjri,rip->bosjp", taps, rows), columns)


def _shifted_interpolation(old: int, new: int, taps: int, like: Tensor) -> Tensor:
    """Weights (taps, old, new) of the old pixels in the new pixels that each tap of a convolution sees."""
    identity = torch.eye(old, dtype=like.dtype, device=like.device)
    weights = F.interpolate(identity[None], size=new, mode="linear", align_corners=False)[0]
    padded = F.pad(weights, [taps // 2] * 2)
    return torch.stack([padded[:, tap : tap + new] for tap in range(taps)])
