"""What profiling counts, against numbers worked out by hand, and what it measures, says and leaves behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from test_imports import loaded_by
from torch import Tensor, nn
from trained_models import DATASET, dataset_json, stock_plans
from unets import THREE_STAGES, architecture, build

from nnunet_sgdc.blocks import SGDC
from nnunet_sgdc.discovery import TRAINER_FOLDER, VARIABLE
from nnunet_sgdc.evaluation.training_cost import activation_bytes, parameter_count
from nnunet_sgdc.networks import SGDCConfig, graft_architecture, ungraft_architecture
from nnunet_sgdc.profiling.batch import random_batch
from nnunet_sgdc.profiling.counting import Counts, count
from nnunet_sgdc.profiling.device import find_device
from nnunet_sgdc.profiling.errors import ProfileError
from nnunet_sgdc.profiling.flops import forward_flops
from nnunet_sgdc.profiling.measuring import Measurements
from nnunet_sgdc.profiling.memory import within_memory
from nnunet_sgdc.profiling.profile import Cost, Profile, profile
from nnunet_sgdc.profiling.profile_command import main
from nnunet_sgdc.profiling.setting import Setting, read_setting
from nnunet_sgdc.profiling.table import as_text, ratios, write_csv
from nnunet_sgdc.profiling.timing import WARM_UP, medians_in_turn
from nnunet_sgdc.profiling.trainers import find_trainer, make_trainer, quarantine

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
STOCK, OURS = "nnUNetTrainer", "nnUNetTrainerSGDC"
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
LABELS = {
    "classes": {"background": 0, "lesion": 1},
    "classes and ignore": {"background": 0, "lesion": 1, "ignore": 2},
    "regions": REGIONS,
    "regions and ignore": {**REGIONS, "ignore": 3},
}

# Trainers of the user: one whose network looks at its data, one that no memory is enough for, and what is no trainer.
TRAINERS = """
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

def look(network, inputs):
    inputs[0].sum().item()

class nnUNetTrainerLooking(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(plans_manager, *others):
        network = nnUNetTrainer.build_network_architecture(plans_manager, *others)
        network.register_forward_pre_hook(look)
        return network

class nnUNetTrainerHungry(nnUNetTrainer):
    def train_step(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory.")

class NoTrainer:
    pass
"""


class Guided(nn.Module):
    """A block of SGDC that is guided by its own map."""

    def __init__(self, block: SGDC) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x, x[:, :4])


class Clock:
    """A clock on which works take as long as they are told to."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, ""

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float) -> Any:
        left = iter(seconds)

        def work() -> None:
            self.calls += name
            self.now += next(left)

        return work

    def medians(self, **works: Any) -> dict[str, float]:
        return medians_in_turn(works, 3, lambda: None, "works", clock=self)


def plans(**configuration: Any) -> dict[str, Any]:
    """Plans deep enough for the trainers' own options."""
    described = stock_plans()
    described["configurations"]["2d"] |= {"architecture": architecture(), **configuration}
    return described


def setting(labels: dict[str, Any] | None = None, **configuration: Any) -> Setting:
    content = {**dataset_json(labels), "regions_class_order": [1, 2]}
    return Setting(DATASET, "nnUNetPlans", "2d", plans(**configuration), content)


def grafted_setting() -> Setting:
    return setting(architecture=graft_architecture(architecture(), SGDCConfig()))


def made(name: str, on: Setting) -> Any:
    with quarantine(on):
        return make_trainer(find_trainer(name), on, CPU)


@pytest.fixture(autouse=True)
def our_trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(TRAINER_FOLDER))


@pytest.fixture
def trainers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "trainers"
    folder.mkdir()
    (folder / "mine.py").write_text(TRAINERS)
    monkeypatch.setenv(VARIABLE, f"{folder}{os.pathsep}{TRAINER_FOLDER}")


@pytest.fixture
def planned(raw: Path) -> Path:
    """A data set of which nothing but plans is there."""
    folder = raw.with_name("nnUNet_preprocessed") / DATASET
    folder.mkdir()
    (folder / "nnUNetPlans.json").write_text(json.dumps(plans()))
    (folder / "dataset.json").write_text(json.dumps(dataset_json()))
    return folder


