"""Whether the trainers resolve, and what they would run on."""

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from nnunet_sgdc.doctor.check import Check, failed, passed, warning
from nnunet_sgdc.doctor.probe import Probe
from nnunet_sgdc.doctor.registration import export_line

COMPILE_SWITCH = "nnUNet_compile"
SHOW_TRACEBACK = 'read the messages above; for the traceback: python -c "import nnunet_sgdc.trainers"'


def check_trainers(probe: Probe) -> Check:
    """Tell whether nnU-Net finds our trainers, and ours rather than others of the same name."""
    if probe.trainer_error:
        not_found = "Could not find requested nnunet trainer" in probe.trainer_error
        return failed("trainers", probe.trainer_error, export_line() if not_found else SHOW_TRACEBACK)
    strangers = [f"{name} from {module}" for name, module in probe.trainers.items() if not _is_ours(module)]
    if strangers:
        remedy = "rename them, or take their folder out of nnUNet_extTrainer"
        return warning("trainers", f"hidden by others of the same name: {', '.join(strangers)}", remedy)
    return passed("trainers", ", ".join(probe.trainers))


def check_devices(probe: Probe) -> Check:
    """Name the devices; without a CUDA device nnU-Net has to be told."""
    if probe.device_error:
        return failed("devices", probe.device_error, 'python -c "import torch" must work; reinstall torch')
    cores = f"{os.cpu_count()} CPU cores"
    if probe.gpus:
        return passed("devices", ", ".join([cores, *probe.gpus]))
    if probe.has_mps:
        return warning("devices", f"{cores}, MPS", "train with: nnUNetv2_train ... -device mps")
    return warning("devices", f"{cores}, no GPU", "train with: nnUNetv2_train ... -device cpu")


def check_compiler(probe: Probe) -> Check:
    """Tell whether torch.compile, which nnU-Net uses by default on CUDA, has what it needs."""
    if not probe.gpus or os.name == "nt":
        return passed("torch.compile", "not used by nnU-Net here")
    setting = os.environ.get(COMPILE_SWITCH, "true")
    if setting.lower() not in ("true", "1", "t"):
        return passed("torch.compile", f"off ({COMPILE_SWITCH}={setting})")
    missing = missing_for_compilation()
    if missing:
        remedy = f"export {COMPILE_SWITCH}=f (trains without torch.compile), or install what is missing"
        return failed("torch.compile", f"needs {', '.join(missing)}", remedy)
    return passed("torch.compile", "C compiler, Python headers and triton found")


def missing_for_compilation() -> list[str]:
    """List what triton misses to build its kernels."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    # Triton takes $CC as it is, then gcc, then clang.
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    found = {
        "a C compiler (gcc, clang or $CC)": compiler is not None,
        f"the Python headers ({headers})": headers.is_file(),
        "the package triton": find_spec("triton") is not None,
    }
    return [name for name, is_there in found.items() if not is_there]


def _is_ours(module: str) -> bool:
    return f"{module}.".startswith("nnunet_sgdc.trainers.")
