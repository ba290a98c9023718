"""The Sobel magnitude; oracles are the published dense convolutions and scikit-image's Sobel of the channel sum."""

import numpy as np
import pytest
import torch
from skimage.filters import sobel
from torch import Tensor
from torch.testing import assert_close

from nnunet_sgdc.ops import reference, sobel_magnitude


def gradient(x: Tensor) -> Tensor:
    return torch.autograd.grad(sobel_magnitude(x).sum(), x)[0]


def padded_map() -> Tensor:
    """Structure in the middle, zeros all around, as nnU-Net pads."""
    x = torch.zeros(1, 3, 12, 12)
    x[..., 4:8, 4:8] = torch.randn(1, 3, 4, 4)
    return x


@pytest.mark.parametrize("shape", [(2, 3, 7, 9), (1, 1, 1, 1), (1, 5, 1, 6), (2, 16, 8, 8)])
def test_every_channel_of_the_dense_convolutions_is_this_one(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    expected = reference.sobel_magnitude(x)
    assert_close(sobel_magnitude(x).expand_as(expected), expected, rtol=1e-6, atol=1e-6)


def test_gradient_is_that_of_one_channel_of_the_dense_convolutions() -> None:
    x = torch.randn(2, 3, 7, 9, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(reference.sobel_magnitude(x)[:, :1].sum(), x)
    assert_close(gradient(x), expected, rtol=1e-6, atol=1e-6)


def test_equals_the_sobel_of_scikit_image_over_the_channel_sum() -> None:
    x = torch.randn(1, 4, 9, 11, dtype=torch.float64)
    summed = x[0].sum(0).numpy()
    # scikit-image divides its kernels by the sum of the positive weights, 4.
    expected = 4 * np.hypot(*(sobel(summed, axis=axis, mode="constant") for axis in (0, 1)))
    np.testing.assert_allclose(sobel_magnitude(x)[0, 0].numpy(), expected, atol=1e-6)


def test_vertical_step_has_magnitude_four_away_from_the_border_of_the_image() -> None:
    step = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).expand(1, 1, 5, 6)
    assert_close(sobel_magnitude(step)[0, 0, 2], torch.tensor([0.0, 0.0, 4.0, 4.0, 0.0, 4.0]))


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(torch.zeros(1, 2, 6, 6), id="zero"),
        pytest.param(torch.full((1, 2, 6, 6), 7.0), id="constant"),
        pytest.param(padded_map(), id="padded"),
    ],
)
def test_gradient_is_finite_where_the_map_is_flat(x: Tensor) -> None:
    assert gradient(x.requires_grad_()).isfinite().all()


def test_gradient_of_the_published_formulation_is_not_finite_there() -> None:
    x = torch.zeros(1, 2, 6, 6, requires_grad=True)
    reference.sobel_magnitude(x).sum().backward()
    assert x.grad.isnan().any()


def test_large_half_precision_activations_of_512_channels_stay_finite() -> None:
    x = torch.randn(1, 512, 8, 8).mul(1e4).half().requires_grad_()
    magnitude = sobel_magnitude(x)
    magnitude.sum().backward()
    assert_close(magnitude.double(), sobel_magnitude(x.double()), rtol=1e-4, atol=1)
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_result_is_single_precision_or_wider(dtype: torch.dtype, expected: torch.dtype) -> None:
    assert sobel_magnitude(torch.ones(2, 3, 4, 5, dtype=dtype)).dtype == expected
