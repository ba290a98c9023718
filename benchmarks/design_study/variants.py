"""What is compared: stock nnU-Net, the defaults, and variants that differ from the defaults in one thing."""

from dataclasses import dataclass, replace

from nnunet_sgdc.networks import SGDCConfig

STOCK = "stock"
BASE = "base"

# Written out, so that the study stays what it was when the defaults change.
_base = SGDCConfig(strides=(4, 8, 16), layer_scale=1e-1, sge_ratio=1.0)

# SGE reads an encoder stage of 64 channels in the halved network, which is the width of the base.
VARIANTS: dict[str, SGDCConfig | None] = {
    STOCK: None,
    BASE: _base,
    "LayerScale 1e-6": replace(_base, layer_scale=1e-6),
    "LayerScale 1e-2": replace(_base, layer_scale=1e-2),
    "LayerScale 1": replace(_base, layer_scale=1.0),
    "strides 8, 16": replace(_base, strides=(8, 16)),
    "strides 4, 8": replace(_base, strides=(4, 8)),
    "stride 16": replace(_base, strides=(16,)),
    "SGE width 32": replace(_base, sge_ratio=0.5),
    "SGE width 16": replace(_base, sge_ratio=0.25),
    "chosen": SGDCConfig(strides=(4, 8), layer_scale=1.0, sge_ratio=0.25),
}


@dataclass(frozen=True)
class Settings:
    """What all runs have in common.

    Attributes:
        epochs: Epochs, after each of which the learning rate falls.
        iterations: Training steps of an epoch.
        batch_size: Images of a step.
    """

    epochs: int = 8
    iterations: int = 30
    batch_size: int = 4


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        variant: Which of `VARIANTS`.
        seed: Of the weights and of the batches.
    """

    variant: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.variant.replace(', ', '-').replace(' ', '_')}_seed{self.seed}"
