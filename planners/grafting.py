"""What our planners do otherwise than nnU-Net's: 2D only, with SGDC in the network and its estimated memory."""

import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.utilities.json_export import recursive_fix_for_json_export

from nnunet_sgdc.networks import SGDCConfig, graft_architecture
from nnunet_sgdc.planners.data_identifier import CONFIGURATION, choose_data_identifier
from nnunet_sgdc.planners.errors import PlanningError
from nnunet_sgdc.planners.plans_files import check_plans_name, written_beside


class GraftingPlanner(ExperimentPlanner):
    """A planner of nnU-Net, with its arguments; it stands before another one among the bases of a class.

    A data set of volumes gets the 2D configuration only, which trains on slices.

    Attributes:
        sgdc: Options of SGDC.
        default_plans_name: Name of the plans where none is given.
        smallest_planned_batch: Images for which nnU-Net makes a patch fit; None if its reference batch.

    Raises:
        PlanningError: The memory target is no positive number.
    """

    sgdc: ClassVar[SGDCConfig] = SGDCConfig()
    default_plans_name: ClassVar[str]
    smallest_planned_batch: ClassVar[int | None] = None
    plans_identifier: str

    def __init__(self, *args: Any, plans_name: str | None = None, **options: Any) -> None:
        super().__init__(*args, plans_name=plans_name or self.default_plans_name, **options)
        check_memory_target(self.UNet_vram_target_GB)

    @property
    def folder(self) -> Path:
        """The data set in nnUNet_preprocessed."""
        return Path(nnUNet_preprocessed, self.dataset_name)

    @classmethod
    def static_estimate_VRAM_usage(  # noqa: N802  nnU-Net's own name
        cls,
        patch_size: Sequence[int],
        input_channels: int,
        output_channels: int,
        arch_class_name: str,
        arch_kwargs: dict[str, Any],
        arch_kwargs_req_import: Sequence[str],
    ) -> int:
        """Estimate with SGDC what nnU-Net estimates without: the feature maps of one image, in elements."""
        stock = _architecture(arch_class_name, arch_kwargs, arch_kwargs_req_import)
        grafted = graft_architecture(stock, cls.sgdc)
        # Only shapes matter here, so the weights need no memory.
        with torch.device("meta"):
            estimate: int = super().static_estimate_VRAM_usage(
                patch_size,
                input_channels,
                output_channels,
                grafted["network_class_name"],
                grafted["arch_kwargs"],
                grafted["_kw_requires_import"],
            )
        return estimate

    def get_plans_for_configuration(
        self,
        spacing: Sequence[float],
        median_shape: Sequence[float],
        data_identifier: str,
        approximate_n_voxels_dataset: float,
        _cache: dict[str, int],
    ) -> dict[str, Any]:
        """Plan a configuration and graft SGDC onto its architecture.

        Raises:
            PlanningError: The images or the memory target are too small for a network with SGDC.
        """
        if len(spacing) == 3:
            return _placeholder(spacing, median_shape)
        try:
            plan = super().get_plans_for_configuration(
                spacing, median_shape, data_identifier, approximate_n_voxels_dataset, _cache
            )
        # nnU-Net shrinks the patch until there is no stage left for SGDC, or an edge is nothing.
        except (ValueError, ArithmeticError) as error:
            possible = [estimate for estimate in _cache.values() if estimate > 0]
            raise self._too_small(median_shape, possible, error) from error
        return {**plan, "architecture": graft_architecture(plan["architecture"], self.sgdc)}

    def plan_experiment(self) -> dict[str, Any]:
        """Plan as nnU-Net does and save the plans.

        Raises:
            PlanningError: The plans would replace those of another planner, or SGDC does not fit the data set.
        """
        check_plans_name(self.folder, self.plans_identifier, self.__class__.__name__, self.default_plans_name)
        plans: dict[str, Any] = super().plan_experiment()
        return plans

    def save_plans(self, plans: dict[str, Any]) -> None:
        """Save the 2D configuration; it reads data that is preprocessed as it needs, where there is such data."""
        plans["configurations"] = {CONFIGURATION: plans["configurations"][CONFIGURATION]}
        recursive_fix_for_json_export(plans)
        identifier = choose_data_identifier(plans, self.folder, self.dataset)
        plans["configurations"][CONFIGURATION]["data_identifier"] = identifier
        name = self.plans_identifier
        with written_beside(self.folder, name) as partial:
            self.plans_identifier = partial
            try:
                # nnU-Net would print the name of the copy.
                with redirect_stdout(StringIO()):
                    super().save_plans(plans)
            finally:
                self.plans_identifier = name
        print(f"Plans were saved to {self.folder / name}.json")

    def _too_small(self, shape: Sequence[float], estimates: Sequence[int], error: Exception) -> PlanningError:
        if not estimates:
            size = " x ".join(str(round(edge)) for edge in shape)
            return PlanningError(
                f"SGDC must fit the network for images of {size} pixels, which is the median of {self.dataset_name}, "
                f"but does not ({error}): make the images larger, or plan with a subclass of the planner that has "
                "other options of SGDC"
            )
        return PlanningError(
            f"-gpu_memory_target must be at least {self._smallest_target(min(estimates))} GB for {self.dataset_name}, "
            f"got {self.UNet_vram_target_GB}, which leaves patches too small for SGDC: give more"
        )

    def _smallest_target(self, estimate: int) -> str:
        """Memory in GB at which nnU-Net takes a patch of this estimate, rounded up."""
        batch = self.smallest_planned_batch or self.UNet_reference_val_corresp_bs_2d
        share = batch / self.UNet_reference_val_corresp_bs_2d
        target = share * estimate / self.UNet_reference_val_2d * self.UNet_reference_val_corresp_GB
        digit = 10 ** (math.floor(math.log10(target)) - 1)
        return f"{math.ceil(target / digit) * digit:.2g}"


def check_memory_target(target: float) -> None:
    """Check a memory target in GB; nnU-Net does not end with one below zero.

    Raises:
        PlanningError: It is no positive number.
    """
    if not 0 < target < math.inf:
        raise PlanningError(
            f"-gpu_memory_target must be a positive number of GB, got {target}: give what your GPU has, or leave it out"
        )


def _architecture(
    network_class_name: str, arch_kwargs: dict[str, Any], requires_import: Sequence[str]
) -> dict[str, Any]:
    return {
        "network_class_name": network_class_name,
        "arch_kwargs": arch_kwargs,
        "_kw_requires_import": requires_import,
    }


def _placeholder(spacing: Sequence[float], median_shape: Sequence[float]) -> dict[str, Any]:
    """What nnU-Net reads of a 3D configuration before it goes on to the 2D one.

    A patch of the whole volume keeps it from looking for a configuration of low resolution.
    """
    return {"patch_size": median_shape, "spacing": spacing}
