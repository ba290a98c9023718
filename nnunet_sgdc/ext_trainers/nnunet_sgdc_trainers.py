"""The one module nnU-Net imports from outside; the trainers themselves live in `nnunet_sgdc.trainers`.

nnU-Net forgets this module after its search, which is why it may define nothing.
"""

from nnunet_sgdc.trainers import *  # noqa: F403
from nnunet_sgdc.trainers import __getattr__  # noqa: F401  trainers whose names say their length or seed
