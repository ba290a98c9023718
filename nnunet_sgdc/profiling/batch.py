"""A random batch, of the shapes and types that nnU-Net's loader gives to a trainer."""

from typing import Any

import torch
from torch import Tensor


def random_batch(trainer: Any) -> dict[str, Any]:
    """Make a batch whose targets went through the trainer's own transforms.

    These turn labels into regions, mark what is ignored, and make a target for each output of deep supervision.

    Args:
        trainer: An initialised trainer.

    Returns:
        `data` of shape (B, C, *patch) and `target`, a tensor or a list of them, on the device of the trainer.
    """
    samples = [_sample(trainer, _transforms(trainer)) for _ in range(trainer.batch_size)]
    targets = [sample["segmentation"] for sample in samples]
    return {
        "data": torch.stack([sample["image"] for sample in samples]).to(trainer.device),
        "target": [_stack(trainer, level) for level in zip(*targets, strict=True)]
        if isinstance(targets[0], list)
        else _stack(trainer, targets),
    }


def _transforms(trainer: Any) -> Any:
    labels = trainer.label_manager
    return trainer.get_validation_transforms(
        trainer._get_deep_supervision_scales(),
        # The channels that a cascade moves into the image are drawn with it.
        is_cascaded=False,
        foreground_labels=labels.foreground_labels,
        regions=labels.foreground_regions if labels.has_regions else None,
        ignore_label=labels.ignore_label,
    )


def _sample(trainer: Any, transforms: Any) -> Any:
    manager, patch = trainer.label_manager, trainer.configuration_manager.patch_size
    values = torch.tensor([*manager.all_labels, *([manager.ignore_label] if manager.has_ignore_label else [])])
    labels = values[torch.randint(len(values), (1, *patch))].to(torch.int16)
    return transforms(image=torch.randn(trainer.num_input_channels, *patch), segmentation=labels)


def _stack(trainer: Any, targets: Any) -> Tensor:
    return torch.stack(list(targets)).to(trainer.device)
