"""Boundary targets and losses; oracles are drawn by hand, all ways to fill what is ignored, scikit-image and MONAI."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from skimage.morphology import dilation, disk
from torch import Tensor, nn
from torch.testing import assert_close

from nnunet_sgdc.losses import BoundaryConfig, BoundaryLoss, BoundarySupervisedLoss, boundary_ring, boundary_target

IGNORED = 9
RINGS = ["outer", "inner", "both"]
DICE = BoundaryConfig(width=1)
CROSS_ENTROPY = BoundaryConfig(width=1, dice_weight=0, bce_weight=1)


def labels(drawing: str) -> Tensor:
    """Labels (1, 1, H, W) drawn as digits, with dots for 0."""
    rows = [[int(pixel) for pixel in row.replace(".", "0")] for row in drawing.split()]
    return torch.tensor(rows)[None, None]


def drawn(drawing: str) -> Tensor:
    """Pixels drawn as #, bool of shape (H, W)."""
    return torch.tensor([[pixel == "#" for pixel in row] for row in drawing.split()])


def target_of(segmentation: Tensor, *classes: int, ring: str = "outer", width: int = 1) -> Tensor:
    masks = torch.cat([segmentation == label for label in classes or (1,)], 1)
    return boundary_target(masks, None, ring, width)


def blobs(size: int = 24) -> Tensor:
    """Objects of all shapes, some at the border of the image."""
    return F.avg_pool2d(torch.randn(2, 3, size, size), 5, stride=1, padding=2) > 0.05


def wrong(target: Tensor) -> Tensor:
    """Confident logits of the opposite."""
    return torch.where(target, -20.0, 20.0)


# The target

OBJECT = """
.......
.......
..11...
..11...
.......
.......
"""
DRAWN_RINGS = {
    ("outer", 1): "....... ..##... .#..#.. .#..#.. ..##... .......",
    ("outer", 2): "..##... .####.. ##..##. ##..##. .####.. ..##...",
    ("inner", 1): "....... ....... ..##... ..##... ....... .......",
    ("both", 1): "....... ..##... .####.. .####.. ..##... .......",
    ("both", 2): "..##... .####.. ######. ######. .####.. ..##...",
}


@pytest.mark.parametrize(("ring", "width"), DRAWN_RINGS)
def test_ring_is_the_one_drawn(ring: str, width: int) -> None:
    assert torch.equal(target_of(labels(OBJECT), ring=ring, width=width)[0, 0], drawn(DRAWN_RINGS[ring, width]))


def test_inner_ring_leaves_the_middle_of_an_object_out() -> None:
    square = labels("....... .11111. .11111. .11111. .11111. .11111. .......")
    frame = drawn("....... .#####. .#...#. .#...#. .#...#. .#####. .......")
    middle = drawn("....... .#####. .#####. .##.##. .#####. .#####. .......")
    assert torch.equal(target_of(square, ring="inner")[0, 0], frame)
    assert torch.equal(target_of(square, ring="inner", width=2)[0, 0], middle)


@pytest.mark.parametrize(
    ("ring", "expected"),
    [("outer", "..#... ..#... ##...."), ("inner", ".#.... ##.... ......"), ("both", ".##... ###... ##....")],
)
def test_border_of_the_image_is_no_boundary(ring: str, expected: str) -> None:
    corner = labels("11.... 11.... ......")
    assert torch.equal(target_of(corner, ring=ring)[0, 0], drawn(expected))


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("drawing", ["... ... ...", "111 111 111"])
def test_image_of_one_class_has_no_boundary(drawing: str, ring: str) -> None:
    assert not target_of(labels(drawing), ring=ring, width=2).any()


def test_each_of_two_touching_classes_is_the_outside_of_the_other() -> None:
    touching = labels("...... .1122. ......")
    assert torch.equal(target_of(touching, 1, 2)[0, 0], drawn(".####. #.##.# .####."))


def test_two_touching_classes_have_no_boundary_between_them_as_one_region() -> None:
    touching = labels("...... .1122. ......")
    assert torch.equal(boundary_target(touching > 0, None, "outer", 1)[0, 0], drawn(".####. #....# .####."))


def test_label_that_is_no_foreground_has_no_boundary() -> None:
    assert not target_of(labels("... .2. ..."), 1).any()


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("ring", RINGS)
def test_rings_equal_the_dilations_of_scikit_image(ring: str, width: int) -> None:
    masks = blobs()
    expected = np.zeros(masks.shape, dtype=bool)
    for index in np.ndindex(masks.shape[:2]):
        mask = masks[index].numpy()
        outer, inner = dilation(mask, disk(width)) & ~mask, dilation(~mask, disk(width)) & mask
        expected[index] = {"outer": outer, "inner": inner, "both": outer | inner}[ring]
    np.testing.assert_array_equal(boundary_ring(masks, ring, width).numpy(), expected)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("ring", ["outer", "inner", "both"])
