"""Small U-Nets as nnU-Net's plans describe them, stock and grafted."""

from typing import Any

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from nnunet_sgdc.networks import SGDCConfig, SGDCUNet, graft_architecture

PLAIN, RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
BLOCKS = {PLAIN: {"n_conv_per_stage": [1] * 5}, RESIDUAL: {"n_blocks_per_stage": [1] * 5}}
SMALL = SGDCConfig(kernel_size=3)
# Options of a plain network that is compiled, or written out, in no time.
THREE_STAGES = {
    "n_stages": 3,
    "features_per_stage": [8, 16, 32],
    "kernel_sizes": [[3, 3]] * 3,
    "strides": [[1, 1], [2, 2], [2, 2]],
    "n_conv_per_stage": [1] * 3,
    "n_conv_per_stage_decoder": [1] * 2,
}


def architecture(backbone: str = PLAIN, **options: Any) -> dict[str, Any]:
    """The `architecture` entry of a 2D configuration with five stages."""
    arch_kwargs = {
        "n_stages": 5,
        "features_per_stage": [8, 16, 32, 64, 64],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3]] * 5,
        "strides": [[1, 1], [2, 2], [2, 2], [2, 2], [2, 2]],
        **BLOCKS[backbone],
        "n_conv_per_stage_decoder": [1] * 4,
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{backbone}",
        "arch_kwargs": {**arch_kwargs, **options},
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def build(described: dict[str, Any], channels: int = 3, classes: int = 2, deep_supervision: bool = True) -> nn.Module:
    """Build a network as nnU-Net does."""
    return get_network_from_plans(
        described["network_class_name"],
        described["arch_kwargs"],
        described["_kw_requires_import"],
        channels,
        classes,
        deep_supervision=deep_supervision,
    )


def stock(backbone: str = PLAIN, **options: Any) -> nn.Module:
    return build(architecture(backbone), **options)


def grafted(backbone: str = PLAIN, config: SGDCConfig = SMALL, **options: Any) -> SGDCUNet:
    return build(graft_architecture(architecture(backbone), config), **options)


def tiny(**options: Any) -> SGDCUNet:
    """Three stages with a single SGDC block, at stride 2."""
    described = architecture(**THREE_STAGES)
    return build(graft_architecture(described, SGDCConfig(strides=(2,), kernel_size=3)), **options)
