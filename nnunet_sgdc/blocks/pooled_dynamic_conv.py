"""The rival of SGDC: the same dynamic convolution with gates and kernels from average-pooled context, unguided.

The kernels follow ContMix (Lou and Yu, "OverLoCK: An Overview-first-Look-Closely-next ConvNet with Context-Mixing
Dynamic Kernels", CVPR 2025, arXiv 2502.20087): the affinity of every pixel to the averages of S x S regions of the map,
S = 7, mixed by a linear layer, is the kernel of that pixel. The gates follow squeeze-and-excitation (Hu, Shen and Sun,
CVPR 2018, arXiv 1709.01507): they come from the average of the whole map. Written from the papers' arithmetic:

    gate_s, gate_d = conv1x1(mean(x))
    logits         = linear(query(x) . key(pool(x)))

All that follows, in nnunet_sgdc.blocks.gated_dynamic_conv, is that of SGDC. What ContMix has beside (large and small
kernels at once, a context from another branch) is left out, so that nothing differs but where the kernels come from.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnunet_sgdc.blocks.gated_dynamic_conv import GatedDynamicConv
from nnunet_sgdc.blocks.recomputation import recomputed

REGIONS = 7


class PooledDynamicConv(GatedDynamicConv):
    """Dynamic convolution whose gates and kernels come from average-pooled context.

    Args:
        channels: Channels C of the map that is modulated.
        num_heads: Kernels per pixel; each serves a contiguous block of C / num_heads channels.
        kernel_size: Edge length k of the dynamic kernels, odd.
        mlp_ratio: Width of the MLP's hidden layer as a multiple of C.
        layer_scale: Start value of both LayerScale vectors; near 0 the block starts as the identity.

    Raises:
        ValueError: If num_heads does not divide channels, kernel_size is even, or the MLP has no hidden channel.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 4,
        kernel_size: int = 7,
        mlp_ratio: float = 4.0,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__(channels, num_heads, kernel_size, mlp_ratio, layer_scale)
        # Every head compares at least one channel.
        width = num_heads * max(1, channels // (2 * num_heads))
        self.gates = nn.Conv2d(channels, 2 * channels, 1)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.regions_to_taps = nn.Linear(REGIONS**2, kernel_size**2)

    def _gates_and_kernels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        gates = torch.sigmoid(self.gates(x.mean((2, 3), keepdim=True)))
        return gates, self._kernels(recomputed(self._predict, x))

    def _predict(self, x: Tensor) -> Tensor:
        """Logits of the kernels, of shape (B, num_heads * k * k, H, W)."""
        queries, keys = self._split(self.query(x)), self._split(self.key(F.adaptive_avg_pool2d(x, REGIONS)))
        # Applied to the keys, which are few, the linear layer leaves no map of affinities.
        taps = self.regions_to_taps.weight @ keys.mT * queries.shape[2] ** -0.5
        logits: Tensor = taps @ queries + self.regions_to_taps.bias[:, None]
        return logits.flatten(1, 2).view(len(x), -1, *x.shape[2:])

    def _split(self, x: Tensor) -> Tensor:
        """Heads and pixels of a map, of shape (B, num_heads, channels per head, H * W)."""
        return torch.unflatten(x.flatten(2), 1, (self.num_heads, -1))
