"""What a trainer costs on any device, counted without computing anything: parameters, FLOPs, activations."""

from dataclasses import dataclass
from traceback import format_exception_only
from typing import Any

import torch
from torch import nn

from nnunet_sgdc.evaluation.training_cost import saved_bytes
from nnunet_sgdc.networks.parameter_count import parameter_count
from nnunet_sgdc.profiling.flops import forward_flops


@dataclass(frozen=True)
class Counts:
    """Numbers of one trainer.

    Attributes:
        parameters: Numbers that a training can change.
        flops: Of one forward pass of one patch, as in prediction; None if unknown.
        activation_bytes: What a training step keeps from its forward to its backward pass, in single precision; None
            if unknown.
        note: Why something is unknown; empty if nothing is.
    """

    parameters: int
    flops: int | None
    activation_bytes: int | None
    note: str = ""


def count(trainer: Any) -> Counts:
    """Count what a trainer costs.

    Args:
        trainer: An initialised trainer on the CPU; its weights are gone afterwards.
    """
    network: nn.Module = trainer.network
    parameters = parameter_count(network)
    try:
        network.to("meta")
        return Counts(parameters, _flops(trainer), _activation_bytes(trainer))
    # Without data a network of the user may raise anything, and what is measured does not depend on these numbers.
    except Exception as error:
        reason = format_exception_only(error)[0].splitlines()[0].split(". ")[0]
        sentence = "are unknown, since its network does not run on PyTorch's meta device"
        note = f"FLOPs and activations of {type(trainer).__name__} {sentence} ({reason})."
        return Counts(parameters, None, None, note)


def _flops(trainer: Any) -> int:
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    return forward_flops(trainer.network, (1, *_sample_shape(trainer)))


def _activation_bytes(trainer: Any) -> int:
    trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
    trainer.network.train()
    return saved_bytes(trainer.network, torch.empty(trainer.batch_size, *_sample_shape(trainer), device="meta"))


def _sample_shape(trainer: Any) -> tuple[int, ...]:
    return (trainer.num_input_channels, *trainer.configuration_manager.patch_size)
