"""Boundary probabilities of images, predicted by nnU-Net with a network of ours.

nnU-Net predicts whatever its network gives. With the network switched to boundaries and labels of a single region,
whose probability is a sigmoid, its sliding window, mirroring, ensemble of folds and resampling to the grid of the image
do for boundaries what they do for segmentations.
"""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from numpy.typing import NDArray

from nnunet_sgdc.errors import listed
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.networks import SGDCUNet

CHECKPOINT = "checkpoint_final.pth"
# A single output: what nnU-Net calls a region unites several labels.
BOUNDARY_LABELS = {"labels": {"background": 0, "boundary": [1, 2]}, "regions_class_order": [1]}
# What loading reports of damaged files, of those of other versions and of trainers that are not found.
LOADING_ERRORS = (AssertionError, EOFError, LookupError, RuntimeError, UnpicklingError, ValueError)


class BoundaryMapper:
    """Predict the boundaries of images.

    Args:
        predictor: nnU-Net's predictor with a network of ours, which this object keeps for itself.
    """

    def __init__(self, predictor: nnUNetPredictor) -> None:
        self._predictor: Any = predictor
        self._channels: int = determine_num_input_channels(
            predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
        )
        _plain(predictor.network).predicts_boundary = True
        predictor.dataset_json = BOUNDARY_LABELS
        predictor.label_manager = predictor.plans_manager.get_label_manager(BOUNDARY_LABELS)

    @classmethod
    def of_model(cls, model_folder: Path, folds: Sequence[str] | None, device: torch.device) -> "BoundaryMapper":
        """Predict with a trained model.

        Args:
            model_folder: nnU-Net's folder of a trainer, plans and configuration, as `nnUNetv2_predict_from_modelfolder
                -m` takes it.
            folds: The folds whose final checkpoints predict together; None takes all that are finished.
            device: Where to compute.

        Raises:
            EvaluationError: If the model or a fold is missing or damaged, or the model has no SGDC.
        """
        chosen = _checked_folds(model_folder, folds)
        predictor = nnUNetPredictor(device=device, allow_tqdm=False)
        try:
            predictor.initialize_from_trained_model_folder(str(model_folder), chosen, CHECKPOINT)
        except LOADING_ERRORS as error:
            raise EvaluationError(
                f"{model_folder} must hold a model as nnUNetv2_train leaves it, but that cannot be loaded "
                f"({type(error).__name__}: {error}): choose another one"
            ) from error
        network = _plain(predictor.network)
        if not (isinstance(network, SGDCUNet) and network.config.has_sge):
            raise EvaluationError(
                f"{model_folder} must hold a model of an SGDC trainer, got one without boundaries: choose another one"
            )
        return cls(predictor)

    @classmethod
    def of_trainer(cls, trainer: Any) -> "BoundaryMapper":
        """Predict with the network that one of our trainers holds; a copy of it, so that the training is not touched.

        Args:
            trainer: An initialised trainer.
        """
        network = deepcopy(trainer.plain_network)
        predictor = nnUNetPredictor(device=trainer.device, allow_tqdm=False)
        predictor.manual_initialization(
            network,
            trainer.plans_manager,
            trainer.configuration_manager,
            [network.state_dict()],
            trainer.dataset_json,
            type(trainer).__name__,
            trainer.inference_allowed_mirroring_axes,
        )
        return cls(predictor)

    def __call__(self, *files: Path) -> NDArray[np.float32]:
        """Predict one image.

        Args:
            *files: The image in nnU-Net's raw format: a single file, or one of each channel.

        Returns:
            Boundary probabilities of shape (H, W), on the grid of the image.

        Raises:
            EvaluationError: If the image has more or fewer channels than the model takes.
        """
        reader = self._predictor.plans_manager.image_reader_writer_class()
        image, properties = reader.read_images([str(file) for file in files])
        if len(image) != self._channels:
            raise EvaluationError(
                f"{files[0]} must have {self._channels} channels as the images the model was trained with, "
                f"got {len(image)}: choose the model of this data set"
            )
        _, probabilities = self._predictor.predict_single_npy_array(image, properties, None, None, True)
        # nnU-Net keeps 2-D images as (channels, 1, H, W).
        boundary: NDArray[np.float32] = probabilities[0, 0]
        return boundary


def _plain(network: Any) -> Any:
    """The network without the wrapper of torch.compile."""
    return getattr(network, "_orig_mod", network)


def _checked_folds(model_folder: Path, folds: Sequence[str] | None) -> tuple[str, ...]:
    """The folds to predict with, all of which are finished."""
    finished = {path.parent.name.removeprefix("fold_") for path in model_folder.glob(f"fold_*/{CHECKPOINT}")}
    # That of all cases is no member of the ensemble; nnU-Net takes it only when told to.
    chosen = tuple(folds or sorted(finished - {"all"}))
    missing = [fold for fold in chosen if fold not in finished]
    if missing or not chosen:
        raise EvaluationError(
            f"{model_folder} must hold fold_{(missing or ['0'])[0]}/{CHECKPOINT}, got finished folds "
            f"[{listed(sorted(finished))}]: choose the folder of a model, and with -f finished folds"
        )
    return chosen
