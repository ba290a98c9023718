"""Make the design study: `python -m benchmarks.design_study --samples FOLDER --work FOLDER`.

Started again, it does only the runs that are missing. At the end, or without samples, it prints the tables of what is
there, in Markdown.
"""

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from benchmarks.design_study import data, results, tables
from benchmarks.design_study.training import do_run
from benchmarks.design_study.variants import VARIANTS, Run, Settings


def main() -> None:
    """Do the missing runs and print the tables."""
    parsed = _parser().parse_args()
    work, settings = parsed.work.resolve(), Settings(parsed.epochs)
    if parsed.samples:
        _prepare(parsed.samples, work)
        # Seed by seed, so that an unfinished study has all variants equally often.
        _do_missing(
            [Run(variant, seed) for seed in parsed.seeds for variant in VARIANTS], settings, work, parsed.workers
        )
    print(tables.document(results.read(work, settings), settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.design_study", description=__doc__.splitlines()[0])
    add = parser.add_argument
    releases = "holds isic2016, isic2017, isic2018 and ph2; without it nothing is trained"
    add("--samples", type=Path, metavar="FOLDER", help=releases)
    add("--work", type=Path, required=True, metavar="FOLDER", help="where everything goes")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="(default: %(default)s)")
    steps = f"of {Settings.iterations} steps each (default: %(default)s)"
    add("--epochs", type=int, default=Settings.epochs, metavar="N", help=steps)
    add("--workers", type=int, default=2, metavar="N", help="runs at a time, a thread each (default: %(default)s)")
    return parser


def _prepare(samples: Path, work: Path) -> None:
    """Convert, plan and preprocess unless that was done; the workers inherit the environment."""
    raw, preprocessed = work / "nnUNet_raw", work / "nnUNet_preprocessed"
    results.make_folders(work)
    if not raw.exists():
        data.convert(samples, raw)
    if not preprocessed.exists():
        data.plan(raw, preprocessed)
    os.environ.update(nnUNet_raw=str(raw), nnUNet_preprocessed=str(preprocessed), OMP_NUM_THREADS="1")


def _do_missing(runs: Sequence[Run], settings: Settings, work: Path, workers: int) -> None:
    done = [result.run for result in results.read(work, settings)]
    missing = [run for run in runs if run not in done]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(do_run, run, settings, work) for run in missing]
        for future in tqdm(as_completed(futures), "Train", total=len(runs), initial=len(runs) - len(missing)):
            # Where one fails, the others are done before its error is shown.
            future.result()


if __name__ == "__main__":
    main()
