"""Scoring many cases at once, in processes, with a progress bar; whatever stops it stops all of it.

Processes are started anew rather than forked, as torch may have threads that do not survive a fork.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from tqdm import tqdm

from nnunet_sgdc.evaluation.errors import EvaluationError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting a process takes as long as scoring about as many cases.
LEAST_ITEMS = 64


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None, title: str
) -> list[Result]:
    """Call the function for every item.

    Args:
        function: What to do, found by its name in a module; its first exception is raised here.
        items: What to do it with.
        workers: Number of processes; None takes one per processor, and none for few items.
        title: What the progress bar says.

    Returns:
        The results in the order of the items.

    Raises:
        EvaluationError: The number of processes is none.
    """
    if workers is not None and workers < 1:
        raise EvaluationError(f"workers must be 1 or more, got {workers}: leave it out to take one per processor")
    processes = min(workers or os.cpu_count() or 1, max(1, len(items) // LEAST_ITEMS))
    if processes == 1:
        return [function(item) for item in _with_progress(items, title)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            futures = [pool.submit(function, item) for item in items]
            return [future.result() for future in _with_progress(futures, title)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _with_progress(items: Sequence[Item], title: str) -> "tqdm[Item]":
    # With None the bar is shown on terminals only.
    return tqdm(items, title, unit="case", leave=False, disable=None)
