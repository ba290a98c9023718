"""What a training is told of the processors and GPUs that it is given; nnU-Net and torch would take all there are."""

import os
from dataclasses import dataclass

from nnunet_sgdc.study.folders import study_folder
from nnunet_sgdc.study.study_file import StudyFile
from nnunet_sgdc.study.training import Training

STOP = "stop"
# How many processes nnU-Net takes at most to augment, and to export predictions.
PROCESSES = {"nnUNet_n_proc_DA": 12, "nnUNet_def_n_proc": 8}
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Allotment:
    """What one training is given.

    Attributes:
        device: Where it trains.
        cpus: Number of processors.
        gpus: Number of GPUs.
        visible: Names of the GPUs for CUDA_VISIBLE_DEVICES; None leaves this to the cluster.
    """

    device: str
    cpus: int
    gpus: int = 1
    visible: str | None = None

    def training(self, study: StudyFile) -> Training:
        """What does the trainings of a study with this; what the user has set stays as it is.

        Args:
            study: The study.
        """
        usual = {name: str(min(most, self.cpus)) for name, most in PROCESSES.items()}
        if self.device == "cpu":
            # nnU-Net takes a thread for every processor of the machine; those that wait must not keep it busy.
            usual["OMP_WAIT_POLICY"] = "PASSIVE"
        unset = {name: value for name, value in usual.items() if name not in os.environ}
        shown = {} if self.visible is None else {VISIBLE: self.visible}
        asked = {name: str(value) for name, value in study.environment.items()}
        return Training(self.device, self.gpus, study.retries, {**unset, **shown, **asked}, study_folder(study) / STOP)
