"""The wrapper of what our network has and stock checkpoints lack."""

from typing import Any

from torch import nn


class Graft(nn.Module):
    """Hold a module under a name that nnU-Net's `-pretrained_weights` does not look for in the file.

    nnU-Net requires every weight of the network in a pretrained checkpoint, except those with `.seg_layers.` in their
    name, which keep their initial values. With this name in between, checkpoints of the stock network load.

    Args:
        module: The module to hold.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.seg_layers = module

    def forward(self, *args: Any) -> Any:
        """Call the module."""
        return self.seg_layers(*args)