def test_what_is_known_near_ignored_pixels_holds_however_they_are_filled(ring: str, width: int) -> None:
    complete = torch.tensor(list(product([0, 1, 2], repeat=5)))[:, None, None]
    truth = target_of(complete, 1, 2, ring=ring, width=width)[:, 0]
    for row in product([0, 1, 2, IGNORED], repeat=5):
        segmentation = torch.tensor(row)[None, None, None]
        ignored = segmentation == IGNORED
        masks = torch.cat([segmentation == 1, segmentation == 2], 1)
        boundary, unknown = boundary_target(masks, ignored, ring, width)[0]
        possible = truth[((complete == segmentation) | ignored).flatten(1).all(1)]
        assert ((possible == boundary) | unknown).all(), row


def test_pixels_far_from_ignored_ones_are_known() -> None:
    segmentation = labels(f"...11....{IGNORED}{IGNORED}.....")
    _, unknown = boundary_target(segmentation == 1, segmentation == IGNORED, "outer", 2)[0]
    assert torch.equal(unknown, drawn(".......######..."))


def test_boundary_of_a_known_object_is_known_next_to_ignored_pixels() -> None:
    segmentation = labels(f"..11.{IGNORED}..")
    boundary, unknown = boundary_target(segmentation == 1, segmentation == IGNORED, "outer", 1)[0]
    assert torch.equal(boundary & ~unknown, drawn(".#..#..."))
    assert torch.equal(unknown, drawn(".....##."))


# The boundary loss


def test_loss_is_minus_one_for_perfect_logits_and_zero_for_opposite_ones() -> None:
    segmentation = labels(OBJECT)
    opposite = wrong(target_of(segmentation))
    loss = BoundaryLoss(DICE, [1])
    assert_close(loss(-opposite, segmentation), torch.tensor(-1.0))
    assert_close(loss(opposite, segmentation), torch.tensor(0.0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_dice", [True, False])
def test_dice_term_equals_the_one_of_monai(batch_dice: bool) -> None:
    segmentation, logits = blobs()[:, :1].long(), torch.randn(2, 1, 24, 24)
    dice = DiceLoss(sigmoid=True, batch=batch_dice, smooth_nr=1e-5, smooth_dr=1e-5)
    expected = dice(logits, target_of(segmentation).float()) - 1
    assert_close(BoundaryLoss(DICE, [1], batch_dice=batch_dice)(logits, segmentation), expected)


def test_cross_entropy_term_equals_the_one_of_torch() -> None:
    segmentation, logits = blobs()[:, :1].long(), torch.randn(2, 1, 24, 24)
    expected = F.binary_cross_entropy_with_logits(logits, target_of(segmentation).float())
    assert_close(BoundaryLoss(CROSS_ENTROPY, [1])(logits, segmentation), expected)


def test_terms_are_added_with_their_weights() -> None:
    segmentation, logits = blobs()[:, :1].long(), torch.randn(2, 1, 24, 24)
    dice, cross_entropy = (BoundaryLoss(config, [1])(logits, segmentation) for config in (DICE, CROSS_ENTROPY))
    config = BoundaryConfig(width=1, dice_weight=0.5, bce_weight=2)
    assert_close(BoundaryLoss(config, [1])(logits, segmentation), 0.5 * dice + 2 * cross_entropy)


@pytest.mark.parametrize("ring", RINGS)
def test_ring_and_width_of_the_options_are_those_of_the_target(ring: str) -> None:
    segmentation = labels("......... .1111111. .1111111. .1111111. .1111111. .1111111. .........")
    logits = -wrong(target_of(segmentation, ring=ring, width=2))
    assert_close(BoundaryLoss(BoundaryConfig(ring, 2), [1])(logits, segmentation), torch.tensor(-1.0))


def test_regions_give_the_loss_of_the_labels_they_consist_of() -> None:
    segmentation, logits = labels("...... .1122. ......"), torch.randn(1, 1, 3, 6)
    regions = torch.cat([segmentation == 1, segmentation == 2], 1)
    assert_close(BoundaryLoss(DICE, None)(logits, regions.float()), BoundaryLoss(DICE, [1, 2])(logits, segmentation))


@pytest.mark.parametrize("config", [DICE, CROSS_ENTROPY])
@pytest.mark.parametrize("regions", [False, True])
def test_logits_at_ignored_pixels_have_no_influence(regions: bool, config: BoundaryConfig) -> None:
    segmentation, logits = labels(f".1..{IGNORED}{IGNORED} .1..{IGNORED}{IGNORED}"), torch.randn(1, 1, 2, 6)
    target = torch.cat([segmentation == 1, segmentation == IGNORED], 1).float() if regions else segmentation
    loss = BoundaryLoss(config, None if regions else [1], ignore_label=IGNORED)
    gradient = torch.autograd.functional.jacobian(lambda logits: loss(logits, target), logits)
    # Beside the ignored pixels lies one that they might make boundary.
    assert torch.equal((gradient != 0)[0, 0], drawn("###... ###..."))


@pytest.mark.parametrize("config", [DICE, CROSS_ENTROPY])
@pytest.mark.parametrize("label", [0, IGNORED], ids=["empty", "all ignored"])
def test_image_without_annotation_gives_a_finite_loss_and_gradient(label: int, config: BoundaryConfig) -> None:
    logits = torch.randn(2, 1, 4, 4, requires_grad=True)
    loss = BoundaryLoss(config, [1], ignore_label=IGNORED)(logits, torch.full((2, 1, 16, 16), label))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_logits_of_low_resolution_are_interpolated_to_that_of_the_target() -> None:
    segmentation, logits = blobs()[:, :1].long(), torch.randn(2, 1, 6, 6)
    upsampled = F.interpolate(logits, size=(24, 24), mode="bilinear", align_corners=False)
    loss = BoundaryLoss(DICE, [1])
    assert_close(loss(logits, segmentation), loss(upsampled, segmentation))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_of_a_large_image_give_the_loss_of_single_precision(dtype: torch.dtype) -> None:
    # More than 65504 pixels of boundary: their sum is out of the range of float16.
    segmentation = torch.zeros(1, 1, 512, 512)
    segmentation[..., ::2, ::2] = 1
    logits, loss = torch.full((1, 1, 128, 128), 2.0), BoundaryLoss(DICE, [1])
    with torch.autocast("cpu", dtype=dtype):
        assert_close(loss(logits.to(dtype), segmentation), loss(logits, segmentation))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ring": "middle"}, r"ring must be one of .*'outer', 'inner', 'both'.*, got 'middle'"),
        ({"width": 0}, "width must be at least 1 pixel, got 0"),
        ({"dice_weight": -1}, "weights must not be negative, got .*dice_weight=-1"),
        ({"bce_weight": -0.5}, r"weights must not be negative, got .*bce_weight=-0\.5"),
        ({"weight": -3}, "weights must not be negative, got .*weight=-3"),
    ],
)
def test_option_out_of_range_is_named_with_its_value(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoundaryConfig(**options)


# Both losses together


def nnunet_loss() -> nn.Module:
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    return DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)


