"""What the networks of a trained model cost: parameters, time of training, and activations of one training step."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pickle import UnpicklingError
from statistics import fmean
from traceback import format_exception_only
from typing import Any

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.record import TrainingCost
from nnunet_sgdc.evaluation.trained_model import TrainedModel
from nnunet_sgdc.networks.parameter_count import parameter_count


def training_cost(model: TrainedModel, folds: Sequence[str]) -> TrainingCost:
    """Tell what the networks of a model cost.

    Args:
        model: The model.
        folds: Finished folds; the network is the same in all of them.

    Raises:
        EvaluationError: A checkpoint is damaged, or nnU-Net cannot rebuild the network.
    """
    seconds = [_seconds(model, fold) for fold in folds]
    known = [value for value in seconds if value is not None]
    predictor = _load(model, folds[0])
    network: nn.Module = getattr(predictor.network, "_orig_mod", predictor.network)
    parameters = parameter_count(network)
    activations, note = _activations(model.trainer, network, _batch_shape(predictor))
    return TrainingCost(parameters, fmean(known) if len(known) == len(seconds) else None, activations, note)


def activation_bytes(network: nn.Module, shape: Sequence[int]) -> int:
    """Bytes that a training step keeps from the forward to the backward pass, computed without allocating them.

    Args:
        network: Network in single precision; its weights are gone afterwards, for it moves to PyTorch's meta device.
        shape: Shape of the batch of images, (B, C, H, W) or (B, C, D, H, W).

    Returns:
        The value of `saved_bytes` in training mode with deep supervision on.
    """
    network.train()
    decoder: Any = getattr(network, "decoder", None)
    # nnU-Net's own convention for switching it; networks without the switch have no deep supervision.
    if hasattr(decoder, "deep_supervision"):
        decoder.deep_supervision = True
    return saved_bytes(network.to("meta"), torch.empty(*shape, device="meta"))


def saved_bytes(network: nn.Module, images: Tensor) -> int:
    """Bytes that autograd keeps after a forward pass: all storages that nodes of the graph have saved.

    A storage counts once, however many nodes save it, and whole, even if they save a part of it. The images count if
    they are saved; weights and buffers of the network do not, since they are there anyway. The loss is not included.

    Args:
        network: The network, on any device.
        images: Its input.
    """
    own = {_storage(tensor) for tensor in (*network.parameters(), *network.buffers())}
    saved: dict[Any, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[_storage(tensor)] = tensor.untyped_storage().nbytes()
        # A node that keeps its own output with its history would keep itself for ever.
        return tensor.detach()

    with torch.enable_grad(), saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = network(images)
    # What no output depends on is freed already; a weak reference alone keeps its address from being used again.
    kept = sum(size for storage, size in saved.items() if storage not in own and not storage.expired())
    del outputs
    return kept


def _storage(tensor: Tensor) -> Any:
    """A reference to the memory of a tensor, equal for tensors that share it."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _activations(trainer: str, network: nn.Module, shape: Sequence[int]) -> tuple[int | None, str]:
    """The bytes of `activation_bytes`, or None and a sentence that says why they are unknown."""
    try:
        return activation_bytes(network, shape), ""
    # Without data a network of the user may raise anything, and its scores do not depend on this number.
    except Exception as error:
        reason = format_exception_only(error)[0].splitlines()[0].split(". ")[0]
        return None, (
            f"The activations of {trainer} are unknown: its network does not run on PyTorch's meta device ({reason})."
        )


def _batch_shape(predictor: Any) -> tuple[int, ...]:
    configuration = predictor.configuration_manager
    channels = determine_num_input_channels(predictor.plans_manager, configuration, predictor.dataset_json)
    return (configuration.batch_size, channels, *configuration.patch_size)


def _load(model: TrainedModel, fold: str) -> Any:
    """nnU-Net's predictor with the network of a fold, loaded without its messages."""
    with redirect_stdout(io.StringIO()):
        predictor = nnUNetPredictor(device=torch.device("cpu"))
        try:
            predictor.initialize_from_trained_model_folder(str(model.folder), (fold,))
        except RuntimeError as error:
            reason = str(error).splitlines()[0].split(". ")[0]
            raise EvaluationError(
                f"nnU-Net must rebuild the network of {model.folder} with the trainer {model.trainer}, but could not "
                f"({reason}): let nnUNet_extTrainer name the folder of the trainer it was trained with, and restore "
                "its plans.json"
            ) from error
    return predictor


def _seconds(model: TrainedModel, fold: str) -> float | None:
    """Time of all epochs of a fold; the pauses of a training that was continued lie between them."""
    path = model.checkpoint(fold)
    try:
        # Mapped, the weights are not read.
        checkpoint = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        raise EvaluationError(
            f"{path} must be a checkpoint of nnU-Net, but is damaged: train the fold again"
        ) from error
    log = checkpoint.get("logging") or {}
    starts, ends = log.get("epoch_start_timestamps"), log.get("epoch_end_timestamps")
    # An epoch that has not ended has no end.
    return float(sum(end - start for start, end in zip(starts, ends, strict=False))) if starts and ends else None
