"""SGDC in nnU-Net's plans: the architecture names our network, its backbone and the complete configuration.

With it `get_network_from_plans` alone rebuilds the network, whatever the defaults of a later version are.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_sgdc.networks.config import SGDCConfig

NETWORK_CLASS = "nnunet_sgdc.networks.SGDCUNet"


# What grafting adds to the options of the backbone.
GRAFTED = ("backbone", "sgdc")


def is_grafted(architecture: Mapping[str, Any]) -> bool:
    """Whether an `architecture` entry of nnU-Net's plans names our network."""
    return bool(architecture.get("network_class_name") == NETWORK_CLASS)


def graft_architecture(architecture: dict[str, Any], config: SGDCConfig) -> dict[str, Any]:
    """Describe a stock architecture of the plans with SGDC grafted on.

    Args:
        architecture: The `architecture` entry of a configuration in nnU-Net's plans; one that already names our
            network keeps its own options, and only the block is that of the config.
        config: Options of SGDC.

    Returns:
        An `architecture` entry for `get_network_from_plans`.
    """
    if is_grafted(architecture):
        return _with_block(architecture, config.block)
    backbone = architecture["network_class_name"]
    return {
        "network_class_name": NETWORK_CLASS,
        "arch_kwargs": {**deepcopy(architecture["arch_kwargs"]), "backbone": backbone, "sgdc": config.to_dict()},
        "_kw_requires_import": [*architecture["_kw_requires_import"], "backbone"],
    }


def gives_boundary(architecture: Mapping[str, Any]) -> bool:
    """Whether an `architecture` entry of nnU-Net's plans describes a network that predicts boundaries."""
    return is_grafted(architecture) and SGDCConfig.from_dict(architecture["arch_kwargs"]["sgdc"]).has_sge


def ungraft_architecture(architecture: dict[str, Any]) -> dict[str, Any]:
    """Describe the backbone of an architecture, as it was before `graft_architecture`.

    Args:
        architecture: The `architecture` entry of a configuration in nnU-Net's plans; one without SGDC is returned as
            it is.

    Returns:
        An `architecture` entry for `get_network_from_plans`.
    """
    if not is_grafted(architecture):
        return architecture
    options = architecture["arch_kwargs"]
    return {
        "network_class_name": options["backbone"],
        "arch_kwargs": {name: deepcopy(value) for name, value in options.items() if name not in GRAFTED},
        "_kw_requires_import": [name for name in architecture["_kw_requires_import"] if name not in GRAFTED],
    }


def planned_options(plans: dict[str, Any], configuration: str) -> SGDCConfig | None:
    """Options of SGDC that one configuration of plans holds; None if it has a stock architecture.

    Args:
        plans: nnU-Net's plans.
        configuration: Name of the configuration.
    """
    architecture = PlansManager(plans).get_configuration(configuration).configuration["architecture"]
    return SGDCConfig.from_dict(architecture["arch_kwargs"]["sgdc"]) if is_grafted(architecture) else None


def graft_plans(plans: dict[str, Any], configuration: str, config: SGDCConfig) -> dict[str, Any]:
    """Graft SGDC onto one configuration of nnU-Net's plans.

    Args:
        plans: nnU-Net's plans; they are not changed.
        configuration: Name of a 2D configuration.
        config: Options of SGDC.

    Returns:
        Plans in which the configuration has the grafted architecture.

    Raises:
        ValueError: If the configuration is not a 2D one.
    """
    resolved = PlansManager(plans).get_configuration(configuration).configuration
    if len(resolved["patch_size"]) != 2:
        raise ValueError(
            f"SGDC is for 2D configurations, but {configuration!r} has the patch size {resolved['patch_size']}; "
            "train the 2d configuration"
        )
    grafted = deepcopy(plans)
    grafted["configurations"][configuration]["architecture"] = graft_architecture(resolved["architecture"], config)
    return grafted


def _with_block(architecture: dict[str, Any], block: str) -> dict[str, Any]:
    options = architecture["arch_kwargs"]
    sgdc = replace(SGDCConfig.from_dict(options["sgdc"]), block=block).to_dict()
    return {**architecture, "arch_kwargs": {**options, "sgdc": sgdc}}
