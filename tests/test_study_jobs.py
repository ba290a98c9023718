"""Trainings of a study: which there are, how they stand, who does them, and what becomes of those that fail."""

import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from numpy.random import default_rng
from trained_models import dataset_json, sgdc_plans, stock_plans

from nnunet_sgdc.evaluation.plans_hash import _resolved, plans_hash
from nnunet_sgdc.study.claim import claimed
from nnunet_sgdc.study.errors import StudyError
from nnunet_sgdc.study.estimate import seconds_by_experience
from nnunet_sgdc.study.job_record import LOG, RECORD, JobRecord, read_record
from nnunet_sgdc.study.job_state import job_state
from nnunet_sgdc.study.plan_study import plan_study
from nnunet_sgdc.study.preparation import check_trainers, preparation, prepare
from nnunet_sgdc.study.queue_order import longest_first, makespan
from nnunet_sgdc.study.training import Training
from nnunet_sgdc.study.training_job import training_jobs
from nnunet_sgdc.study.training_log import Progress
from studies import DATASET, calls, one_job, planned, study, write_finished, write_log

__all__ = ["calls", "planned"]

Calls = Callable[[], list[str]]


def training(folder: Path, **changes: object) -> Training:
    options = {"device": "cpu", "gpus": 1, "retries": 0, "environment": {}, "stop_file": folder / "stop"}
    return Training(**{**options, **changes})


# Which trainings there are


def test_a_study_is_every_trainer_fold_and_seed(planned: Path) -> None:
    jobs = training_jobs(study(seeds=[0, 1], epochs=20))
    assert len(jobs) == 8
    assert str(jobs[0]) == f"{DATASET} 2d nnUNetTrainer_20epochs_seed0 nnUNetPlans fold 0"
    assert len({job.folder for job in jobs}) == 8


def test_without_length_and_seed_trainings_are_those_that_the_user_may_have_done_already(planned: Path) -> None:
    folder = planned / "nnUNet_results" / DATASET / "nnUNetTrainer__nnUNetPlans__2d" / "fold_0"
    assert training_jobs(study())[0].folder == folder


def test_the_command_goes_on_where_a_training_was_left(planned: Path) -> None:
    line = " ".join(one_job(seeds=2).command("cuda", 2))
    assert line == (
        f"nnUNetv2_train {DATASET} 2d 0 -tr nnUNetTrainer_seed2 -p nnUNetPlans -device cuda -num_gpus 2 --c"
    )


def test_a_training_that_comes_twice_is_refused(planned: Path) -> None:
    with pytest.raises(StudyError, match=r"every training must come once, but .* fold 0 comes again"):
        training_jobs(study(trainers=["nnUNetTrainer", {"trainer": "nnUNetTrainer", "label": "again"}]))


def test_labels_that_come_twice_are_refused(planned: Path) -> None:
    twice = ["nnUNetTrainer", {"trainer": "nnUNetTrainer", "plans": "others"}]
    with pytest.raises(StudyError, match="labels of their own, but nnUNetTrainer comes again"):
        training_jobs(study(trainers=twice))


def test_folders_that_are_not_set_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_results", raising=False)
    with pytest.raises(StudyError, match=r"variable nnUNet_results must name .*: export nnUNet_results="):
        one_job().folder  # noqa: B018  asked for its error


# How they stand


def test_a_training_that_has_not_begun_waits(planned: Path) -> None:
    assert job_state(one_job()).kind == "waiting"


def test_a_training_with_its_checkpoint_and_validation_is_done(planned: Path) -> None:
    write_finished(one_job())
    assert job_state(one_job()).kind == "done"


@pytest.mark.parametrize("missing", ["checkpoint_final.pth", "validation/summary.json"])
def test_a_training_without_one_of_them_is_not_done(planned: Path, missing: str) -> None:
    write_finished(one_job())
    (one_job().folder / missing).unlink()
    assert job_state(one_job()).kind == "waiting"


