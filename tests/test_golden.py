"""The published modules, number by number: golden arrays hold their outputs and every gradient in float64.

The golden arrays have no epsilon under the square root of the Sobel magnitude; ours, 1e-12, moves what SGE gives by no
more than the tolerance here.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from nnunet_sgdc.blocks import SGDC, SGE, from_published_state_dict
from nnunet_sgdc.blocks.published import SGDC_NAMES, SGE_NAMES

FOLDER = Path(__file__).parent / "golden"
SGDC_FILES = ["sgdc_k3_h1", "sgdc_k5_h2", "sgdc_k7_h4"]
SGE_FILES = ["sge_eval", "sge_train"]
TOLERANCE = {"rtol": 1e-9, "atol": 1e-11}


@cache
def golden(name: str) -> dict[str, dict[str, Tensor]]:
    """Arrays of a file by the group, then by the rest of their name."""
    groups: dict[str, dict[str, Tensor]] = {}
    with np.load(FOLDER / f"{name}.npz") as arrays:
        for key, array in arrays.items():
            group, _, rest = key.partition("/")
            groups.setdefault(group, {})[rest] = torch.from_numpy(array)
    return groups


def config(name: str) -> dict[str, float]:
    return {key: value.item() for key, value in golden(name)["config"].items()}


def parameters(name: str) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in golden(name)["param"].items()}


def load(name: str) -> SGDC | SGE:
    return from_published_state_dict(config(name), parameters(name))


def run(name: str, block: SGDC | SGE) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs with their gradients, and outputs."""
    inputs = [value.clone().requires_grad_() for value in golden(name)["input"].values()]
    outputs = block(*inputs)
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    torch.autograd.backward(outputs, list(golden(name)["cotangent"].values()))
    return inputs, outputs


def published(name: str, names: dict[str, str]) -> str:
    """Published name of one of our weights."""
    for theirs, ours in names.items():
        if name == ours or name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    raise KeyError(name)


@pytest.mark.parametrize("name", SGDC_FILES + SGE_FILES)
def test_outputs_are_the_published_ones(name: str) -> None:
    _, outputs = run(name, load(name))
    assert_close(outputs, list(golden(name)["output"].values()), **TOLERANCE)


@pytest.mark.parametrize("name", SGDC_FILES + SGE_FILES)
def test_gradients_of_the_inputs_are_the_published_ones(name: str) -> None:
    inputs, _ = run(name, load(name))
    assert_close([x.grad for x in inputs], list(golden(name)["grad_input"].values()), **TOLERANCE)


@pytest.mark.parametrize("name", SGDC_FILES + SGE_FILES)
def test_gradients_of_all_parameters_are_the_published_ones(name: str) -> None:
    block = load(name)
    run(name, block)
    names = SGDC_NAMES if isinstance(block, SGDC) else SGE_NAMES
    gradients = {published(key, names): parameter.grad for key, parameter in block.named_parameters()}
    assert_close(gradients, golden(name)["grad_param"], **TOLERANCE)


def test_training_mode_of_the_config_is_that_of_the_block() -> None:
    assert not load("sge_eval").training
    assert load("sge_train").training


def test_one_training_step_moves_the_running_mean_a_tenth_of_the_way() -> None:
    block = load("sge_train")
    before = parameters("sge_train")["s4_proj.bn.running_mean"]
    run("sge_train", block)
    conv, norm, _ = block.deep_projection
    mean = conv(golden("sge_train")["input"]["0"]).mean((0, 2, 3))
    assert_close(norm.running_mean, 0.9 * before + 0.1 * mean)


def test_constant_sobel_weights_in_the_file_change_nothing() -> None:
    constant = {f"sobel_{axis}.weight": torch.ones(16, 16, 3, 3, dtype=torch.float64) for axis in "xy"}
    block = from_published_state_dict(config("sge_eval"), {**parameters("sge_eval"), **constant})
    _, outputs = run("sge_eval", block)
    assert_close(outputs, list(golden("sge_eval")["output"].values()), **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", ["sgdc_k3_h1", "sge_eval"])
def test_block_has_the_dtype_and_the_values_of_the_weights(name: str, dtype: torch.dtype) -> None:
    weights = {key: value.to(dtype) if value.is_floating_point() else value for key, value in parameters(name).items()}
    block = from_published_state_dict(config(name), weights)
    names = SGDC_NAMES if isinstance(block, SGDC) else SGE_NAMES
    assert_close({published(key, names): value for key, value in block.state_dict().items()}, weights, rtol=0, atol=0)


def test_what_config_leaves_out_has_its_published_default() -> None:
    weights = {published(key, SGDC_NAMES): value for key, value in SGDC(32).state_dict().items()}
    block = from_published_state_dict({"dim": 32}, weights)
    assert (block.num_heads, block.kernel_size) == (4, 7)
    assert block.training


def test_unknown_config_key_is_named() -> None:
    with pytest.raises(ValueError, match=r"published constructor values .* got also \['heads'\]"):
        from_published_state_dict({**config("sgdc_k3_h1"), "heads": 1}, parameters("sgdc_k3_h1"))


def test_value_of_the_other_module_is_unknown() -> None:
    with pytest.raises(ValueError, match=r"got also \['kernel_size'\]"):
        from_published_state_dict({**config("sge_eval"), "kernel_size": 3}, parameters("sge_eval"))


def test_missing_weight_is_named() -> None:
    weights = parameters("sgdc_k3_h1")
    del weights["attn.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*gates_and_kernels\.bias"):
        from_published_state_dict(config("sgdc_k3_h1"), weights)


def test_weight_that_no_published_module_has_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"Unexpected key.*attention\.bias"):
        from_published_state_dict(
            config("sgdc_k3_h1"), {**parameters("sgdc_k3_h1"), "attention.bias": torch.zeros(1, dtype=torch.float64)}
        )


def test_weight_of_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"size mismatch for gates_and_kernels\.weight"):
        from_published_state_dict({**config("sgdc_k3_h1"), "kernel_size": 5}, parameters("sgdc_k3_h1"))


def test_weights_of_two_dtypes_are_refused() -> None:
    weights = parameters("sgdc_k3_h1")
    weights["ls1"] = weights["ls1"].float()
    with pytest.raises(ValueError, match=r"one floating dtype.*float32.*float64"):
        from_published_state_dict(config("sgdc_k3_h1"), weights)
