"""Our planners beside nnU-Net's, on made-up fingerprints."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
    nnUNetPlannerResEncL,
    nnUNetPlannerResEncM,
    nnUNetPlannerResEncXL,
)
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from raw_datasets import CASES, DATASET, read_plans, write_fingerprint, write_preprocessed, write_raw
from unets import build

from nnunet_sgdc.networks import SGDCConfig
from nnunet_sgdc.planners import (
    PlanningError,
    nnUNetPlannerSGDC,
    nnUNetPlannerSGDCResEncL,
    nnUNetPlannerSGDCResEncM,
    nnUNetPlannerSGDCResEncXL,
)
from nnunet_sgdc.planners.preprocessed import is_preprocessed
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

# Asking for another target than a preset's own is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:.*non-standard gpu_memory_target")

PLANNERS = {
    nnUNetPlannerSGDC: ExperimentPlanner,
    nnUNetPlannerSGDCResEncM: nnUNetPlannerResEncM,
    nnUNetPlannerSGDCResEncL: nnUNetPlannerResEncL,
    nnUNetPlannerSGDCResEncXL: nnUNetPlannerResEncXL,
}
NAMES = {
    nnUNetPlannerSGDC: "nnUNetSGDCPlans",
    nnUNetPlannerSGDCResEncM: "nnUNetSGDCResEncUNetMPlans",
    nnUNetPlannerSGDCResEncL: "nnUNetSGDCResEncUNetLPlans",
    nnUNetPlannerSGDCResEncXL: "nnUNetSGDCResEncUNetXLPlans",
}
SHAPES = [(224, 224), (256, 256), (384, 512), (512, 512), (100, 300), (40, 40)]


class nnUNetPlannerSGDC_k5(nnUNetPlannerSGDC):
    sgdc = SGDCConfig(kernel_size=5)
    default_plans_name = "nnUNetSGDCk5Plans"


@pytest.fixture
def preprocessed(raw: Path) -> Path:
    """Folder of preprocessed data, for a raw data set that claims to have 500 cases."""
    write_raw(raw, count=500)
    return raw.parent / "nnUNet_preprocessed"


def planned(planner: type[ExperimentPlanner], preprocessed: Path, **options: Any) -> dict[str, Any]:
    """The plans of a planner, as they are saved."""
    one = planner(1, **options)
    one.plan_experiment()
    return read_plans(preprocessed, one.plans_identifier)


def planned_2d(planner: type[ExperimentPlanner], preprocessed: Path, **options: Any) -> dict[str, Any]:
    two_d: dict[str, Any] = planned(planner, preprocessed, **options)["configurations"]["2d"]
    return two_d


def pixels(two_d: dict[str, Any]) -> int:
    height, width = two_d["patch_size"]
    count: int = height * width * two_d["batch_size"]
    return count


@pytest.mark.parametrize("planner", PLANNERS)
def test_plans_say_which_planner_made_them(planner: type[ExperimentPlanner], preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    plans = planned(planner, preprocessed)
    assert plans["experiment_planner_used"] == planner.__name__
    assert plans["plans_name"] == NAMES[planner]


@pytest.mark.parametrize("planner", PLANNERS)
def test_the_plans_alone_rebuild_the_network_of_the_trainer(
    planner: type[ExperimentPlanner], preprocessed: Path
) -> None:
    write_fingerprint(preprocessed)
    plans = planned(planner, preprocessed)
    configuration = PlansManager(plans).get_configuration("2d")
    with torch.device("meta"):
        ours = build(plans["configurations"]["2d"]["architecture"], channels=1)
        trainers = nnUNetTrainerSGDC.build_network_architecture(PlansManager(plans), configuration, 1, 2)
    assert shapes(ours) == shapes(trainers)


def shapes(network: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def test_a_subclass_chooses_the_options_of_sgdc(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    architecture = planned_2d(nnUNetPlannerSGDC_k5, preprocessed)["architecture"]
    assert architecture["arch_kwargs"]["sgdc"] == SGDCConfig(kernel_size=5).to_dict()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sgdc_never_gets_more_than_the_stock_network_at_the_same_target(
    shape: tuple[int, int], preprocessed: Path
) -> None:
    write_fingerprint(preprocessed, (1, *shape), count=500)
    ours, stock = (planned_2d(planner, preprocessed) for planner in (nnUNetPlannerSGDC, ExperimentPlanner))
    assert ours["batch_size"] <= stock["batch_size"]
    assert pixels(ours) <= pixels(stock)


@pytest.mark.parametrize("ours", list(PLANNERS)[1:])
def test_presets_with_sgdc_keep_the_patch_and_take_no_larger_batch(
    ours: type[ExperimentPlanner], preprocessed: Path
) -> None:
    write_fingerprint(preprocessed, (1, 256, 256), count=500)
    with_sgdc, stock = (planned_2d(planner, preprocessed) for planner in (ours, PLANNERS[ours]))
    assert with_sgdc["patch_size"] == stock["patch_size"] == [256, 256]
    assert 2 <= with_sgdc["batch_size"] <= stock["batch_size"]


def test_a_larger_target_never_gives_less(preprocessed: Path) -> None:
    write_fingerprint(preprocessed, (1, 512, 512), count=500)
    targets = (0.01, 0.1, 1, 2, 4, 8, 16, 24)
    counts = [pixels(planned_2d(nnUNetPlannerSGDC, preprocessed, gpu_memory_target_in_gb=gb)) for gb in targets]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_images_of_three_channels_are_planned_for(raw: Path) -> None:
    preprocessed = raw.parent / "nnUNet_preprocessed"
    write_raw(raw, channels=3)
    write_fingerprint(preprocessed, channels=3)
    assert len(planned_2d(nnUNetPlannerSGDC, preprocessed)["normalization_schemes"]) == 3


@pytest.mark.parametrize("planner", [nnUNetPlannerSGDC, nnUNetPlannerSGDCResEncM])
def test_volumes_get_the_2d_configuration_only_and_that_of_nnunet(
    planner: type[ExperimentPlanner], preprocessed: Path
) -> None:
    write_fingerprint(preprocessed, (40, 128, 96), spacing=(3.0, 1.0, 1.0), count=500)
    plans = planned(planner, preprocessed)
    stock = planned(PLANNERS[planner], preprocessed)
    assert list(plans["configurations"]) == ["2d"]
    assert "3d_fullres" in stock["configurations"]
    ours, theirs = plans["configurations"]["2d"], stock["configurations"]["2d"]
    assert ours["patch_size"] == theirs["patch_size"]
    assert ours["spacing"] == theirs["spacing"]
    assert plans["original_median_shape_after_transp"] == stock["original_median_shape_after_transp"]


def test_configurations_that_a_user_added_stay(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    plans = planned(nnUNetPlannerSGDC, preprocessed)
    plans["configurations"]["2d_mine"] = {"inherits_from": "2d", "batch_size": 3}
    (preprocessed / DATASET / "nnUNetSGDCPlans.json").write_text(json.dumps(plans))
    assert list(planned(nnUNetPlannerSGDC, preprocessed)["configurations"]) == ["2d", "2d_mine"]


@pytest.mark.parametrize("shape", [(64, 64), (4, 200)], ids=str)
@pytest.mark.parametrize("planner", [nnUNetPlannerSGDC, nnUNetPlannerSGDCResEncM])
def test_a_target_too_small_is_one_sentence_with_the_smallest_that_works(
    planner: type[ExperimentPlanner], shape: tuple[int, int], preprocessed: Path
) -> None:
    write_fingerprint(preprocessed, (1, *shape))
    with pytest.raises(PlanningError, match="must be at least") as refusal:
        planned(planner, preprocessed, gpu_memory_target_in_gb=1e-4)
    smallest = float(re.search(r"at least (\S+) GB", str(refusal.value))[1])
    assert planned(planner, preprocessed, gpu_memory_target_in_gb=smallest)
    with pytest.raises(PlanningError):
        planned(planner, preprocessed, gpu_memory_target_in_gb=0.8 * smallest)


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), float("inf")])
def test_a_target_that_is_no_positive_number_is_refused(target: float, preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    with pytest.raises(PlanningError, match="-gpu_memory_target must be a positive number of GB"):
        nnUNetPlannerSGDC(1, target)


def test_images_too_small_for_sgdc_are_one_sentence(preprocessed: Path) -> None:
    write_fingerprint(preprocessed, (1, 16, 16))
    with pytest.raises(PlanningError, match=r"images of 16 x 16 pixels.*make the images larger"):
        planned(nnUNetPlannerSGDC, preprocessed)


@pytest.mark.parametrize("name", ["nnUNetPlans", "nnUNetSGDCResEncUNetMPlans", "dataset", "a/b", "a__b", ""])
def test_a_name_of_another_file_or_planner_is_refused(name: str, preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    planner = nnUNetPlannerSGDC(1)
    planner.plans_identifier = name
    with pytest.raises(PlanningError, match="-overwrite_plans_name must"):
        planner.plan_experiment()


def test_plans_of_another_planner_are_not_replaced(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    stock = planned(ExperimentPlanner, preprocessed, plans_name="mine")
    with pytest.raises(PlanningError, match="is of ExperimentPlanner: choose another name"):
        planned(nnUNetPlannerSGDC, preprocessed, plans_name="mine")
    assert read_plans(preprocessed, "mine") == stock


def test_plans_of_a_name_of_ones_own_are_planned_again(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    planned(nnUNetPlannerSGDC, preprocessed, plans_name="mine")
    assert planned(nnUNetPlannerSGDC, preprocessed, plans_name="mine")["plans_name"] == "mine"


def test_damaged_plans_are_one_sentence(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    (preprocessed / DATASET / "nnUNetPlans.json").write_text("{")
    with pytest.raises(PlanningError, match=r"nnUNetPlans\.json must be JSON"):
        planned(nnUNetPlannerSGDC, preprocessed)


def test_a_failure_while_saving_leaves_the_plans_as_they_were(
    preprocessed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fingerprint(preprocessed)
    before = planned(nnUNetPlannerSGDC, preprocessed)

    def save_half(self: ExperimentPlanner, plans: dict[str, Any]) -> None:
        (preprocessed / DATASET / f"{self.plans_identifier}.json").write_text("{")
        raise OSError("No space left on device")

    monkeypatch.setattr(ExperimentPlanner, "save_plans", save_half)
    with pytest.raises(OSError, match="No space"):
        nnUNetPlannerSGDC(1).plan_experiment()
    assert read_plans(preprocessed, "nnUNetSGDCPlans") == before
    assert not list((preprocessed / DATASET).glob("*.partial.json"))


def identifier(preprocessed: Path, planner: type[ExperimentPlanner] = nnUNetPlannerSGDC, **options: Any) -> str:
    name: str = planned_2d(planner, preprocessed, **options)["data_identifier"]
    return name


def test_without_other_plans_the_data_is_called_as_by_nnunet(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    assert identifier(preprocessed) == "nnUNetPlans_2d"


@pytest.mark.parametrize("planner", PLANNERS)
def test_data_of_stock_plans_that_preprocess_alike_is_shared(
    planner: type[ExperimentPlanner], preprocessed: Path
) -> None:
    write_fingerprint(preprocessed)
    planned(ExperimentPlanner, preprocessed)
    write_preprocessed(preprocessed, "nnUNetPlans_2d")
    assert identifier(preprocessed, planner) == "nnUNetPlans_2d"


def test_data_that_is_there_is_preferred_to_data_that_is_only_planned(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    for name in ("nnUNetPlans", "theirs"):
        planned(ExperimentPlanner, preprocessed, plans_name=name)
    write_preprocessed(preprocessed, "theirs_2d")
    assert identifier(preprocessed) == "theirs_2d"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spacing", [2.0, 2.0]),
        ("normalization_schemes", ["NoNormalization"]),
        ("use_mask_for_norm", [True]),
        ("resampling_fn_data", "resample_torch_fornnunet"),
        ("resampling_fn_seg_kwargs", {"order": 0}),
        ("preprocessor_name", "Mine"),
    ],
)
def test_data_of_plans_that_preprocess_otherwise_is_not_shared(key: str, value: object, preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    plans = planned(ExperimentPlanner, preprocessed)
    plans["configurations"]["2d"][key] = value
    (preprocessed / DATASET / "nnUNetPlans.json").write_text(json.dumps(plans))
    assert identifier(preprocessed) == "nnUNetSGDCPlans_2d"


@pytest.mark.parametrize(
    ("key", "value"), [("transpose_forward", [0, 2, 1]), ("foreground_intensity_properties_per_channel", {})]
)
def test_data_of_plans_of_other_images_is_not_shared(key: str, value: object, preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    plans = {**planned(ExperimentPlanner, preprocessed), key: value}
    (preprocessed / DATASET / "nnUNetPlans.json").write_text(json.dumps(plans))
    assert identifier(preprocessed) == "nnUNetSGDCPlans_2d"


def test_a_folder_of_which_no_plans_say_how_it_was_made_is_left_alone(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    write_preprocessed(preprocessed, "nnUNetPlans_2d")
    assert identifier(preprocessed) == "nnUNetSGDCPlans_2d"


def test_planning_again_keeps_the_data_and_another_preprocessing_gets_a_new_folder(preprocessed: Path) -> None:
    write_fingerprint(preprocessed)
    assert [identifier(preprocessed) for _ in range(2)] == ["nnUNetPlans_2d"] * 2
    write_preprocessed(preprocessed, "nnUNetPlans_2d")
    write_fingerprint(preprocessed, mean=50.0)
    assert identifier(preprocessed) == "nnUNetSGDCPlans_2d"
    write_preprocessed(preprocessed, "nnUNetSGDCPlans_2d")
    write_fingerprint(preprocessed, mean=25.0)
    assert identifier(preprocessed) == "nnUNetSGDCPlans_2d_2"


def is_there(preprocessed: Path) -> bool:
    return is_preprocessed(preprocessed / DATASET, "nnUNetPlans_2d", nnUNetPlannerSGDC(1).dataset)


@pytest.fixture
def data(preprocessed: Path) -> Path:
    write_fingerprint(preprocessed)
    return write_preprocessed(preprocessed, "nnUNetPlans_2d")


def test_complete_data_is_there(data: Path, preprocessed: Path) -> None:
    assert is_there(preprocessed)


@pytest.mark.parametrize("ending", [".b2nd", "_seg.b2nd", ".pkl"])
def test_data_that_lacks_a_file_is_not_there(ending: str, data: Path, preprocessed: Path) -> None:
    (data / f"{CASES[1]}{ending}").unlink()
    assert not is_there(preprocessed)


@pytest.mark.parametrize("content", [b"", b"half a pickle"])
def test_data_whose_last_file_was_broken_off_is_not_there(content: bytes, data: Path, preprocessed: Path) -> None:
    (data / f"{CASES[1]}.pkl").write_bytes(content)
    assert not is_there(preprocessed)


def test_data_without_the_truth_for_the_validation_is_not_there(data: Path, preprocessed: Path) -> None:
    (data.with_name("gt_segmentations") / f"{CASES[0]}.png").unlink()
    assert not is_there(preprocessed)


def test_data_older_than_a_raw_file_is_not_there(data: Path, raw: Path, preprocessed: Path) -> None:
    (raw / DATASET / "labelsTr" / f"{CASES[0]}.png").touch()
    assert not is_there(preprocessed)


def test_data_of_a_case_that_was_removed_is_not_there(data: Path, preprocessed: Path) -> None:
    for ending in (".b2nd", "_seg.b2nd", ".pkl"):
        (data / f"removed{ending}").write_bytes(b".")
    assert not is_there(preprocessed)