@pytest.fixture
def found() -> Profile:
    """Numbers that are easy to divide."""
    return Profile(
        setting=setting(),
        costs=(
            Cost(STOCK, Counts(2_000_000, 4 * 10**9, 10**8), Measurements(0.1, 0.02, 2 * 10**9)),
            Cost(OURS, Counts(2_500_000, None, None, "A note."), Measurements(0.15, None, None)),
        ),
        device="Abacus",
        is_cuda=False,
        threads=2,
        repetitions=7,
        notes=("A note.",),
    )


# FLOPs


def test_a_convolution_multiplies_and_adds_for_every_weight_and_pixel() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 1)).to("meta")
    assert forward_flops(network, (1, 1, 8, 8)) == 2 * (9 * 2 + 2) * 64


def test_a_transposed_convolution_does_so_for_every_pixel_of_its_input() -> None:
    assert forward_flops(nn.ConvTranspose2d(3, 5, 2, stride=2).to("meta"), (1, 3, 4, 4)) == 2 * 3 * 5 * 4 * 16


def test_a_block_of_sgdc_counts_its_dynamic_convolution() -> None:
    block = SGDC(channels=8, guidance_channels=4, num_heads=2, kernel_size=5, mlp_ratio=3.0)
    guidance, gates_and_kernels, static, mlp = 4 * 8, 8 * (2 * 8 + 2 * 25), 8 * 9, 2 * 8 * 24
    dynamic = 8 * 25
    # Gates and kernels each project the guidance, so that the sum need not be kept.
    expected = 2 * (2 * guidance + gates_and_kernels + static + dynamic + mlp) * 16 * 16
    assert forward_flops(Guided(block).to("meta"), (1, 8, 16, 16)) == expected


def test_flops_grow_with_the_batch() -> None:
    network = Guided(SGDC(channels=8, guidance_channels=4)).to("meta")
    one, three = (forward_flops(network, (batch, 8, 16, 16)) for batch in (1, 3))
    assert three == 3 * one


# Counts of a trainer


@pytest.mark.parametrize("name", [STOCK, OURS])
def test_counts_are_those_of_the_network_that_would_be_trained(name: str) -> None:
    described = architecture() if name == STOCK else graft_architecture(architecture(), SGDCConfig())
    network, counts = build(described), count(made(name, setting()))
    flops = forward_flops(build(described, deep_supervision=False).to("meta").eval(), (1, 3, 64, 64))
    assert (counts.parameters, counts.flops) == (parameter_count(network), flops)
    assert counts.activation_bytes == activation_bytes(network, (2, 3, 64, 64))


@pytest.mark.usefixtures("trainers")
def test_counts_of_a_network_that_looks_at_its_data_are_unknown() -> None:
    counts = count(made("nnUNetTrainerLooking", setting()))
    assert (counts.flops, counts.activation_bytes) == (None, None)
    assert counts.note.startswith("FLOPs and activations of nnUNetTrainerLooking are unknown, since its network")


# Plans with SGDC


def test_an_architecture_survives_grafting_and_ungrafting() -> None:
    assert ungraft_architecture(graft_architecture(architecture(), SGDCConfig())) == architecture()
    assert ungraft_architecture(architecture()) == architecture()


def test_the_stock_trainer_has_the_backbone_of_plans_with_sgdc() -> None:
    network = made(STOCK, grafted_setting()).network
    assert network.state_dict().keys() == build(architecture()).state_dict().keys()


def test_our_trainer_has_the_options_that_plans_with_sgdc_name() -> None:
    config = SGDCConfig(kernel_size=3)
    on = setting(architecture=graft_architecture(architecture(), config))
    assert made(OURS, on).network.config == config


def test_rows_of_a_backbone_are_noted() -> None:
    noted = profile(grafted_setting(), [STOCK], CPU, 1).notes
    assert noted == (
        f"nnUNetPlans names SGDC. To compare with, {STOCK} had its backbone PlainConvUNet without SGDC, with the same "
        "patch and batch size.",
    )


# Batches


