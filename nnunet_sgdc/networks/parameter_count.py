"""The size of a network."""

from torch import nn


def parameter_count(network: nn.Module) -> int:
    """Numbers that a training can change, those in frozen layers included; shared ones count once.

    Args:
        network: A network or a part of one.
    """
    return sum(parameter.numel() for parameter in network.parameters())
