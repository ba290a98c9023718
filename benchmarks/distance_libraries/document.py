"""docs/distances.md: the tables of all libraries, and the proofs of what makes their values differ."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from benchmarks.distance_libraries import explanations
from benchmarks.distance_libraries.cases import CASES, LESIONS, TINY, Case
from benchmarks.distance_libraries.definitions import CHANGES, STEPS, check_changes
from benchmarks.distance_libraries.libraries import TABLES, Metric, monai_mean
from nnunet_sgdc.evaluation.surface import Mask

# How the line of the document begins that may differ between computers.
VERSIONS = "Computed with "
LIBRARIES = ("MONAI", "surface-distance", "MedPy", "NumPy", "SciPy", "torch")

# The cases of the two lesions of which MONAI can lose one: found badly, and not at all.
FOUND, FOUND_BADLY, NOT_FOUND, AT_BORDER = LESIONS[0], LESIONS[2], LESIONS[6], LESIONS[3]


def document() -> str:
    """The whole document.

    Raises:
        ValueError: If a change does not explain the values of its library.
    """
    check_changes(CASES)
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return "\n".join(
        [
            *(explanations.INTRODUCTION, f"{VERSIONS}{versions}.\n"),
            *(_libraries_table(metric) for metric in TABLES),
            *(explanations.CHANGES, _changes_table(), explanations.AGREEMENT),
            *(_medpy_explanation(), explanations.SURFACE_DISTANCE),
            *(_steps_table(metric) for metric in STEPS),
            *(explanations.EMPTY, _missed_table(), explanations.MISSED),
            *(explanations.BY_HAND, _tiny_table(), explanations.ARITHMETIC),
        ]
    )


def _libraries_table(metric: str) -> str:
    columns = TABLES[metric]
    heading = "NSD at a tolerance of 2" if metric == "NSD" else metric
    rows = [[title, *_compared(columns, case)] for title, case in _numbered(CASES)]
    return f"## {heading}\n\n{_table(['case', *columns], rows)}"


def _compared(columns: Mapping[str, Metric], case: Case) -> list[str]:
    """The values in the order of the columns, of which the first is ours."""
    ours, *others = (_cell(metric, case) for metric in columns.values())
    return [ours, *(other if other == ours else f"**{other}**" for other in others)]


def _cell(metric: Metric, case: Case) -> str:
    try:
        return f"{metric(case):.3f}"
    except RuntimeError as error:
        return f"`{type(error).__name__}`"


def _changes_table() -> str:
    rows = [
        [metric, library, change.words, f"{change.tolerance:g}"]
        for metric, changes in CHANGES.items()
        for library, change in changes.items()
    ]
    return _table(["metric", "library", "change of ours", "tolerance"], rows)


def _medpy_explanation() -> str:
    flat, in_3d = TABLES["HD95"]["MedPy"], TABLES["HD95"]["MedPy on (1, H, W)"]
    return explanations.MEDPY.format(
        flat=f"{flat(FOUND):.1f}", in_3d=f"{in_3d(FOUND):.1f}", at_border=f"{in_3d(AT_BORDER):.1f}"
    )


def _steps_table(metric: str) -> str:
    steps = {**STEPS[metric], "surface-distance": TABLES[metric]["surface-distance"]}
    rows = [
        [title, *(_cell(step, case) for step in steps.values())]
        for title, case in _numbered(CASES)
        if case.has_two_objects
    ]
    return _table([f"case, {metric}", *steps], rows)


def _missed_table() -> str:
    rows = [_missed_row("a piece missing", FOUND_BADLY), _missed_row("not found", NOT_FOUND)]
    monai = ["MONAI's HD95 of both", "its mean", "cases in it", "MONAI's mean without percentile"]
    return _table(["second lesion", *monai, "our mean HD95"], rows)


def _missed_row(title: str, second: Case) -> list[str]:
    cases = [FOUND, second]
    (hd95, counted), (hd, _) = monai_mean(cases, 95), monai_mean(cases, None)
    both = " and ".join(_cell(TABLES["HD95"]["MONAI"], case) for case in cases)
    ours = np.mean([TABLES["HD95"]["ours"](case) for case in cases])
    return [title, both, f"{hd95:.3f}", f"{counted} of {len(cases)}", f"{hd:.3f}", f"{ours:.3f}"]


def _tiny_table() -> str:
    rows = [
        [title, *map(_drawn, (case.truth, case.prediction)), *map(_listed, directed)]
        for title, case in _numbered(TINY, first=len(LESIONS) + 1)
        for directed in [(case.distances.truth_to_prediction, case.distances.prediction_to_truth)]
    ]
    return _table(["case", "truth", "prediction", "from the truth", "from the prediction"], rows)


def _drawn(mask: Mask) -> str:
    rows = " ".join("".join("#" if pixel else "." for pixel in row) for row in mask)
    return f"`{rows}`"


def _listed(distances: NDArray[np.float64]) -> str:
    return " ".join(f"{distance:.3g}" for distance in distances)


def _numbered(cases: Sequence[Case], first: int = 1) -> Iterable[tuple[str, Case]]:
    return ((f"{number}: {case.title}", case) for number, case in enumerate(cases, start=first))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
