"""The blocks of SGDC as plain torch modules, usable without nnU-Net."""

from nnunet_sgdc.blocks.gated_dynamic_conv import GatedDynamicConv
from nnunet_sgdc.blocks.pooled_dynamic_conv import PooledDynamicConv
from nnunet_sgdc.blocks.published import from_published_state_dict
from nnunet_sgdc.blocks.sgdc import SGDC
from nnunet_sgdc.blocks.sge import SGE

__all__ = ["SGDC", "SGE", "GatedDynamicConv", "PooledDynamicConv", "from_published_state_dict"]