@pytest.mark.parametrize(
    ("labels", "channels", "dtype"),
    [
        ("classes", 1, torch.int16),
        ("classes and ignore", 1, torch.int16),
        ("regions", 2, torch.bool),
        ("regions and ignore", 3, torch.bool),
    ],
)
def test_every_output_of_deep_supervision_has_a_target(labels: str, channels: int, dtype: torch.dtype) -> None:
    batch = random_batch(made(STOCK, setting(LABELS[labels])))
    assert batch["data"].shape == (2, 3, 64, 64)
    assert [target.shape for target in batch["target"]] == [(2, channels, size, size) for size in (64, 32, 16, 8)]
    assert {target.dtype for target in batch["target"]} == {dtype}


def test_targets_hold_every_label_and_what_is_ignored() -> None:
    batch = random_batch(made(STOCK, setting(LABELS["classes and ignore"])))
    assert batch["target"][0].unique().tolist() == [0, 1, 2]


def test_without_deep_supervision_there_is_one_target() -> None:
    batch = random_batch(made("nnUNetTrainerNoDeepSupervision", setting()))
    assert batch["target"].shape == (2, 1, 64, 64)


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", [STOCK, OURS])
def test_a_step_on_the_batch_is_one_of_training(name: str, labels: str) -> None:
    trainer = made(name, setting(LABELS[labels]))
    before = [parameter.clone() for parameter in trainer.network.encoder.parameters()]
    assert torch.tensor(trainer.train_step(random_batch(trainer))["loss"]).isfinite()
    after = trainer.network.encoder.parameters()
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True) if new.ndim == 4)


# Times


def test_times_are_medians_without_the_calls_to_warm_up() -> None:
    clock = Clock()
    a, b = clock.work("a", 99, 99, 1, 5, 2), clock.work("b", 99, 99, 30, 10, 20)
    assert WARM_UP == 2
    assert clock.medians(a=a, b=b) == {"a": 2, "b": 20}


def test_works_are_done_in_turn() -> None:
    clock = Clock()
    clock.medians(a=clock.work("a", *[1] * 5), b=clock.work("b", *[1] * 5))
    assert clock.calls == "ab" * 5


def test_the_device_is_waited_for_before_the_clock_is_read() -> None:
    clock, calls = Clock(), []
    medians_in_turn({"a": lambda: calls.append("work")}, 1, lambda: calls.append("wait"), "a", clock=clock)
    assert calls == ["wait", "work", "wait"] * 3


def test_a_work_that_runs_out_of_memory_is_left_out_and_the_others_go_on() -> None:
    clock = Clock()
    calls = iter([None, None, None])

    def hungry() -> None:
        if next(calls, "enough") == "enough":
            raise torch.OutOfMemoryError

    assert clock.medians(a=clock.work("a", *[1] * 5), b=hungry) == {"a": 1}
    assert clock.calls == "aaaaa"


# Memory


def test_a_cpu_that_runs_out_of_memory_is_understood() -> None:
    assert within_memory(lambda: torch.empty(10**15)) is None


def test_other_errors_are_passed_on() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"):
        within_memory(lambda: torch.ones(2) + torch.ones(3))


@pytest.mark.usefixtures("trainers")
def test_a_trainer_without_enough_memory_has_a_row_all_the_same() -> None:
    stock, hungry = profile(setting(), [STOCK, "nnUNetTrainerHungry"], CPU, 1).costs
    assert hungry.counts == stock.counts
    assert hungry.measurements == Measurements(None, None, None)
    assert stock.measurements.step_seconds > stock.measurements.prediction_seconds > 0


# What is left behind


