"""Whether the training cases of a data set are preprocessed: all of them, completely, and as they are now."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# In the order in which nnU-Net writes them for each case.
ENDINGS = (".b2nd", "_seg.b2nd", ".pkl")
TRUTHS = "gt_segmentations"
# The last byte of every pickle; one whose writing was interrupted lacks it.
PICKLE_END = b"."


def is_preprocessed(folder: Path, data_identifier: str, cases: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether preprocessed data can be trained on.

    Args:
        folder: The data set in nnUNet_preprocessed.
        data_identifier: Name of the folder of the data in it.
        cases: For each training case the files of its `images` and its `label` in the raw data set.
    """
    data, truths = folder / data_identifier, {path.name.partition(".")[0] for path in (folder / TRUTHS).glob("*")}
    if {path.stem for path in data.glob("*.pkl")} != cases.keys() or not cases.keys() <= truths:
        return False
    return all(_is_complete(data, case, [*files["images"], files["label"]]) for case, files in cases.items())


def _is_complete(data: Path, case: str, sources: list[str]) -> bool:
    products = [data / f"{case}{ending}" for ending in ENDINGS]
    if not all(product.is_file() for product in products):
        return False
    changed = max(os.stat(source).st_mtime_ns for source in sources)
    return all(product.stat().st_mtime_ns >= changed for product in products) and _is_pickle(products[-1])


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 1))
        return stream.read() == PICKLE_END
