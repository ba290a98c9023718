"""Weights of the published SGE and SGDC modules, for people who trained with them and move over.

Constructor arguments and state-dict names are those of the modules released with the paper (arXiv 2602.23496).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nnunet_sgdc.blocks.sgdc import SGDC
from nnunet_sgdc.blocks.sge import SGE

SGE_ARGUMENTS = {
    "s4_in": "deep_channels",
    "s1_in": "shallow_channels",
    "mid": "width",
    "guide_ch": "guidance_channels",
    "bottleneck": "projection_width",
    "reduction_ratio": "reduction",
}
SGE_NAMES = {
    "s4_proj.conv": "deep_projection.0",
    "s4_proj.bn": "deep_projection.1",
    "s1_proj.conv": "shallow_projection.0",
    "s1_proj.bn": "shallow_projection.1",
    "refine4.refine": "deep_refinement.residual",
    "refine1.refine": "shallow_refinement.residual",
    "fuse.conv": "fusion.0",
    "fuse.bn": "fusion.1",
    "out_edge_map": "boundary_head",
    "out_guidance": "guidance_head",
}
SGDC_ARGUMENTS = {
    "dim": "channels",
    "guide_ch": "guidance_channels",
    "num_heads": "num_heads",
    "kernel_size": "kernel_size",
    "mlp_ratio": "mlp_ratio",
    "ls_init": "layer_scale",
}
SGDC_NAMES = {
    "ls1": "mixing_scale",
    "ls2": "mlp_scale",
    "proj_guidance": "guidance_projection",
    "attn": "gates_and_kernels",
    "norm1": "mixing_norm",
    "norm2": "mlp_norm",
    "dwconv": "static_conv",
    "mlp": "mlp",
}
# Frozen and all alike: ours are arithmetic.
CONSTANT_WEIGHTS = ("sobel_x.", "sobel_y.")


def from_published_state_dict(config: Mapping[str, Any], state_dict: Mapping[str, Tensor]) -> SGE | SGDC:
    """Build the block that the published constructor values describe and load weights saved under published names.

    Args:
        config: Published constructor values: s4_in, s1_in, mid, guide_ch, bottleneck and reduction_ratio for an SGE;
            dim, guide_ch, num_heads, kernel_size, mlp_ratio and ls_init for an SGDC. What is left out has its
            published default; `training`, if given, sets the mode of the block.
        state_dict: Weights under published names, with or without the constant Sobel weights.

    Returns:
        The block, in the dtype of the weights.

    Raises:
        ValueError: If config holds unknown keys, or weights of several dtypes come together.
        RuntimeError: If weights are missing, unexpected or of another shape (from torch).
    """
    values = dict(config)
    training = bool(values.pop("training", True))
    kind: type[SGE | SGDC] = SGDC if "dim" in values else SGE
    arguments, names = (SGDC_ARGUMENTS, SGDC_NAMES) if kind is SGDC else (SGE_ARGUMENTS, SGE_NAMES)
    block = kind(**_rename_arguments(values, arguments))
    block.to(_floating_dtype(state_dict))
    block.load_state_dict(_rename_weights(state_dict, names))
    return block.train(training)


def _rename_arguments(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ValueError(f"config must hold published constructor values among {sorted(names)}, got also {unknown}")
    return {
        names[key]: float(value) if key in ("mlp_ratio", "ls_init") else int(value) for key, value in values.items()
    }


def _rename_weights(state_dict: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    kept = (key for key in state_dict if not key.startswith(CONSTANT_WEIGHTS))
    return {_rename(key, names): state_dict[key] for key in kept}


def _rename(key: str, names: Mapping[str, str]) -> str:
    """Replace the leading part of a key that names knows; an unknown key stays, for torch to report."""
    for published, ours in names.items():
        if key == published or key.startswith(f"{published}."):
            return ours + key.removeprefix(published)
    return key


def _floating_dtype(state_dict: Mapping[str, Tensor]) -> torch.dtype:
    dtypes = {tensor.dtype for tensor in state_dict.values() if tensor.is_floating_point()}
    if len(dtypes) != 1:
        raise ValueError(f"state_dict must hold weights of one floating dtype, got {sorted(map(str, dtypes))}")
    return dtypes.pop()
