"""Run all benchmarks: `python -m benchmarks`, on a machine that does nothing else."""

import platform

import torch

from benchmarks import (
    conversion,
    dynamic_conv,
    evaluation,
    memory_estimate,
    prediction,
    sge,
    study_scale,
    surface_distances,
    training_step,
)
from benchmarks.measure import device

if __name__ == "__main__":
    where = torch.cuda.get_device_name() if device().type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"torch {torch.__version__}, {platform.machine()}, {where}\n")
    dynamic_conv.main()
    sge.main()
    training_step.main()
    memory_estimate.main()
    prediction.main()
    surface_distances.main()
    evaluation.main()
    conversion.main([])
    study_scale.main()
