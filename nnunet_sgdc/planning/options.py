"""What a data set can be planned with; the names of nnU-Net's options stand in the messages."""

from dataclasses import dataclass
from pathlib import Path

import nnunetv2
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from nnunet_sgdc.errors import listed
from nnunet_sgdc.planners import (
    PlanningError,
    nnUNetPlannerSGDC,
    nnUNetPlannerSGDCResEncL,
    nnUNetPlannerSGDCResEncM,
    nnUNetPlannerSGDCResEncXL,
)
from nnunet_sgdc.planners.grafting import GraftingPlanner, check_memory_target

PLANNERS: dict[str | None, type[GraftingPlanner]] = {
    None: nnUNetPlannerSGDC,
    "M": nnUNetPlannerSGDCResEncM,
    "L": nnUNetPlannerSGDCResEncL,
    "XL": nnUNetPlannerSGDCResEncXL,
}
CONFIGURATION = "2d"


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Options of planning and preprocessing.

    Attributes:
        configurations: Names of nnU-Net's configurations, of which SGDC has the 2D one.
        preset: Residual-encoder preset, `M`, `L` or `XL`; None plans the plain U-Net.
        gpu_memory_target: In GB; None takes that of the planner.
        preprocessor_name: One of nnU-Net's preprocessors.
        plans_name: Name of the plans; None takes that of the planner.
        preprocess: Whether data is preprocessed where it is not yet.
        processes: Number of processes that preprocess.
        fingerprint_processes: Number of processes that extract the fingerprint.
        verify_dataset_integrity: Whether nnU-Net checks all raw files first.
        clean: Whether an existing fingerprint is replaced.
        verbose: Whether everything that nnU-Net says is printed.

    Raises:
        PlanningError: A value makes no sense.
    """

    configurations: tuple[str, ...] = (CONFIGURATION,)
    preset: str | None = None
    gpu_memory_target: float | None = None
    preprocessor_name: str = "DefaultPreprocessor"
    plans_name: str | None = None
    preprocess: bool = False
    processes: int = 8
    fingerprint_processes: int = 8
    verify_dataset_integrity: bool = False
    clean: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        others = [name for name in self.configurations if name != CONFIGURATION]
        if others:
            raise PlanningError(
                f"-c must be {CONFIGURATION}, since SGDC is for 2D networks, which train on slices of volumes, got "
                f"{listed(others)}: leave -c out"
            )
        if self.gpu_memory_target is not None:
            check_memory_target(self.gpu_memory_target)
        _check_preprocessor(self.preprocessor_name)

    @property
    def planner(self) -> type[GraftingPlanner]:
        """The planner of the preset."""
        return PLANNERS[self.preset]

    @property
    def name(self) -> str:
        """Name of the plans."""
        return self.plans_name or self.planner.default_plans_name


def _check_preprocessor(name: str) -> None:
    folder = Path(nnunetv2.__path__[0], "preprocessing")
    if recursive_find_python_class(str(folder), name, "nnunetv2.preprocessing") is None:
        raise PlanningError(f"-preprocessor_name must be a class below {folder}, got {name}: check it, or leave it out")