def test_a_training_on_other_plans_is_neither_done_nor_overwritten(planned: Path) -> None:
    write_finished(one_job())
    plans = json.loads(one_job().plans_file.read_text())
    plans["configurations"]["2d"]["batch_size"] = 3
    one_job().plans_file.write_text(json.dumps(plans))
    state = job_state(one_job())
    assert state.kind == "failed"
    assert "holds a training on other plans than" in state.detail


def test_plans_with_sgdc_are_those_without(planned: Path) -> None:
    write_finished(one_job())
    (one_job().model / "plans.json").write_text(json.dumps(sgdc_plans()))
    assert job_state(one_job()).kind == "done"


def test_a_training_in_the_middle_tells_epoch_and_time_left(planned: Path) -> None:
    job = one_job()
    write_log(job, "Epoch 2", "Epoch time: 3.0 s", "Epoch 3")
    JobRecord.of_this_process(None).write(job.folder)
    state = job_state(job)
    assert (state.kind, state.progress) == ("running", Progress(3, 10, 3.0))
    assert state.progress.seconds_left == 21


def test_an_epoch_counts_when_it_has_its_time(planned: Path) -> None:
    write_log(one_job(), "Epoch 8", "Epoch time: 3.0 s", "Epoch 9", "Epoch time: 5.0 s")
    assert job_state(one_job()).progress == Progress(10, 10, 4.0)


def test_a_process_that_has_fallen_silent_does_not_run(planned: Path) -> None:
    job = one_job()
    write_log(job, "Epoch 3")
    JobRecord("running", host="elsewhere").write(job.folder)
    os.utime(job.folder / RECORD, (0, 0))
    state = job_state(job)
    assert (state.kind, state.detail) == ("waiting", "interrupted, goes on from its last checkpoint")


def test_a_process_of_this_machine_that_is_gone_does_not_run(planned: Path) -> None:
    job = one_job()
    job.folder.mkdir(parents=True)
    replace(JobRecord.of_this_process(None), process=2**22 + 1).write(job.folder)
    assert job_state(job).kind == "waiting"


def test_a_failure_comes_with_the_last_lines_of_its_log(planned: Path) -> None:
    job = one_job()
    job.folder.mkdir(parents=True)
    (job.folder / LOG).write_text("first\nRuntimeError: no memory\n\n")
    JobRecord("failed", reason="nnUNetv2_train left with 1").write(job.folder)
    assert job_state(job).detail == "nnUNetv2_train left with 1: first | RuntimeError: no memory"


def test_status_needs_no_torch() -> None:
    script = "import sys; import nnunet_sgdc.study.status_table; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    assert subprocess.run([sys.executable, "-c", script], env=environment).returncode == 0


def test_configurations_inherit_as_in_nnunet() -> None:
    plans = stock_plans()
    plans["configurations"] |= {
        "2d_bs4": {"inherits_from": "2d", "batch_size": 4},
        "third": {"inherits_from": "2d_bs4"},
    }
    manager = PlansManager(plans)
    for name in plans["configurations"]:
        assert _resolved(plans, name) == manager.get_configuration(name).configuration


def test_plans_are_told_apart_by_anything_but_the_trainer() -> None:
    stock, ours, other = stock_plans(), sgdc_plans(), stock_plans()
    other["configurations"]["2d"]["patch_size"] = [32, 32]
    assert plans_hash(stock) == plans_hash(ours) != plans_hash(other)


# Who does them


def test_a_training_is_done_and_on_record(planned: Path, calls: Calls) -> None:
    training(planned)(training_jobs(study(seeds=5)))
    assert [job_state(job).kind for job in training_jobs(study(seeds=5))] == ["done"] * 4
    record = read_record(one_job(seeds=5).folder)
    assert (record.state, record.attempts, record.seed) == ("done", 1, 5)


def test_what_is_done_is_not_done_again(planned: Path, calls: Calls) -> None:
    write_finished(one_job())
    training(planned)(training_jobs(study()))
    assert calls() == ["nnUNetTrainerSGDC 0 ", "nnUNetTrainer 1 ", "nnUNetTrainerSGDC 1 "]


