"""A whole evaluation of as many cases as ISIC 2018 has for training, files and all, against the plain formulation.

The plain formulation reads the same files and takes the distance transform of the whole image, one case at a time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.measure import print_header, print_row
from benchmarks.surface_distances import lesion_pair, plain_metrics
from nnunet_sgdc.evaluation.case_set import CaseFiles
from nnunet_sgdc.evaluation.label_files import read_prediction, read_truth

CASES = 2594
SIZE = 512
# The plain formulation is timed on some of them.
PLAIN_CASES = 100


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=CASES, metavar="N", help="(default: %(default)s)")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cases = _write_cases(Path(name), parsed.cases)
        plain = _seconds_per_case_of_plain(cases)
        print(f"Evaluation of {parsed.cases} lesions of {SIZE} x {SIZE}, PNG in, evaluation.json and cases.csv out\n")
        print_header("workers", "time", "per case", "plain, per case", "faster")
        for workers in (1, 2):
            seconds = _seconds(Path(name), workers)
            each = seconds / parsed.cases
            numbers = f"{seconds:.1f} s", f"{each * 1e3:.1f} ms", f"{plain * 1e3:.1f} ms", f"{plain / each:.1f} x"
            print_row(str(workers), *numbers)
    print()


def _write_cases(folder: Path, count: int) -> list[CaseFiles]:
    """Lesions that take a tenth to a third of the image, and their predictions."""
    rng = np.random.default_rng(0)
    files = []
    for number in tqdm(range(count), "Write"):
        paths = [folder / kind / f"case_{number:04d}.png" for kind in ("truth", "prediction")]
        for path, mask in zip(paths, lesion_pair(rng, SIZE, rng.uniform(0.1, 0.35)), strict=True):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(mask.astype(np.uint8)).save(path, compress_level=1)
        files.append(CaseFiles(paths[0].stem, *paths))
    labels = {"labels": {"background": 0, "lesion": 1}}
    (folder / "truth" / "dataset.json").write_text(json.dumps(labels))
    return files


def _seconds(folder: Path, workers: int) -> float:
    """Time of the command, its start included."""
    arguments = [folder / "truth", folder / "prediction", "-o", folder / f"out{workers}", "--workers", workers]
    program = "from nnunet_sgdc.evaluation.evaluate_command import main; main()"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _seconds_per_case_of_plain(cases: Sequence[CaseFiles]) -> float:
    chosen = cases[:PLAIN_CASES]
    start = time.perf_counter()
    for case in chosen:
        plain_metrics(read_truth(case.truth) == 1, read_prediction(case.prediction) == 1)
    return (time.perf_counter() - start) / len(chosen)


if __name__ == "__main__":
    main()