def test_nothing_is_left_in_the_folders_of_the_user(
    planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, variables = sorted(tmp_path.rglob("*")), dict(os.environ)
    profile(read_setting("1", "nnUNetPlans", "2d"), [STOCK, OURS], CPU, 1)
    assert sorted(tmp_path.rglob("*")) == before
    assert dict(os.environ) == variables
    assert capsys.readouterr().out == ""


def test_no_online_run_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    assert made(STOCK, setting()).logger.loggers == []


# The table


def test_ratios_are_to_the_first_row() -> None:
    assert ratios([2, 3, None, 1]) == [1, 1.5, None, 0.5]


@pytest.mark.parametrize("first", [None, 0])
def test_there_is_no_ratio_to_a_first_row_without_a_number(first: int | None) -> None:
    assert ratios([first, 3]) == [None, None]


def test_the_table_puts_trainers_beside_each_other(found: Profile) -> None:
    lines = as_text(found).splitlines()
    assert lines[0] == ("Dataset001_Test, nnUNetPlans, 2d: patch 64 x 64, batch size 2, 3 channels, 2 classes")
    assert lines[1].startswith(f"Abacus, torch {torch.__version__}, 2 threads; times are medians of 7 repetitions, ")
    assert [line.split() for line in lines[3:5]] == [
        ["trainer", "parameters", "forward", "pass", "activations", "training", "step", "prediction"],
        ["M", "GFLOP", "MB", "ms", "ms"],
    ]
    assert " ".join(lines[6].split()) == (
        f"{STOCK} 2.00 (1.00 x) 4.00 (1.00 x) 100.0 (1.00 x) 100.0 (1.00 x) 20.0 (1.00 x)"
    )
    assert " ".join(lines[7].split()) == f"{OURS} 2.50 (1.25 x) ? ? 150.0 (1.50 x) out of memory"
    assert lines[-1] == "A note."


def test_what_counts_as_an_operation_is_said(found: Profile) -> None:
    assert (
        "forward pass: one patch, as in prediction; counted are multiplications and additions of convolutions, dynamic "
        "ones included, and of matrix products, two for a multiply-add." in as_text(found)
    )


def test_peak_memory_is_a_column_on_cuda(found: Profile) -> None:
    on_cuda = Profile(**{**vars(found), "is_cuda": True})
    assert "peak memory" not in as_text(found)
    assert as_text(on_cuda).splitlines()[6].endswith("2000 (1.00 x)")
    assert as_text(on_cuda).splitlines()[7].endswith("out of memory")


def test_regions_are_called_so() -> None:
    assert (setting(REGIONS).outputs, setting().outputs) == ("2 regions", "2 classes")


def test_the_csv_file_holds_the_numbers_in_full(found: Profile, tmp_path: Path) -> None:
    write_csv(found, tmp_path / "costs.csv")
    table = pd.read_csv(tmp_path / "costs.csv").set_index("trainer")
    assert table.loc[STOCK, ["dataset", "patch", "batch_size", "repetitions"]].tolist() == [DATASET, "64x64", 2, 7]
    assert table["step_seconds"].tolist() == [0.1, 0.15]
    assert table.loc[OURS, ["parameters", "parameters_ratio"]].tolist() == [2_500_000, 1.25]
    assert table.loc[OURS, ["flops", "flops_ratio", "prediction_seconds"]].isna().all()
    assert "peak_bytes" not in table


def test_a_file_that_could_not_be_written_leaves_the_old_one(
    found: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "costs.csv").write_text("old")
    monkeypatch.setattr("csv.DictWriter.writerows", lambda *_: os.open("/", os.O_WRONLY))
    with pytest.raises(OSError, match="directory"):
        write_csv(found, tmp_path / "costs.csv")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("costs.csv", "old")]


# What cannot be profiled


