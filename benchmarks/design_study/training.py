"""One run: train a variant with nnU-Net's own trainer, predict both test sets with its predictor, and score them."""

import contextlib
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.logging.nnunet_logger import MetaLogger
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from benchmarks.design_study import results
from benchmarks.design_study.data import CONFIGURATION, DATASET, TEST_SETS, small_plans
from benchmarks.design_study.results import Result, Scores
from benchmarks.design_study.variants import STOCK, VARIANTS, Run, Settings
from nnunet_sgdc.evaluation.case_set import CaseFiles, LabelScheme
from nnunet_sgdc.evaluation.metrics import Settings as MetricSettings
from nnunet_sgdc.evaluation.scoring import score_files
from nnunet_sgdc.staging import scratch
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

CPU = torch.device("cpu")
METRICS = ("dice", "hd95")


class QuietLogger(MetaLogger):
    """nnU-Net's logger without its picture, which takes seconds after every epoch."""

    def plot_progress_png(self, output_folder: str) -> None:
        """Draw nothing."""


def do_run(run: Run, settings: Settings, work: Path) -> None:
    """Train, predict, score and keep the result.

    Args:
        run: What to train.
        settings: What all runs have in common.
        work: The folder of the study.
    """
    torch.set_num_threads(1)
    with (
        scratch(work, run.name) as folder,
        results.log_file(work, run).open("w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        # Augmentation in the process itself, so that a seed repeats a run.
        os.environ.update(nnUNet_results=str(folder), nnUNet_n_proc_DA="0")
        start = time.perf_counter()
        trainer = _trained(run, settings, work)
        trained = time.perf_counter()
        scores = {name: _scores(trainer, work / "nnUNet_raw", folder / name, *TEST_SETS[name]) for name in TEST_SETS}
    seconds = {"training": trained - start, "prediction": time.perf_counter() - trained}
    results.write(work, settings, _result(run, trainer, scores, seconds))


def _trained(run: Run, settings: Settings, work: Path) -> Any:
    stock, trainer = _initialized(Run(STOCK, run.seed), settings, work), _initialized(run, settings, work)
    # All variants start from the stock weights of their seed. Its decoder knows the encoder, too; ours does not.
    trainer.network.load_state_dict(stock.network.state_dict(), strict=False)
    # Networks of different sizes have drawn different numbers, but the batches shall be the same.
    _seed(run.seed)
    trainer.run_training()
    return trainer


def _initialized(run: Run, settings: Settings, work: Path) -> Any:
    trainer = _trainer(run, settings, work)
    _seed(run.seed)
    trainer.initialize()
    return trainer


def _trainer(run: Run, settings: Settings, work: Path) -> Any:
    config = VARIANTS[run.variant]
    kind = nnUNetTrainer if config is None else type("nnUNetTrainerSGDC_study", (nnUNetTrainerSGDC,), {"sgdc": config})
    preprocessed = work / "nnUNet_preprocessed" / DATASET
    plans = small_plans(preprocessed, settings.batch_size)
    trainer = kind(plans, CONFIGURATION, "all", load_json(str(preprocessed / "dataset.json")), CPU)
    trainer.num_epochs, trainer.num_iterations_per_epoch = settings.epochs, settings.iterations
    trainer.num_val_iterations_per_epoch = 1
    trainer.disable_checkpointing = True
    trainer.logger = QuietLogger(trainer.output_folder, resume=False)
    return trainer


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _scores(trainer: Any, raw: Path, output: Path, images: str, labels: str) -> Scores:
    """Dice and HD95 in pixels of each case of a test set."""
    output.mkdir()
    _predictor(trainer).predict_from_files_sequential(str(raw / images), str(output))
    scheme = LabelScheme.from_dataset_json(trainer.dataset_json, "dataset.json")
    scores = {}
    for truth in sorted((raw / labels).glob("*.png")):
        scored = score_files(CaseFiles(truth.stem, truth, output / truth.name), scheme, MetricSettings())
        scores[truth.stem] = {metric: scored.classes["lesion"].values()[metric] for metric in METRICS}
    return scores


def _predictor(trainer: Any) -> nnUNetPredictor:
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    # Mirroring would take four times as long.
    predictor = nnUNetPredictor(use_mirroring=False, device=CPU, allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    return predictor


def _result(run: Run, trainer: Any, scores: Mapping[str, Scores], seconds: Mapping[str, float]) -> Result:
    log = trainer.logger.get_checkpoint()
    strides = trainer.plain_network.layer_scales() if "layer_scales" in log else {}
    scales = zip(*log.get("layer_scales", []), strict=True)
    return Result(
        run=run,
        scores=scores,
        layer_scales={str(stride): list(values) for stride, values in zip(strides, scales, strict=True)},
        parameters=sum(parameter.numel() for parameter in trainer.network.parameters()),
        seconds=seconds,
        train_losses=[float(loss) for loss in log["train_losses"]],
    )
