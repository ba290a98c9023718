"""Boundary probabilities that a trained model predicts beside its segmentation."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from numpy.typing import NDArray
from torch import Tensor

from nnunet_sgdc.networks import SGDCUNet


class BoundaryMapper:
    """Predict the boundary map of whole images with a trained model.

    Args:
        model_folder: nnU-Net's folder of a trainer, plans and configuration, as `nnUNetv2_predict_from_modelfolder -m`
            takes it.
        fold: The fold whose final checkpoint is used.
        device: Where to compute.

    Raises:
        ValueError: If the model has no SGDC.
    """

    def __init__(self, model_folder: Path, fold: int | str, device: torch.device) -> None:
        predictor = nnUNetPredictor(device=device, perform_everything_on_device=False, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(model_folder), (fold,))
        if not isinstance(predictor.network, SGDCUNet):
            raise ValueError(f"model_folder must hold a model of an SGDC trainer, got {model_folder}")
        self._predictor: Any = predictor
        self._network = predictor.network.to(device).eval()

    @torch.inference_mode()
    def __call__(self, image: Path) -> NDArray[np.float32]:
        """Predict one image.

        Args:
            image: Image file of the raw data set, of any size.

        Returns:
            Boundary probabilities of shape (H, W), at the preprocessed resolution.
        """
        data = self._preprocess(image).to(self._predictor.device)
        height, width = data.shape[-2:]
        stride = max(self._network.decoder_strides) * 2
        padded = F.pad(data, (0, -width % stride, 0, -height % stride))
        logits = F.interpolate(self._network.boundary_logits(padded), size=padded.shape[2:], mode="bilinear")
        probabilities: NDArray[np.float32] = torch.sigmoid(logits)[0, 0, :height, :width].cpu().numpy()
        return probabilities

    def _preprocess(self, image: Path) -> Tensor:
        predictor = self._predictor
        preprocessor = predictor.configuration_manager.preprocessor_class(verbose=False)
        data, *_ = preprocessor.run_case(
            [str(image)], None, predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
        )
        # nnU-Net keeps 2D images as (channels, 1, H, W).
        return torch.as_tensor(np.asarray(data)).float().transpose(0, 1)
