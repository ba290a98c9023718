"""nnU-Net's segmentation loss and the boundary loss in one."""

from torch import Tensor, nn


class BoundarySupervisedLoss(nn.Module):
    """Add a weighted boundary loss to nnU-Net's segmentation loss.

    The last parts are kept, detached, in `parts` under the names of `part_names`, for logging.

    Args:
        segmentation: nnU-Net's loss, with its deep-supervision wrapper where deep supervision is on.
        boundary: Loss of boundary logits against the full-resolution target; None for networks that give none.
        weight: Weight of the boundary loss.
    """

    def __init__(self, segmentation: nn.Module, boundary: nn.Module | None, weight: float) -> None:
        super().__init__()
        self.part_names = ("segmentation", "boundary") if boundary else ("segmentation",)
        self.segmentation = segmentation
        self.boundary = boundary
        self.weight = weight
        self.parts: dict[str, Tensor] = {}

    def forward(self, output: Tensor | list[Tensor], target: Tensor | list[Tensor]) -> Tensor:
        """Compute the loss.

        Args:
            output: Segmentation logits, highest resolution first, followed by the boundary logits if the network gives
                them; or one map of segmentation logits, which an evaluation without deep supervision gives.
            target: One target for each segmentation output, as a list under deep supervision.

        Returns:
            The loss, a scalar.
        """
        if isinstance(output, Tensor) or self.boundary is None:
            loss: Tensor = self.segmentation(output, target)
            self.parts = {"segmentation": loss.detach()}
            return loss
        *logits, boundary_logits = output
        deep_supervision = isinstance(target, list)
        segmentation = self.segmentation(logits if deep_supervision else logits[0], target)
        boundary = self.boundary(boundary_logits, target[0] if deep_supervision else target)
        self.parts = {"segmentation": segmentation.detach(), "boundary": boundary.detach()}
        return segmentation + self.weight * boundary  # type: ignore[no-any-return]
