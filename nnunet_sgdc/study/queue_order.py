"""In which order trainings are begun, and how long all of them will take."""

import heapq
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Job = TypeVar("Job", bound=Hashable)


def longest_first(jobs: Sequence[Job], seconds: Mapping[Job, float]) -> list[Job]:
    """Order jobs so that no long one is left for the end.

    Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM Journal on Applied Mathematics 17 (1969): workers that
    take the longest first need at most 4/3 - 1/(3 m) of the shortest possible time.

    Args:
        jobs: The jobs.
        seconds: How long they take; jobs of unknown length come first, in the given order.
    """
    return sorted(jobs, key=lambda job: -seconds.get(job, float("inf")))


def makespan(jobs: Sequence[Job], seconds: Mapping[Job, float], workers: int) -> float:
    """Time until the last job is done when each worker takes the next one as soon as it is free.

    Args:
        jobs: The jobs in the order in which they are taken.
        seconds: How long they take.
        workers: How many are done at once.
    """
    free = [0.0] * workers
    for job in jobs:
        heapq.heappush(free, heapq.heappop(free) + seconds[job])
    return max(free)
