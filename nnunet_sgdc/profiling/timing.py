"""Times of several works, measured in turn, so that what slows the machine down for a while slows all of them."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

from tqdm import tqdm

from nnunet_sgdc.profiling.memory import within_memory

Work = Callable[[], object]

# The first calls set things up that later ones find.
WARM_UP = 2


def medians_in_turn(
    works: Mapping[str, Work],
    repetitions: int,
    finish: Callable[[], None],
    what: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of every work; those that ran out of memory are left out.

    Args:
        works: What to measure, by name.
        repetitions: How often, beside the calls to warm up.
        finish: Waits for the device.
        what: What progress is shown of.
        clock: Gives the time in seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in tqdm(range(WARM_UP + repetitions), desc=what):
        for name in list(seconds):
            taken = within_memory(partial(_seconds, works[name], finish, clock))
            if taken is None:
                del seconds[name]
            else:
                seconds[name].append(taken)
    return {name: median(values[WARM_UP:]) for name, values in seconds.items()}


def _seconds(work: Work, finish: Callable[[], None], clock: Callable[[], float]) -> float:
    finish()
    start = clock()
    work()
    finish()
    return clock() - start
