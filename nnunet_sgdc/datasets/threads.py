"""Work on many cases at once, with a progress bar; whatever stops it stops all of it.

Threads do, since Pillow lets go of the interpreter lock while it decodes, resamples and encodes.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> tuple[Result, ...]:
    """Call the function for every item.

    Args:
        function: What to do; the first exception is raised here and cancels what has not begun, as Ctrl-C does.
        items: What to do it with.
        workers: Number of threads; None takes one per processor.

    Returns:
        The results in the order of the items.
    """
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        try:
            futures = [pool.submit(function, item) for item in items]
            # With None the bar is shown on terminals only.
            return tuple(future.result() for future in tqdm(futures, unit="case", leave=False, disable=None))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
