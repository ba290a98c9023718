"""Planning a data set, and preprocessing it where that is still to be done."""

from contextlib import nullcontext, redirect_stdout
from io import StringIO
from typing import Any

from nnunetv2.experiment_planning.plan_and_preprocess_api import plan_experiment_dataset, preprocess_dataset

from nnunet_sgdc.planners import PlanningError
from nnunet_sgdc.planners.plans_files import check_plans_name
from nnunet_sgdc.planners.preprocessed import is_preprocessed
from nnunet_sgdc.planning.fingerprint import provide_fingerprint
from nnunet_sgdc.planning.options import CONFIGURATION, PlanOptions
from nnunet_sgdc.planning.raw_data import RawData, find_raw_data
from nnunet_sgdc.planning.report import PlanReport, Preprocessing


def plan(dataset_ids: list[int], options: PlanOptions) -> list[PlanReport]:
    """Plan data sets one after the other, once all of them are found.

    Args:
        dataset_ids: Numbers of the data sets.
        options: How to plan.

    Raises:
        PlanningError: A data set is missing or incomplete, or cannot be planned as asked.
        OSError: Something cannot be read or written.
    """
    found = [find_raw_data(dataset_id) for dataset_id in dict.fromkeys(dataset_ids)]
    planner = options.planner
    for raw in found:
        check_plans_name(raw.preprocessed, options.name, planner.__name__, planner.default_plans_name)
    return [_plan_one(raw, options) for raw in found]


def _plan_one(raw: RawData, options: PlanOptions) -> PlanReport:
    provide_fingerprint(raw, options)
    plans = _plans(raw, options)
    state = _preprocess(raw, plans["configurations"][CONFIGURATION]["data_identifier"], options)
    return PlanReport(raw.dataset_id, plans, raw.preprocessed / f"{options.name}.json", state)


def _plans(raw: RawData, options: PlanOptions) -> dict[str, Any]:
    """The plans of nnU-Net's own function, which prints them in full."""
    with nullcontext() if options.verbose else redirect_stdout(StringIO()):
        try:
            plans: dict[str, Any] = plan_experiment_dataset(
                raw.dataset_id,
                options.planner,
                options.gpu_memory_target,
                options.preprocessor_name,
                overwrite_plans_name=options.name,
            )[0]
        # nnU-Net gives no words to what it finds when it compares folds.
        except (AssertionError, IndexError) as error:
            raise PlanningError(
                f"splits_final.json of {raw.name} must hold the same folds in nnUNet_raw and in nnUNet_preprocessed, "
                f"but does not: remove {raw.preprocessed / 'splits_final.json'} if the raw ones are right"
            ) from error
        except RuntimeError as error:
            raise PlanningError(f"nnU-Net cannot plan {raw.name} ({_first_line(error)}): put that right") from error
    return plans


def _preprocess(raw: RawData, data_identifier: str, options: PlanOptions) -> Preprocessing:
    if is_preprocessed(raw.preprocessed, data_identifier, raw.cases):
        return Preprocessing.REUSED
    if not options.preprocess:
        return Preprocessing.MISSING
    try:
        preprocess_dataset(raw.dataset_id, options.name, [CONFIGURATION], [options.processes], options.verbose)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise PlanningError(
            f"nnU-Net cannot preprocess {raw.name} ({_first_line(error)}): put that right, or give fewer processes "
            "with -np if memory ran out"
        ) from error
    return Preprocessing.MADE


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
