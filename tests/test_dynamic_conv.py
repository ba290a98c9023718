"""The dynamic convolution; oracles are the plain formulation with unfold, maps worked out by hand and gradcheck."""

from types import ModuleType
from weakref import WeakSet

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnunet_sgdc.ops import _fusible, _in_place, dynamic_conv2d, reference

# Batch, channels, heads, k, height, width.
SHAPES = [
    pytest.param((2, 4, 2, 3, 8, 6), id="plain"),
    pytest.param((3, 6, 3, 7, 9, 5), id="odd"),
    pytest.param((2, 6, 1, 5, 4, 11), id="one head"),
    pytest.param((1, 5, 5, 3, 7, 3), id="one channel for each head"),
    pytest.param((2, 6, 2, 1, 5, 4), id="one tap"),
    pytest.param((2, 4, 2, 3, 1, 1), id="one pixel"),
    pytest.param((1, 4, 4, 7, 1, 9), id="one row"),
    pytest.param((2, 4, 2, 7, 2, 3), id="smaller than the kernel"),
    pytest.param((1, 1, 1, 5, 5, 5), id="one channel"),
]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-13}
HALF = [torch.float16, torch.bfloat16]

Shape = tuple[int, int, int, int, int, int]


def inputs(shape: Shape = (2, 4, 2, 3, 8, 6), dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    batch, channels, heads, size, height, width = shape
    x = torch.randn(batch, channels, height, width, dtype=dtype)
    kernels = torch.randn(batch, heads, size**2, height, width, dtype=dtype)
    return x.requires_grad_(), kernels.requires_grad_()


def differentiate(function, x: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output and both gradients, for a cotangent in which all pixels differ."""
    output = function(x, kernels)
    cotangent = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return output, *torch.autograd.grad(output, (x, kernels), cotangent)


def apply(formulation: ModuleType, x: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three functions of a formulation, x also serving as the gradient that comes back."""
    forward = formulation.forward(x, kernels)
    return forward, formulation.grad_x(x, kernels), formulation.grad_kernels(x.flip(1), x, kernels.shape)


def double(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


def called_in(graph_module: torch.fx.GraphModule) -> set[str]:
    """Names of the functions and methods that a graph and the graphs below it call."""
    graphs = (module.graph for module in graph_module.modules() if isinstance(module, torch.fx.GraphModule))
    calls = (node.target for graph in graphs for node in graph.nodes if node.op.startswith("call_"))
    return {getattr(target, "__name__", str(target)) for target in calls}


class Allocations(TorchDispatchMode):
    """Note the bytes of the largest storage that operations make while the mode is on."""

    def __init__(self, *known: Tensor) -> None:
        super().__init__()
        self.largest = 0
        self.seen = WeakSet(tensor.untyped_storage() for tensor in known)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        for storage in (leaf.untyped_storage() for leaf in tree_leaves(results) if isinstance(leaf, Tensor)):
            if storage not in self.seen:
                self.seen.add(storage)
                self.largest = max(self.largest, storage.nbytes())
        return results


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_equal_the_plain_formulation(shape: Shape, dtype: torch.dtype) -> None:
    x, kernels = inputs(shape, dtype)
    expected = differentiate(reference.dynamic_conv2d, x, kernels)
    tolerance = TOLERANCES[dtype]
    assert_close(differentiate(dynamic_conv2d, x, kernels), expected, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("size", [1, 3])
def test_gradients_equal_finite_differences(size: int) -> None:
    assert torch.autograd.gradcheck(dynamic_conv2d, inputs((2, 4, 2, size, 3, 4), torch.float64))


@pytest.mark.parametrize("block_bytes", [1, 700], ids=["one row of one head at a time", "blocks that do not divide"])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_for_the_cache_change_nothing(shape: Shape, block_bytes: int, monkeypatch) -> None:
    x, kernels = inputs(shape, torch.float64)
    whole = differentiate(dynamic_conv2d, x, kernels)
    monkeypatch.setattr(_in_place, "CPU_BLOCK_BYTES", block_bytes)
    assert_close(differentiate(dynamic_conv2d, x, kernels), whole, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_formulation_for_the_compiler_equals_the_one_for_eager_mode(shape: Shape, dtype: torch.dtype) -> None:
    x, kernels = (tensor.detach() for tensor in inputs(shape, dtype))
    tolerance = TOLERANCES[dtype]
    assert_close(apply(_fusible, x, kernels), apply(_in_place, x, kernels), rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", HALF)
def test_both_formulations_agree_in_half_precision_up_to_one_rounding(dtype: torch.dtype) -> None:
    x, kernels = (tensor.detach() for tensor in inputs(dtype=dtype))
    rounding = torch.finfo(dtype).eps
    assert_close(apply(_fusible, x, kernels), apply(_in_place, x, kernels), rtol=rounding, atol=rounding)


@pytest.mark.parametrize("formulation", [_in_place, _fusible])
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_costs_no_more_than_the_rounding_of_the_result(dtype, formulation: ModuleType) -> None:
    # Constant signs: 49 terms accumulated in half precision would be off by many roundings.
    x, kernels = (tensor.detach().abs() for tensor in inputs((2, 4, 2, 7, 12, 10), dtype))
    output, grad_x, _ = apply(formulation, x, kernels)
    exact_output, exact_grad_x, _ = apply(_in_place, x.double(), kernels.double())
    half_a_step = torch.finfo(dtype).eps / 2 * 1.001
    assert_close(output.double(), exact_output, rtol=half_a_step, atol=1e-6)
    assert_close(grad_x.double(), exact_grad_x, rtol=half_a_step, atol=1e-6)


@pytest.mark.parametrize("formulation", [_in_place, _fusible])
@pytest.mark.parametrize("dtype", HALF)
def test_gradient_of_half_precision_kernels_is_summed_in_float32(dtype, formulation: ModuleType) -> None:
    x, kernels = (tensor.detach().abs() for tensor in inputs((1, 512, 1, 3, 4, 4), dtype))
    exact = _in_place.grad_kernels(x.double(), x.double(), kernels.shape)
    # One rounding of the products and one of the sum; 512 of the running sum would be far more.
    rounding = torch.finfo(dtype).eps
    actual = formulation.grad_kernels(x, x, kernels.shape)
    assert_close(actual.double(), exact, rtol=rounding, atol=1e-6)


@pytest.mark.parametrize("formulation", [_in_place, _fusible])
def test_products_beyond_the_range_of_half_precision_still_cancel(formulation: ModuleType) -> None:
    x = torch.tensor([300.0, 300.0], dtype=torch.float16).view(1, 2, 1, 1)
    grad = torch.tensor([300.0, -300.0], dtype=torch.float16).view(1, 2, 1, 1)
    assert formulation.grad_kernels(grad, x, torch.Size([1, 1, 1, 1, 1])).item() == 0


@pytest.mark.parametrize(
    ("x_dtype", "kernels_dtype", "expected"),
    [
        (torch.float16, torch.float16, torch.float16),
        (torch.bfloat16, torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float32, torch.float32),
        (torch.float32, torch.bfloat16, torch.float32),
        (torch.float16, torch.bfloat16, torch.float32),
        (torch.float32, torch.float64, torch.float64),
    ],
)
def test_mixed_dtypes_promote_and_gradients_keep_those_of_the_inputs(x_dtype, kernels_dtype, expected) -> None:
    x, kernels = (tensor.detach() for tensor in inputs())
    x, kernels = x.to(x_dtype).requires_grad_(), kernels.to(kernels_dtype).requires_grad_()
    output, *gradients = differentiate(dynamic_conv2d, x, kernels)
    rounding = 4 * max(torch.finfo(dtype).eps for dtype in (x_dtype, kernels_dtype, torch.float32))
    assert [output.dtype, *(gradient.dtype for gradient in gradients)] == [expected, x_dtype, kernels_dtype]
    exact = differentiate(reference.dynamic_conv2d, *double(x, kernels))
    for actual, wanted in zip((output, *gradients), exact, strict=True):
        assert_close(actual.double(), wanted, rtol=rounding, atol=rounding)


def test_autocast_does_not_lower_the_precision() -> None:
    x, kernels = inputs()
    expected = dynamic_conv2d(x, kernels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(dynamic_conv2d(x, kernels), expected)


def test_taps_are_in_row_major_order() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    kernels = torch.zeros(1, 1, 9, 3, 3)
    kernels[:, :, 5] = 1
    right_neighbour = torch.tensor([[2.0, 3.0, 0.0], [5.0, 6.0, 0.0], [8.0, 9.0, 0.0]])
    assert torch.equal(dynamic_conv2d(x[None, None], kernels)[0, 0], right_neighbour)


def test_mean_of_ones_loses_mass_at_the_border() -> None:
    ones, mean = torch.ones(1, 1, 3, 3), torch.full((1, 1, 9, 3, 3), 1 / 9)
    neighbours = torch.tensor([[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]])
    assert_close(dynamic_conv2d(ones, mean)[0, 0], neighbours / 9)


def test_every_pixel_has_a_kernel_of_its_own() -> None:
    x, kernels = torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.zeros(1, 1, 9, 1, 3)
    # The first pixel takes its right neighbour, the second twice itself, the third minus its left neighbour.
    kernels[0, 0, 5, 0, 0], kernels[0, 0, 4, 0, 1], kernels[0, 0, 3, 0, 2] = 1, 2, -1
    assert dynamic_conv2d(x, kernels).flatten().tolist() == [2, 4, -2]


def test_heads_own_contiguous_blocks_of_channels() -> None:
    kernels = torch.tensor([1.0, 10.0]).view(1, 2, 1, 1, 1)
    assert dynamic_conv2d(torch.ones(1, 4, 1, 1), kernels).flatten().tolist() == [1, 1, 10, 10]


@pytest.mark.parametrize(
    "lay_out",
    [
        pytest.param(lambda x: x.to(memory_format=torch.channels_last), id="channels last"),
        pytest.param(lambda x: x.transpose(2, 3).contiguous().transpose(2, 3), id="transposed"),
        pytest.param(lambda x: torch.stack([x, -x], -1)[..., 0], id="every other element"),
        pytest.param(lambda x: x[:, :1].expand_as(x), id="expanded"),
    ],
)
def test_memory_layout_does_not_matter(lay_out) -> None:
    x, kernels = (tensor.detach() for tensor in inputs())
    x = lay_out(x)
    kernels = kernels.permute(0, 3, 4, 1, 2).contiguous().permute(0, 3, 4, 1, 2)
    assert not x.is_contiguous()
    strided = differentiate(dynamic_conv2d, x.requires_grad_(), kernels.requires_grad_())
    assert_close(strided, differentiate(reference.dynamic_conv2d, x, kernels), rtol=1e-5, atol=1e-5)


def test_gradient_that_comes_back_expanded_is_taken() -> None:
    x, kernels = inputs()
    actual = torch.autograd.grad(dynamic_conv2d(x, kernels).sum(), (x, kernels))
    assert_close(actual, torch.autograd.grad(reference.dynamic_conv2d(x, kernels).sum(), (x, kernels)))


def test_empty_batch_gives_an_empty_map_and_empty_gradients() -> None:
    x, kernels = inputs((0, 4, 2, 3, 8, 6))
    results = differentiate(dynamic_conv2d, x, kernels)
    assert [result.shape for result in results] == [x.shape, x.shape, kernels.shape]


@pytest.mark.parametrize(("frozen", "unneeded"), [(0, "grad_x"), (1, "grad_kernels")])
def test_gradient_that_nobody_needs_is_not_computed(frozen: int, unneeded: str, monkeypatch) -> None:
    pair = inputs()
    pair[frozen].requires_grad_(False)
    monkeypatch.setattr(_in_place, unneeded, lambda *_: pytest.fail(f"{unneeded} was computed"))
    dynamic_conv2d(*pair).sum().backward()
    assert pair[frozen].grad is None
    assert pair[1 - frozen].grad is not None


def test_nothing_but_the_inputs_is_kept_for_backward() -> None:
    x, kernels = inputs((2, 8, 2, 7, 16, 16))
    kept = []
    with saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        dynamic_conv2d(x, kernels)
    assert {tensor.untyped_storage().data_ptr() for tensor in kept} == {x.data_ptr(), kernels.data_ptr()}


def test_forward_and_backward_allocate_no_unfolded_copy() -> None:
    x, kernels = inputs((1, 64, 1, 7, 32, 32))
    with Allocations(x, kernels) as allocations:
        torch.autograd.grad(dynamic_conv2d(x, kernels), (x, kernels), torch.ones_like(x))
    # The gradient of the kernels has 49 channels here, the map 64.
    assert allocations.largest == x.nbytes > kernels.nbytes


def test_counting_allocations_sees_the_copy_that_unfold_makes() -> None:
    x, kernels = inputs((1, 64, 1, 7, 32, 32))
    with Allocations(x, kernels) as allocations:
        reference.dynamic_conv2d(x, kernels)
    assert allocations.largest == 49 * x.nbytes


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_as_one_graph_with_the_same_output_and_gradients(backend: str) -> None:
    torch.compiler.reset()
    compiled = torch.compile(dynamic_conv2d, fullgraph=True, backend=backend)
    x, kernels = inputs()
    assert_close(differentiate(compiled, x, kernels), differentiate(dynamic_conv2d, x, kernels), rtol=1e-5, atol=1e-5)


def test_compiled_graph_takes_maps_of_other_sizes() -> None:
    torch.compiler.reset()
    compiled = torch.compile(dynamic_conv2d, fullgraph=True, backend="eager")
    for batch, height, width in [(2, 8, 6), (3, 9, 6), (1, 5, 7)]:
        pair = inputs((batch, 4, 2, 3, height, width))
        assert_close(differentiate(compiled, *pair), differentiate(dynamic_conv2d, *pair), rtol=1e-5, atol=1e-5)


def test_compiled_graph_mutates_no_map() -> None:
    torch.compiler.reset()
    graphs = []
    compiled = torch.compile(dynamic_conv2d, fullgraph=True, backend=lambda graph, _: graphs.append(graph) or graph)
    compiled(*inputs())
    called = called_in(graphs[0])
    assert "mul" in called
    assert [name for name in called if name.endswith("_") and not name.endswith("__")] == []


def test_shapes_and_dtypes_propagate_without_data() -> None:
    with FakeTensorMode():
        x, kernels = inputs((2, 4, 2, 7, 8, 6), torch.bfloat16)
        results = differentiate(dynamic_conv2d, x, kernels)
    assert [result.shape for result in results] == [x.shape, x.shape, kernels.shape]
    assert {result.dtype for result in results} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("x_shape", "kernels_shape", "message"),
    [
        pytest.param((4, 5, 5), (1, 2, 9, 5, 5), r"must have shapes .* got \(4, 5, 5\)", id="x without batch"),
        pytest.param((1, 4, 5, 5), (2, 9, 5, 5), r"must have shapes .* and \(2, 9, 5, 5\)", id="kernels without batch"),
        pytest.param((2, 4, 5, 5), (1, 2, 9, 5, 5), "must have shapes", id="another batch"),
        pytest.param((1, 4, 5, 5), (1, 2, 9, 5, 4), "must have shapes", id="another width"),
        pytest.param((1, 4, 5, 5), (1, 2, 16, 5, 5), "k odd .* got 16", id="even k"),
        pytest.param((1, 4, 5, 5), (1, 2, 8, 5, 5), r"k \* k taps .* got 8", id="taps that are no square"),
        pytest.param((1, 4, 5, 5), (1, 2, 0, 5, 5), r"k \* k taps .* got 0", id="no taps"),
        pytest.param((1, 4, 5, 5), (1, 3, 9, 5, 5), "divide the 4 channels of x, got 3 heads", id="heads of 4/3"),
        pytest.param((1, 4, 5, 5), (1, 0, 9, 5, 5), "divide the 4 channels of x, got 0 heads", id="no heads"),
    ],
)
def test_shapes_that_do_not_fit_are_named(x_shape: tuple, kernels_shape: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dynamic_conv2d(torch.zeros(x_shape), torch.zeros(kernels_shape))
