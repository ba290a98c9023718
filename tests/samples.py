"""The sample releases: where they lie, and the mark of the tests that are skipped without them."""

import os
from pathlib import Path

import pytest

SAMPLES = Path(os.environ.get("NNUNET_SGDC_SAMPLES", Path(__file__).parents[2] / "shared" / "samples"))
PH2_SAMPLES = SAMPLES / "ph2"

needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"no sample releases at {SAMPLES}: set NNUNET_SGDC_SAMPLES"
)
