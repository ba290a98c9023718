"""The blocks of SGDC as plain torch modules, usable without nnU-Net."""

from nnunet_sgdc.blocks.published import from_published_state_dict
from nnunet_sgdc.blocks.sgdc import SGDC
from nnunet_sgdc.blocks.sge import SGE

__all__ = ["SGDC", "SGE", "from_published_state_dict"]
