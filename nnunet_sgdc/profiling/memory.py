"""What becomes of work for which the memory of the machine is too small."""

import gc
import re
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

# On a CPU and on an Apple GPU, PyTorch has no exception of its own for it.
OUT_OF_MEMORY = re.compile("out of memory|not enough memory|can't allocate memory")


def within_memory(work: Callable[[], Result]) -> Result | None:
    """Do something, and return what it returns; None if it ran out of memory, which is free again then."""
    try:
        return work()
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not OUT_OF_MEMORY.search(str(error)):
            raise
    # Trainers refer to themselves.
    gc.collect()
    torch.cuda.empty_cache()
    return None