def refused(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which the command ends."""
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 1
    return capsys.readouterr().err.splitlines()[-1].removeprefix("nnunet_sgdc-profile: error: ")


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("2", "DATASET must be the number or the full name .* got '2' .*: check it, and nnUNet_preprocessed"),
        ("lesions", "DATASET must be the number or the full name .* got 'lesions' .*: check it, .*"),
        ("Dataset002_X", ".* has no such folder: .* plan with nnUNetv2_plan_and_preprocess -d 2 --no_pp"),
        (
            "1 -p OtherPlans",
            r"-p .* 'OtherPlans', .* \(nnUNetPlans\): .* nnUNetv2_plan_and_preprocess -d 1 --no_pp.*",
        ),
        ("1 -p nnUNetSGDCPlans", r"-p .* \(nnUNetPlans\): choose others, or make them with nnunet_sgdc-plan -d 1"),
        ("1 -p dataset", ".*dataset.json must be nnU-Net's and have 'configurations', .*: plan again with .*"),
        ("1 -c 3d_lowres", "-c .* of nnUNetPlans, got '3d_lowres': choose among 2d"),
        ("1 -tr nnUNetTrainerSGCD", "-tr .* got 'nnUNetTrainerSGCD': did you mean nnUNetTrainerSGDC, .*"),
        ("1 -tr zzz", "-tr .* got 'zzz': check it, and that nnUNet_extTrainer names its folder"),
        ("1 --repetitions 0", "--repetitions must be at least 1, got 0: leave it out for 7"),
        ("1 -o nowhere/costs.csv", "-o must be a file in a folder that exists, got nowhere/costs.csv: .*"),
    ],
)
def test_bad_input_is_one_sentence(arguments: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(sentence, refused(arguments, capsys))


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    assert "nnUNet_preprocessed must name the folder" in refused("1", capsys)


@pytest.mark.parametrize("name", ["nnUNetPlans.json", "dataset.json"])
def test_a_damaged_file_is_named(planned: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (planned / name).write_text("{")
    assert re.match(rf".*{re.escape(name)} must be JSON, got other content .*: plan again with ", refused("1", capsys))


def test_a_missing_file_is_named(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (planned / "dataset.json").unlink()
    assert re.match(".*dataset.json must be there, but is missing: plan again with ", refused("1", capsys))


def test_an_existing_file_is_not_replaced_unasked(
    planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "costs.csv").touch()
    assert "give --overwrite" in refused(f"1 -o {tmp_path / 'costs.csv'}", capsys)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ProfileError, match=f"-device must be one that this machine has, got {name}: choose cpu"):
        find_device(name)


@pytest.mark.usefixtures("trainers")
def test_trainers_of_the_user_are_among_the_nearest_names() -> None:
    with pytest.raises(ProfileError, match=r"did you mean nnUNetTrainerHungry"):
        find_trainer("nnUNetTrainerHungri")


@pytest.mark.usefixtures("trainers")
def test_a_class_that_is_no_trainer_is_refused() -> None:
    with pytest.raises(ProfileError, match="-tr must name trainers that nnU-Net finds, got 'NoTrainer'"):
        find_trainer("NoTrainer")


def test_sgdc_refuses_3d_in_one_sentence() -> None:
    with pytest.raises(ProfileError, match=f"^{OURS} cannot train the configuration 2d of .*SGDC is for 2D"):
        made(OURS, setting(patch_size=[16, 16, 16]))


def test_plans_that_are_too_shallow_for_sgdc_are_refused() -> None:
    with pytest.raises(ProfileError, match=r"SGDCConfig.strides must name .*: choose another configuration with -c"):
        made(OURS, setting(architecture=architecture(**THREE_STAGES)))


# The command


def test_the_command_line_is_read_without_torch() -> None:
    assert loaded_by("nnunet_sgdc.profiling.profile_command") & {"torch", "nnunetv2"} == set()


@pytest.mark.nnunet
def test_the_command_profiles_planned_data_from_any_folder(planned: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("nnunet_sgdc-profile")), "1", "-device", "cpu", "--repetitions", "2"]
    known = {name: os.environ[name] for name in ("PATH", "HOME")}
    settings = {"nnUNet_preprocessed": str(planned.parent), "OMP_NUM_THREADS": "1"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ended = subprocess.run(
        [*command, "-o", "costs.csv"], cwd=elsewhere, env=known | settings, capture_output=True, text=True, check=True
    )
    rows = {line.split()[0]: line for line in ended.stdout.splitlines() if line.startswith("nnUNetTrainer")}
    assert list(rows) == [STOCK, OURS]
    assert ended.stdout.endswith("-> costs.csv\n")
    table = pd.read_csv(elsewhere / "costs.csv").set_index("trainer")
    assert table.loc[STOCK, "parameters"] == parameter_count(build(architecture()))
    assert f"({table.loc[OURS, 'step_seconds_ratio']:.2f} x)" in rows[OURS]
    assert [path.name for path in elsewhere.iterdir()] == ["costs.csv"]
    assert {path.name for path in planned.iterdir()} == {"nnUNetPlans.json", "dataset.json"}