def supervised(segmentation: nn.Module) -> BoundarySupervisedLoss:
    return BoundarySupervisedLoss(segmentation, BoundaryLoss(DICE, [1]), weight=3)


def targets() -> list[Tensor]:
    """Full, half and quarter resolution."""
    full = blobs()[:, :1].float()
    return [full[..., ::stride, ::stride] for stride in (1, 2, 4)]


def test_with_deep_supervision_the_boundary_is_added_to_what_nnunet_weighs() -> None:
    target = targets()
    logits, boundary = [torch.randn(2, 2, *each.shape[2:]) for each in target], torch.randn(2, 1, 6, 6)
    weights = [4 / 7, 2 / 7, 1 / 7]
    expected = sum(weight * nnunet_loss()(*pair) for weight, *pair in zip(weights, logits, target, strict=True))
    expected = expected + 3 * BoundaryLoss(DICE, [1])(boundary, target[0])
    assert_close(supervised(DeepSupervisionWrapper(nnunet_loss(), weights))([*logits, boundary], target), expected)


def test_without_deep_supervision_there_is_one_target_for_both() -> None:
    target, logits, boundary = targets()[0], torch.randn(2, 2, 24, 24), torch.randn(2, 1, 6, 6)
    expected = nnunet_loss()(logits, target) + 3 * BoundaryLoss(DICE, [1])(boundary, target)
    assert_close(supervised(nnunet_loss())([logits, boundary], target), expected)


def test_segmentation_alone_has_the_loss_of_nnunet() -> None:
    target, logits, loss = targets()[0], torch.randn(2, 2, 24, 24), supervised(nnunet_loss())
    assert_close(loss(logits, target), nnunet_loss()(logits, target))
    assert list(loss.parts) == ["segmentation"]


def test_parts_are_the_unweighted_summands_without_a_graph() -> None:
    target, loss = targets()[0], supervised(nnunet_loss())
    logits, boundary = torch.randn(2, 2, 24, 24, requires_grad=True), torch.randn(2, 1, 6, 6, requires_grad=True)
    total = loss([logits, boundary], target)
    assert tuple(loss.parts) == loss.part_names
    assert_close(loss.parts["segmentation"] + 3 * loss.parts["boundary"], total.detach())
    assert not any(part.requires_grad for part in loss.parts.values())


def test_both_outputs_get_a_gradient() -> None:
    outputs = [torch.randn(2, 2, 24, 24, requires_grad=True), torch.randn(2, 1, 6, 6, requires_grad=True)]
    supervised(nnunet_loss())(outputs, targets()[0]).backward()
    assert all(output.grad.abs().sum() > 0 for output in outputs)
