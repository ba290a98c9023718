"""The options of SGDC in a network, as one frozen object that plans and checkpoints carry."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

BLOCKS = ("sgdc", "pooled_dynamic_conv", "static_conv", "static_conv_equal_flops", "none")
# Those of networks with SGE: what guides, or is supervised with boundaries alone.
BLOCKS_WITH_SGE = ("sgdc", "none")


@dataclass(frozen=True)
class SGDCConfig:
    """Options of SGE and SGDC in a network.

    Args:
        strides: Which decoder stages carry SGDC, by their stride to the input (1 is full resolution).
        kernel_size: Edge length of the dynamic kernels, odd.
        num_heads: Kernels per pixel; must divide the channels of every stage that carries SGDC.
        guidance_channels: Channels of the guidance.
        mlp_ratio: Hidden width of the MLP in SGDC as a multiple of the channels.
        layer_scale: Start value of LayerScale. From the published 1e-6, made for AdamW, the blocks hardly move under
            nnU-Net's SGD, and in float16 the weights inside them learn from gradients that are off by a tenth.
        sge_ratio: Channels inside SGE as a multiple of those of the encoder stage that SGE reads.
        block: What these stages carry. The others are controls, to compare with: `pooled_dynamic_conv` has the same
            dynamic convolution with kernels and gates from average-pooled context; `static_conv` and
            `static_conv_equal_flops` are residual bottlenecks with as many parameters or multiplications as SGDC;
            `none` leaves the stages as they are. Only `sgdc` and `none` come with SGE and its boundary.

    The defaults of strides, layer_scale and sge_ratio did best, or as well as others at less cost, in the trainings of
    `benchmarks/design_study` (tables in benchmarks/README.md).

    Raises:
        ValueError: If a value is out of its range.
    """

    strides: tuple[int, ...] = (4, 8)
    kernel_size: int = 7
    num_heads: int = 4
    guidance_channels: int = 16
    mlp_ratio: float = 4.0
    layer_scale: float = 1.0
    sge_ratio: float = 0.25
    block: str = "sgdc"

    def __post_init__(self) -> None:
        listed = isinstance(self.strides, list | tuple) and len(self.strides) > 0
        _require(listed and all(map(_is_count, self.strides)), "strides", "positive integers", self)
        # JSON knows lists only; a tuple keeps the object hashable.
        object.__setattr__(self, "strides", tuple(self.strides))
        _require(_is_count(self.kernel_size) and self.kernel_size % 2 == 1, "kernel_size", "an odd integer", self)
        _require(_is_count(self.num_heads), "num_heads", "a positive integer", self)
        _require(_is_count(self.guidance_channels), "guidance_channels", "a positive integer", self)
        _require(_is_positive(self.mlp_ratio), "mlp_ratio", "a positive number", self)
        _require(_is_positive(self.layer_scale), "layer_scale", "a positive number", self)
        _require(_is_positive(self.sge_ratio), "sge_ratio", "a positive number", self)
        _require(self.block in BLOCKS, "block", f"one of {', '.join(BLOCKS)}", self)

    @property
    def has_sge(self) -> bool:
        """Whether the network has SGE, and so gives boundaries."""
        return self.block in BLOCKS_WITH_SGE

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SGDCConfig":
        """Read options as plans store them.

        Args:
            values: Options by name; those left out have their defaults.

        Raises:
            ValueError: If a name is unknown or a value out of its range.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"sgdc must hold options among {known}, got also {unknown}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All options as values that JSON can hold."""
        return {**asdict(self), "strides": list(self.strides)}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _require(valid: bool, name: str, expected: str, config: SGDCConfig) -> None:
    if not valid:
        raise ValueError(f"SGDCConfig.{name} must be {expected}, got {getattr(config, name)!r}")
