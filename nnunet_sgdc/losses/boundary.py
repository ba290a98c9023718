"""Boundary targets, computed from the segmentation target on its device, and the loss on boundary logits.

The recipe of SGDC's paper (arXiv 2602.23496) was not available to us. The default is that of CTO (Lin et al., IPMI
2023), from which its edge module descends: the ring of 2 pixels around each object, a Dice loss, weight 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, nn

Ring = Literal["outer", "inner", "both"]


@dataclass(frozen=True)
class BoundaryConfig:
    """Options of the boundary supervision.

    Args:
        ring: Which pixels are boundary: those outside an object, those inside, or both.
        width: Width of the ring in pixels; the radius of the disk that dilates the object.
        dice_weight: Weight of the Dice term in the boundary loss.
        bce_weight: Weight of the binary cross-entropy term in the boundary loss.
        weight: Weight of the boundary loss beside nnU-Net's segmentation loss.

    Raises:
        ValueError: If a value is out of its range.
    """

    ring: Ring = "outer"
    width: int = 2
    dice_weight: float = 1.0
    bce_weight: float = 0.0
    weight: float = 3.0

    def __post_init__(self) -> None:
        if self.ring not in get_args(Ring):
            raise ValueError(f"BoundaryConfig.ring must be one of {get_args(Ring)}, got {self.ring!r}")
        if self.width < 1:
            raise ValueError(f"BoundaryConfig.width must be at least 1 pixel, got {self.width}")
        if min(self.dice_weight, self.bce_weight, self.weight) < 0:
            raise ValueError(f"BoundaryConfig's weights must not be negative, got {self}")


class BoundaryLoss(nn.Module):
    """Loss of boundary logits against the boundaries of the segmentation target.

    Args:
        config: Options.
        foreground_labels: Labels whose objects have boundaries; None when targets are regions, one channel each.
        ignore_label: Label of pixels without annotation; with regions, any value but None says that the last channel
            of the target marks them.
        batch_dice: Whether Dice is computed over the batch rather than per image, as in nnU-Net.
        ddp: Whether batch Dice gathers from all processes.
    """

    def __init__(
        self,
        config: BoundaryConfig,
        foreground_labels: Sequence[int] | None,
        ignore_label: int | None = None,
        batch_dice: bool = True,
        ddp: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.foreground_labels = foreground_labels
        self.ignore_label = ignore_label
        self.loss = DC_and_BCE_loss(
            {},
            {"batch_dice": batch_dice, "do_bg": True, "smooth": 1e-5, "ddp": ddp},
            weight_ce=config.bce_weight,
            weight_dice=config.dice_weight,
            use_ignore_label=ignore_label is not None,
            dice_class=MemoryEfficientSoftDiceLoss,
        )

    def forward(self, logits: Tensor, segmentation: Tensor) -> Tensor:
        """Compare at full resolution.

        Args:
            logits: Boundary logits of shape (B, 1, h, w), of any resolution; interpolated to that of the target.
            segmentation: nnU-Net's target: labels of shape (B, 1, H, W), or regions of shape (B, R, H, W) with one
                more channel for ignored pixels if there are any.

        Returns:
            The loss, a scalar.
        """
        target = boundary_target(*self._masks(segmentation), self.config.ring, self.config.width)
        # Sums over a whole image overflow half precision.
        logits = F.interpolate(logits.float(), size=target.shape[2:], mode="bilinear", align_corners=False)
        loss: Tensor = self.loss(logits, target)
        return loss

    def _masks(self, segmentation: Tensor) -> tuple[Tensor, Tensor | None]:
        """Objects, one channel for each label or region, and the ignored pixels."""
        if self.foreground_labels is None:
            regions = segmentation.bool()
            return (regions, None) if self.ignore_label is None else (regions[:, :-1], regions[:, -1:])
        masks = torch.cat([segmentation == label for label in self.foreground_labels], dim=1)
        return masks, None if self.ignore_label is None else segmentation == self.ignore_label


def boundary_target(masks: Tensor, ignored: Tensor | None, ring: Ring, width: int) -> Tensor:
    """Boundary of any object, as nnU-Net's losses of regions expect their target.

    A pixel is unknown if it is ignored, or if ignored pixels nearby decide whether it is boundary.

    Args:
        masks: Objects, bool of shape (B, N, H, W), one channel for each class or region.
        ignored: Pixels without annotation, bool of shape (B, 1, H, W), or None.
        ring: Which side of the border counts.
        width: Width of the ring in pixels.

    Returns:
        Boundary, bool of shape (B, 1, H, W); with ignored, (B, 2, H, W), the second channel for unknown pixels.
    """
    rings = boundary_ring(masks, ring, width)
    if ignored is None:
        return rings.any(1, keepdim=True)
    # What is boundary both if the ignored pixels are outside the object and if they are inside does not hang on them.
    boundary = (rings & boundary_ring(masks | ignored, ring, width)).any(1, keepdim=True)
    unknown = ignored | (_dilate(ignored, width) & ~boundary)
    return torch.cat([boundary, unknown], dim=1)


def boundary_ring(masks: Tensor, ring: Ring, width: int) -> Tensor:
    """Pixels within a distance of the border of each mask.

    The border of the image is no boundary.

    Args:
        masks: Bool of shape (B, N, H, W).
        ring: "outer" for pixels outside a mask, "inner" for pixels inside, "both" for either.
        width: Largest distance to a pixel of the other side, in pixels.

    Returns:
        Rings, bool of shape (B, N, H, W).
    """
    outer = _dilate(masks, width) & ~masks if ring != "inner" else torch.zeros_like(masks)
    inner = _dilate(~masks, width) & masks if ring != "outer" else torch.zeros_like(masks)
    return outer | inner


def _dilate(masks: Tensor, radius: int) -> Tensor:
    """Dilate with a disk, within the image."""
    height, width = masks.shape[-2:]
    padded = F.pad(masks, [radius] * 4)
    dilated = masks.clone()
    for row in range(-radius, radius + 1):
        for column in range(-radius, radius + 1):
            if row**2 + column**2 <= radius**2:
                top, left = radius + row, radius + column
                dilated |= padded[..., top : top + height, left : left + width]
    return dilated
