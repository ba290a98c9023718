"""Layer normalisation over the channels of a map.

Written as arithmetic on (B, C, H, W): torch's own layer_norm wants channels last, and the copies that this takes cost
more than the arithmetic. On a CPU two means over the channels are several times faster than torch.var_mean.
"""

import torch
from torch import Tensor, nn

EPSILON = 1e-6


class LayerNorm2d(nn.Module):
    """Normalise every pixel over its channels, then scale and shift each channel.

    Args:
        channels: Number of channels C of the maps of shape (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised map in the dtype of the weights.

        It is computed in float32 at least: squares of large activations overflow float16.
        """
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        centred = x - x.mean(1, keepdim=True)
        variance = centred.square().mean(1, keepdim=True)
        normalised = (centred * torch.rsqrt(variance + EPSILON)).to(self.weight.dtype)
        return torch.addcmul(self.bias[:, None, None], normalised, self.weight[:, None, None])
