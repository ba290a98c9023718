"""nnU-Net's trainer with SGDC in the network and boundary supervision in the loss."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import distributed, nn

from nnunet_sgdc.errors import UserError
from nnunet_sgdc.losses import BoundaryConfig, BoundaryLoss, BoundarySupervisedLoss
from nnunet_sgdc.networks import SGDCConfig, SGDCUNet, graft_architecture, graft_plans, planned_options
from nnunet_sgdc.trainers.progress import plot_progress
from nnunet_sgdc.trainers.resumable import ResumableTrainer
from nnunet_sgdc.trainers.validation_pictures import draw_validation

PHASES = ("train", "val")


class nnUNetTrainerSGDC(ResumableTrainer):
    """Train the network of the plans with SGDC grafted on, supervised with segmentations and their boundaries.

    Everything else is nnU-Net's. Change an option in a subclass of your own:

        class nnUNetTrainerSGDC_k5(nnUNetTrainerSGDC):
            sgdc = SGDCConfig(kernel_size=5)
            validation_pictures = 8

    With `validation_pictures`, the validation at the end also draws so many of its cases, at most 100, spread from the
    worst Dice to the best: validation_pictures.png, beside nnU-Net's progress.png, with contours, errors and predicted
    boundaries. The raw data set must be on the machine; if it is not, the log says so and the training ends as usual.

    The plans stored with the model hold the complete configuration of the network.
    """

    sgdc: ClassVar[SGDCConfig] = SGDCConfig()
    boundary: ClassVar[BoundaryConfig] = BoundaryConfig()
    validation_pictures: ClassVar[int] = 0
    epochs: ClassVar[int] = 1000
    iterations_per_epoch: ClassVar[int] = 250
    val_iterations_per_epoch: ClassVar[int] = 50

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008  nnU-Net's own signature
    ) -> None:
        self._check_planned_options(plans, configuration)
        super().__init__(graft_plans(plans, configuration, self.sgdc), configuration, fold, dataset_json, device)
        self._set_length(self.epochs, self.iterations_per_epoch, self.val_iterations_per_epoch)

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """Build the network; plans without SGDC get the configuration of this class."""
        architecture = graft_architecture(configuration_manager.configuration["architecture"], cls.sgdc)
        network: nn.Module = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            num_input_channels,
            num_output_channels,
            deep_supervision=enable_deep_supervision,
        )
        return network

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do nnU-Net's training step and report the parts of its loss."""
        return {**super().train_step(batch), **self._loss_parts()}

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do nnU-Net's validation step and report the parts of its loss."""
        return {**super().validation_step(batch), **self._loss_parts()}

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Log the parts of the training loss."""
        super().on_train_epoch_end(train_outputs)
        self._log_loss_parts("train", train_outputs)

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Log the parts of the validation loss."""
        super().on_validation_epoch_end(val_outputs)
        self._log_loss_parts("val", val_outputs)

    def on_epoch_end(self) -> None:
        """Log how far LayerScale has come, print what is ours, and draw it beside nnU-Net's progress.png."""
        scales = self.plain_network.layer_scales()
        self._log_value("layer_scales", list(scales.values()))
        for phase in PHASES:
            names = self.loss.part_names
            parts = [f"{part} {self.logger.get_value(f'{phase}_{part}_losses', -1):.4f}" for part in names]
            self.print_to_log_file(f"{phase}_loss parts: {', '.join(parts)}")
        if scales:
            printed = (f"stride {stride}: {scale:.3g}" for stride, scale in scales.items())
            self.print_to_log_file(f"LayerScale: {', '.join(printed)}")
        super().on_epoch_end()
        if self.local_rank == 0:
            plot_progress(self.logger.get_checkpoint(), list(scales), Path(self.output_folder) / "progress_sgdc.png")

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Do nnU-Net's validation and draw cases of it where that was asked for."""
        super().perform_actual_validation(save_probabilities)
        if self.validation_pictures > 0 and self.local_rank == 0:
            self._draw_validation()

    def _check_planned_options(self, plans: dict[str, Any], configuration: str) -> None:
        """Plans that hold options of SGDC win over the defaults, but must not silently win over chosen options."""
        planned, block = planned_options(plans, configuration), self.sgdc.block
        # The block is what controls differ in on the same plans.
        chosen = self.sgdc != SGDCConfig(block=block)
        if planned and chosen and self.sgdc != replace(planned, block=block):
            raise ValueError(
                f"{type(self).__name__}.sgdc must be what the plans {plans['plans_name']} hold, {planned}, got "
                f"{self.sgdc}: train with plans of stock nnU-Net, or plan with a planner that has the same options"
            )

    @property
    def plain_network(self) -> SGDCUNet:
        """The network without the wrappers of DDP and torch.compile."""
        network: Any = self.network.module if self.is_ddp else self.network
        plain: SGDCUNet = getattr(network, "_orig_mod", network)
        return plain

    def _draw_validation(self) -> None:
        try:
            draw_validation(self, self.validation_pictures, Path(self.output_folder) / "validation_pictures.png")
        except (UserError, OSError) as error:
            # The training has come to its end, and no picture is worth its exit code.
            self.print_to_log_file(f"Validation pictures were not drawn: {error}")

    def _build_loss(self) -> BoundarySupervisedLoss:
        boundary = self._build_boundary_loss() if self.sgdc.has_sge else None
        return BoundarySupervisedLoss(super()._build_loss(), boundary, self.boundary.weight)

    def _build_boundary_loss(self) -> BoundaryLoss:
        labels = self.label_manager
        return BoundaryLoss(
            self.boundary,
            foreground_labels=None if labels.has_regions else labels.foreground_labels,
            ignore_label=labels.ignore_label,
            batch_dice=self.configuration_manager.batch_dice,
            ddp=self.is_ddp,
        )

    def _loss_parts(self) -> dict[str, Any]:
        return {part: value.cpu().numpy() for part, value in self.loss.parts.items()}

    def _log_loss_parts(self, phase: str, outputs: list[dict[str, Any]]) -> None:
        for part in self.loss.part_names:
            # Without deep supervision, the evaluated network gives no boundary to compare.
            values = [output[part] for output in outputs if part in output]
            self._log_value(f"{phase}_{part}_losses", self._mean_over_processes(values))

    def _mean_over_processes(self, values: list[Any]) -> float:
        gathered = [values]
        if self.is_ddp:
            gathered = [[]] * distributed.get_world_size()
            distributed.all_gather_object(gathered, values)
        everything = np.concatenate(gathered)
        return float(everything.mean()) if everything.size else float("nan")

    def _log_value(self, key: str, value: Any) -> None:
        self.logger.local_logger.my_fantastic_logging.setdefault(key, [])
        self.logger.log(key, value, self.current_epoch)
