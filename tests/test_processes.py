"""Work in processes: results in order, few items without any, errors and a bad number told."""

import os

import pytest

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.processes import LEAST_ITEMS, in_processes

MANY = range(3 * LEAST_ITEMS)


def double(number: int) -> int:
    return 2 * number


def process_of(number: int) -> int:
    return os.getpid()


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise EvaluationError("number 7 must be another one")
    return number


@pytest.mark.parametrize("items", [range(3), MANY])
def test_results_come_in_the_order_of_the_items(items: range) -> None:
    assert in_processes(double, items, 2, "Double") == [2 * number for number in items]


def test_many_items_are_shared_by_other_processes() -> None:
    found = set(in_processes(process_of, MANY, 2, "Ask"))
    assert len(found) == 2
    assert os.getpid() not in found


@pytest.mark.parametrize(("items", "workers"), [(range(LEAST_ITEMS), 2), (MANY, 1)])
def test_few_items_or_one_worker_stay_in_this_process(items: range, workers: int) -> None:
    assert set(in_processes(process_of, items, workers, "Ask")) == {os.getpid()}


@pytest.mark.parametrize("items", [range(10), MANY])
def test_the_first_error_reaches_the_caller(items: range) -> None:
    with pytest.raises(EvaluationError, match="number 7 must be another one"):
        in_processes(fail_at_seven, items, 2, "Fail")


def test_no_items_have_no_results() -> None:
    assert in_processes(double, (), None, "Double") == []


def test_no_workers_are_refused() -> None:
    with pytest.raises(EvaluationError, match="workers must be 1 or more, got 0"):
        in_processes(double, MANY, 0, "Double")
