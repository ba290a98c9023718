"""nnU-Net's fingerprint of a data set, extracted where there is none of the data as it is now."""

from pathlib import Path

from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset

from nnunet_sgdc.errors import listed
from nnunet_sgdc.planners import PlanningError
from nnunet_sgdc.planners.plans_files import read_json
from nnunet_sgdc.planning.options import PlanOptions
from nnunet_sgdc.planning.raw_data import RawData

FINGERPRINT = "dataset_fingerprint.json"
INTENSITIES = "foreground_intensity_properties_per_channel"
REQUIRED = ("spacings", "shapes_after_crop", INTENSITIES, "median_relative_size_after_cropping")


def provide_fingerprint(raw: RawData, options: PlanOptions) -> None:
    """Extract the fingerprint, unless there is one that belongs to the data.

    Raises:
        PlanningError: The one that is there is damaged, or the raw data cannot be read.
    """
    path = raw.preprocessed / FINGERPRINT
    outdated = path.exists() and not options.clean and not _belongs(path, raw)
    if outdated:
        print(f"{path} is older than the raw data or of other cases: it is extracted again")
    try:
        extract_fingerprint_dataset(
            raw.dataset_id,
            num_processes=options.fingerprint_processes,
            check_dataset_integrity=options.verify_dataset_integrity,
            clean=options.clean or outdated,
            verbose=options.verbose,
        )
    # Whatever nnU-Net raises for data that it cannot read.
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise PlanningError(
            f"nnU-Net must be able to read the raw data set {raw.name}, but cannot ({reason}): put right what it says, "
            "above, too"
        ) from error


def _belongs(path: Path, raw: RawData) -> bool:
    fingerprint = read_json(path)
    missing = [key for key in REQUIRED if key not in fingerprint]
    if missing:
        raise PlanningError(f"{path} must be nnU-Net's fingerprint, but lacks {listed(missing)}: give --clean")
    counts = len(fingerprint["spacings"]), len(fingerprint["shapes_after_crop"]), len(fingerprint[INTENSITIES])
    same_cases = counts == (len(raw.cases), len(raw.cases), raw.channels)
    return same_cases and path.stat().st_mtime_ns >= raw.changed
