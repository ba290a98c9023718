"""One training step of nnUNetTrainerSGDC against one of nnUNetTrainer, on the default plans of a 256 x 256 data set."""

import contextlib
import io
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from benchmarks.measure import Work, device, extra_memory, print_header, print_row, times_in_turn
from nnunet_sgdc.trainers import nnUNetTrainerSGDC

PAIRS = 9
TRAINERS = {"nnUNetTrainer": nnUNetTrainer, "nnUNetTrainerSGDC": nnUNetTrainerSGDC}
# What nnU-Net 2.8 plans: as many halvings as leave 4 pixels, features doubled up to 512.
FEATURES = [32, 64, 128, 256, 512, 512, 512, 512]
ENCODERS = {
    "PlainConvUNet": {"n_conv_per_stage": [2] * 8, "n_conv_per_stage_decoder": [2] * 7},
    "ResidualEncoderUNet": {"n_blocks_per_stage": [1, 3, 4, 6, 6, 6, 6, 6], "n_conv_per_stage_decoder": [1] * 7},
}
CASES = [("PlainConvUNet", 256, 7), ("PlainConvUNet", 512, 8), ("ResidualEncoderUNet", 256, 7)]
DATASET = {
    "channel_names": {"0": "R", "1": "G", "2": "B"},
    "labels": {"background": 0, "lesion": 1},
    "numTraining": 2,
    "file_ending": ".png",
}


def main() -> None:
    """Print a table."""
    print(f"train_step, batch 2, 3 channels, deep supervision; medians of {PAIRS} pairs\n")
    print_header("network", "patch", "stock", "SGDC", "time", "stock, extra memory", "SGDC", "memory")
    for network, patch, stages in CASES:
        _print_comparison(network, patch, stages)
    print()


def make_work(trainer_name: str, network: str, patch: int, stages: int) -> Work:
    """A training step on a random batch."""
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = _initialized(TRAINERS[trainer_name], _plans(network, patch, stages))
    trainer.network.train()
    sizes = [patch // 2**stage for stage in range(stages - 1)]
    batch = {
        "data": torch.randn(2, 3, patch, patch),
        "target": [torch.randint(0, 2, (2, 1, size, size)).to(torch.int16) for size in sizes],
    }
    return lambda: trainer.train_step(batch)


def _print_comparison(network: str, patch: int, stages: int) -> None:
    stock, ours, ratio = times_in_turn(*(make_work(name, network, patch, stages) for name in TRAINERS), pairs=PAIRS)
    memory = [extra_memory(partial(make_work, name, network, patch, stages)) for name in TRAINERS]
    print_row(
        *(network, f"{patch} x {patch}"),
        *(f"{stock:.3f} s", f"{ours:.3f} s", f"{1 / ratio:.2f} x"),
        *(f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB", f"{memory[1] / memory[0]:.2f} x"),
    )


def _initialized(trainer_class: type[nnUNetTrainer], plans: dict[str, Any]) -> nnUNetTrainer:
    with tempfile.TemporaryDirectory() as folder:
        # The trainer starts its log as soon as it is made, and looks at how cases are stored.
        os.environ.update(nnUNet_raw=folder, nnUNet_preprocessed=folder, nnUNet_results=folder)
        cases = Path(folder) / "Dataset001_Benchmark" / "benchmark"
        cases.mkdir(parents=True)
        (cases / "case.b2nd").touch()
        trainer = trainer_class(plans, "2d", 0, DATASET, device())
        trainer.initialize()
    return trainer


def _plans(network: str, patch: int, stages: int) -> dict[str, Any]:
    options = {name: values[: stages - ("decoder" in name)] for name, values in ENCODERS[network].items()}
    return {
        "dataset_name": "Dataset001_Benchmark",
        "plans_name": "benchmark",
        "continue_training": False,
        "image_reader_writer": "NaturalImage2DIO",
        "label_manager": "LabelManager",
        "configurations": {
            "2d": {
                "data_identifier": "benchmark",
                "batch_size": 2,
                "batch_dice": True,
                "patch_size": [patch, patch],
                "architecture": {
                    "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
                    "arch_kwargs": {
                        "n_stages": stages,
                        "features_per_stage": FEATURES[:stages],
                        "conv_op": "torch.nn.modules.conv.Conv2d",
                        "kernel_sizes": [[3, 3]] * stages,
                        "strides": [[1, 1]] + [[2, 2]] * (stages - 1),
                        **options,
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
                        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            }
        },
    }


if __name__ == "__main__":
    main()