def test_a_training_gets_its_variables(planned: Path, calls: Calls) -> None:
    training(planned, environment={"CUDA_VISIBLE_DEVICES": "3"})([one_job()])
    assert calls() == ["nnUNetTrainer 0 3"]


def test_a_failing_training_says_why_and_does_not_block_the_others(planned: Path, calls: Calls) -> None:
    job = one_job()
    job.folder.mkdir(parents=True)
    (job.folder / "failures.txt").write_text("9")
    training(planned)(training_jobs(study()))
    states = [job_state(job) for job in training_jobs(study())]
    assert [state.kind for state in states] == ["failed", "done", "done", "done"]
    assert states[0].detail.startswith("nnUNetv2_train left with 3: ")
    assert states[0].detail.endswith("the data is | broken")


@pytest.mark.parametrize(("failures", "state"), [(2, "done"), (3, "failed")])
def test_a_failing_training_is_tried_again_as_often_as_stated(
    planned: Path, calls: Calls, failures: int, state: str
) -> None:
    job = one_job()
    job.folder.mkdir(parents=True)
    (job.folder / "failures.txt").write_text(str(failures))
    training(planned, retries=2)([job])
    assert (job_state(job).kind, len(calls()), read_record(job.folder).attempts) == (state, 3, 3)


def test_a_training_that_is_tried_again_is_never_seen_as_failed(
    planned: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    write = JobRecord.write
    monkeypatch.setattr(JobRecord, "write", lambda record, folder: (seen.append(record.state), write(record, folder)))
    job = one_job()
    job.folder.mkdir(parents=True)
    (job.folder / "failures.txt").write_text("1")
    training(planned, retries=2)([job])
    assert seen == ["running", "interrupted", "running", "done"]


def test_another_worker_leaves_a_failed_training_alone(planned: Path, calls: Calls) -> None:
    job = one_job()
    job.folder.mkdir(parents=True)
    JobRecord("failed").write(job.folder)
    training(planned)([job])
    assert calls() == []


def test_a_command_that_cannot_be_started_is_a_failure(planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnunet_sgdc.study.training.executable", lambda command: "/nowhere/nnUNetv2_train")
    training(planned)([one_job()])
    assert "/nowhere/nnUNetv2_train" in job_state(one_job()).detail


def test_a_command_that_is_not_installed_is_a_failure_and_does_not_end_the_worker(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_sgdc.executables.shutil.which", lambda command, path: None)
    training(planned)([one_job(), one_job(folds=1)])
    states = [job_state(job) for job in (one_job(), one_job(folds=1))]
    assert [state.kind for state in states] == ["failed", "failed"]
    assert states[0].detail.startswith("nnUNetv2_train must be a command of ")


def test_a_training_that_is_killed_from_outside_goes_on_with_the_next_run(
    planned: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_OF_TRAINING", "60")
    script = planned / "nnUNetv2_train"
    script.write_text(script.read_text().replace("time.sleep(", "os.kill(os.getpid(), 15); time.sleep("))
    training(planned, retries=5)([one_job(), one_job(folds=1)])
    assert (job_state(one_job()).kind, len(calls())) == ("waiting", 1)


def test_a_stop_file_ends_a_running_training_at_once(
    planned: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_OF_TRAINING", "60")
    started = time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=training(planned), args=([one_job()],))
    process.start()
    while not calls():
        time.sleep(0.05)
    (planned / "stop").touch()
    process.join(30)
    assert time.monotonic() - started < 30
    assert job_state(one_job()).kind == "waiting"


def test_two_workers_never_do_the_same_training(planned: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDS_OF_TRAINING", "0.3")
    jobs = training_jobs(study(seeds=[0, 1]))
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=training(planned), args=(jobs,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(calls()) == len(set(calls())) == len(jobs)


def test_a_claim_is_free_again_when_its_process_is_killed(planned: Path) -> None:
    folder, context = one_job().folder, multiprocessing.get_context("fork")
    ready = context.Event()

    def hold() -> None:
        with claimed(folder):
            ready.set()
            time.sleep(60)

    holder = context.Process(target=hold)
    holder.start()
    ready.wait()
    with claimed(folder) as claim:
        assert claim is None
    holder.kill()
    holder.join()
    with claimed(folder) as claim:
        assert claim is not None


def test_a_training_that_has_lost_its_parent_is_not_done_twice(planned: Path) -> None:
    folder = one_job().folder
    with claimed(folder) as claim:
        child = subprocess.Popen(["sleep", "60"], pass_fds=(claim,))
    with claimed(folder) as second:
        assert second is None
    child.kill()
    child.wait()
    with claimed(folder) as third:
        assert third is not None


def test_a_training_on_another_machine_is_waited_for_until_it_falls_silent(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_sgdc.study.claim.SILENCE_SECONDS", 1)
    monkeypatch.setattr("nnunet_sgdc.study.claim.BEAT_SECONDS", 0.1)
    monkeypatch.setattr("nnunet_sgdc.study.job_record.SILENCE_SECONDS", 0.5)
    folder = one_job().folder
    folder.mkdir(parents=True)
    JobRecord("running", host="elsewhere").write(folder)
    with claimed(folder) as claim:
        assert claim is not None


def test_the_checkpoint_of_a_job_whose_time_is_over_is_the_same_job(planned: Path) -> None:
    task = training(planned)
    again = task.checkpoint([one_job()])
    assert (again.function, again.args) == (task, ([one_job()],))


# What has to be there first


def test_a_data_set_that_is_nowhere_is_told(planned: Path) -> None:
    (planned / "nnUNet_raw" / "Dataset009_Others").mkdir()
    with pytest.raises(
        StudyError, match=r"\(there: Dataset009_Others\) .*, but 8 is and does neither: .* add 'convert"
    ):
        preparation(study(datasets=8))


def test_an_unknown_converter_is_told_with_the_nearest(planned: Path) -> None:
    dataset = {"id": 8, "convert": "nnunet_sgdc-convert-isci ISIC 8"}
    with pytest.raises(StudyError, match=r"did you mean .*nnunet_sgdc-convert-isic"):
        preparation(study(datasets=[dataset]))


def test_plans_of_an_unknown_name_are_told_with_the_nearest(planned: Path) -> None:
    with pytest.raises(StudyError, match=r"plans must be there .*: did you mean nnUNetSGDCPlans"):
        preparation(study(plans="nnUNetSGDCPlan"))


@pytest.mark.parametrize(
    ("plans", "command"),
    [
        ("nnUNetPlans", "nnUNetv2_plan_and_preprocess -d 7 .*-pl ExperimentPlanner"),
        ("nnUNetResEncUNetLPlans", "nnUNetv2_plan_and_preprocess -d 7 .*-pl nnUNetPlannerResEncL"),
        ("nnUNetSGDCPlans", "nnunet_sgdc-plan -d 7 .*--preprocess"),
        ("nnUNetSGDCResEncUNetXLPlans", "nnunet_sgdc-plan -d 7 .*--preset XL --preprocess"),
    ],
)
def test_the_name_of_plans_says_how_they_are_made(planned: Path, plans: str, command: str) -> None:
    (found,) = preparation(study(plans=plans, trainers="nnUNetTrainerSGDC"))
    assert re.fullmatch(f"{command}.*", " ".join(found))


def test_nothing_is_prepared_that_is_there(planned: Path) -> None:
    data = planned / "nnUNet_preprocessed" / DATASET / "nnUNetPlans_2d"
    data.mkdir()
    (data / "case.b2nd").touch()
    assert preparation(study()) == []


@pytest.mark.parametrize(("splits", "fold"), [(None, 5), ([{"train": [], "val": []}] * 3, 3)])
def test_a_fold_beyond_the_last_is_told(planned: Path, splits: list[object] | None, fold: int) -> None:
    if splits:
        (planned / "nnUNet_preprocessed" / DATASET / "splits_final.json").write_text(json.dumps(splits))
    prepare(study(folds=[0, fold - 1, "all"]), [], planned / "logs")
    with pytest.raises(StudyError, match=rf"folds must be below {fold}, .*, got {fold}: change the file"):
        prepare(study(folds=fold), [], planned / "logs")


def test_an_unknown_trainer_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="got 'nnUNetTrainerSGCD': did you mean nnUNetTrainerSGDC"):
        check_trainers(study(trainers="nnUNetTrainerSGCD"))


def test_a_stock_trainer_on_plans_with_sgdc_is_told() -> None:
    with pytest.raises(StudyError, match="nnUNetTrainer must have plans of stock nnU-Net, got nnUNetSGDCPlans"):
        check_trainers(study(plans="nnUNetSGDCPlans"))


# In which order


def test_the_longest_come_first_and_unknown_ones_before_them() -> None:
    assert longest_first("abcd", {"a": 1, "b": 3, "d": 2}) == ["c", "b", "d", "a"]


def test_the_end_is_that_of_the_last_worker() -> None:
    assert makespan("abc", {"a": 3, "b": 2, "c": 2}, 2) == 4


@given(lengths=st.lists(st.floats(1, 100), min_size=1, max_size=60), workers=st.integers(1, 12))
def test_no_worker_is_idle_for_longer_than_the_longest_training(lengths: list[float], workers: int) -> None:
    seconds = dict(enumerate(lengths))
    end = makespan(longest_first(list(seconds), seconds), seconds, workers)
    assert end <= (sum(lengths) / workers + max(lengths)) * (1 + 1e-9)


def test_four_hundred_trainings_end_within_five_percent_of_the_least_time() -> None:
    random = default_rng(0)
    seconds = {job: float(random.choice([1, 2, 5]) * random.uniform(3600, 7200)) for job in range(400)}
    for workers in (4, 16, 32):
        least = max(sum(seconds.values()) / workers, max(seconds.values()))
        assert makespan(longest_first(list(seconds), seconds), seconds, workers) < 1.05 * least


def test_trainings_are_as_long_as_those_of_other_seeds_and_folds(planned: Path) -> None:
    done, same, other = one_job(seeds=0), one_job(seeds=1, folds=1), one_job(seeds=0, trainers="nnUNetTrainerSGDC")
    write_log(done, "Epoch 9", "Epoch time: 3.0 s")
    assert seconds_by_experience([done, same, other]) == {done: 0, same: 30}


def test_what_is_left_of_a_training_counts(planned: Path) -> None:
    job = replace(one_job(), fold="0")
    write_log(job, "Epoch 3", "Epoch time: 3.0 s")
    assert seconds_by_experience([job]) == {job: 18}


def test_a_plan_measures_on_the_processors_of_one_training(planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def measured(_: object, trainers: Sequence[str], *__: object) -> SimpleNamespace:
        threads.append(torch.get_num_threads())
        unknown = SimpleNamespace(step_seconds=None, prediction_seconds=None)
        return SimpleNamespace(costs=[SimpleNamespace(trainer=name, measurements=unknown) for name in trainers])

    (planned / "nnUNet_preprocessed" / DATASET / "dataset.json").write_text(json.dumps(dataset_json()))
    monkeypatch.setattr("nnunet_sgdc.study.estimate.profile", measured)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    before = torch.get_num_threads()
    plan_study(study(executor={"kind": "local", "device": "cpu", "workers": 2}))
    assert (threads, torch.get_num_threads()) == ([3], before)


def test_a_plan_of_a_finished_study_asks_for_no_gpu(planned: Path) -> None:
    finished = study(executor={"kind": "local", "device": "cuda", "gpus": [99]})
    for job in training_jobs(finished):
        write_finished(job)
    assert plan_study(finished).endswith("test: none of 4 trainings to do, 'report' can compare them")
