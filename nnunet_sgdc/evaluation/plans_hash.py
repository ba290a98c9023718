"""By what two trainings are told to have the same plans, whichever trainers they had; without nnU-Net and torch."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# What trainers add to an architecture, or change in it.
OF_TRAINERS = ("backbone", "sgdc")


def plans_hash(plans: Mapping[str, Any]) -> str:
    """SHA-256 of plans without what trainers differ in, so that it is the same with and without SGDC.

    Args:
        plans: nnU-Net's plans, those of a data set or those stored with a model.
    """
    # A grafted configuration has an architecture of its own where the stock one inherits it.
    configurations = {name: _without_trainer(_resolved(plans, name)) for name in plans["configurations"]}
    kept = {name: value for name, value in plans.items() if name != "continue_training"}
    return content_hash({**kept, "configurations": configurations})


def content_hash(content: object) -> str:
    """SHA-256 of what JSON holds, whatever its order and white space."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _resolved(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits."""
    configuration = dict(plans["configurations"][name])
    parent = configuration.get("inherits_from")
    return {**_resolved(plans, parent), **configuration} if parent else configuration


def _without_trainer(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the class of its network and the options of SGDC."""
    options = configuration["architecture"]["arch_kwargs"]
    stock = {name: value for name, value in options.items() if name not in OF_TRAINERS}
    return {**configuration, "architecture": {"arch_kwargs": stock}}
