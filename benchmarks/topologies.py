"""Networks on which the planner's estimate of memory is held against what a training keeps."""

from typing import Any, NamedTuple

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from benchmarks.plans import PLANNERS, plan
from nnunet_sgdc.networks import SGDCConfig, SGDCUNet, graft_architecture
from nnunet_sgdc.profiling.setting import Setting


class Topology(NamedTuple):
    """A network as nnU-Net plans it for a patch.

    Attributes:
        network: PlainConvUNet or ResidualEncoderUNet.
        patch: Height and width.
        batch: Images of a batch.
        smallest_edge: Edge of the smallest feature map, 4 in nnU-Net; larger ones leave less stages.
    """

    network: str
    patch: tuple[int, int]
    batch: int
    smallest_edge: int = 4

    def plan(self) -> Setting:
        """Plans of the network."""
        return plan(self.network, self.patch, self.batch, self.smallest_edge)

    @property
    def stages(self) -> int:
        """Stages of the encoder."""
        return int(self.plan().configured.configuration["architecture"]["arch_kwargs"]["n_stages"])


# From five stages to eight.
PATCHES = [
    ((128, 128), 48, 8),
    ((128, 128), 48, 4),
    ((96, 320), 32, 4),
    ((224, 224), 24, 4),
    ((256, 256), 2, 4),
    ((384, 512), 12, 4),
    ((512, 512), 8, 4),
    ((1024, 1024), 2, 8),
]
TOPOLOGIES = [Topology(network, *patch) for network in PLANNERS for patch in PATCHES]


def build_stock(setting: Setting) -> Any:
    """The network of the plans."""
    return _build(setting, setting.configured.configuration["architecture"])


def build_grafted(setting: Setting, sgdc: SGDCConfig) -> SGDCUNet:
    """The network of the plans with SGDC."""
    network: SGDCUNet = _build(setting, graft_architecture(setting.configured.configuration["architecture"], sgdc))
    return network


def _build(setting: Setting, architecture: dict[str, Any]) -> Any:
    return get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        setting.channels,
        len(setting.dataset_json["labels"]),
        allow_init=False,
        deep_supervision=True,
    )
