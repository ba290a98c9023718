"""Write docs/distances.md and its picture anew: `python -m benchmarks.distance_libraries`."""

import warnings
from pathlib import Path

from benchmarks.distance_libraries.document import document
from benchmarks.distance_libraries.picture import draw

DOCS = Path(__file__).parents[2] / "docs"

if __name__ == "__main__":
    # Of empty masks, which are in the tables, and of names that SciPy will drop.
    warnings.filterwarnings("ignore", module="monai|surface_distance")
    (DOCS / "distances.md").write_text(document(), encoding="utf-8")
    draw(DOCS / "distances.png")
