"""Plans that name SGDC, as trainers without it would have them: the opposite of `nnunet_sgdc.networks.graft_plans`."""

from copy import deepcopy
from typing import Any

from nnunet_sgdc.networks.plans import NETWORK_CLASS

# What grafting adds to the options of the backbone.
GRAFTED = ("backbone", "sgdc")


def is_grafted(architecture: dict[str, Any]) -> bool:
    """Whether an `architecture` entry of nnU-Net's plans names our network."""
    return bool(architecture["network_class_name"] == NETWORK_CLASS)


def ungraft_architecture(architecture: dict[str, Any]) -> dict[str, Any]:
    """Describe the backbone of an architecture with SGDC.

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
