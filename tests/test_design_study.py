"""The tables of the design study, from results that were not trained for."""

from pathlib import Path

from benchmarks.design_study import results, tables
from benchmarks.design_study.data import TEST_SETS
from benchmarks.design_study.results import Result
from benchmarks.design_study.variants import BASE, STOCK, Run, Settings

SETTINGS = Settings(epochs=1)


def _result(variant: str, seed: int, dice: float, scales: dict[str, list[float]] | None = None) -> Result:
    """A result whose second case has a Dice of 0.1 more than the first."""
    scores = {"a": {"dice": dice, "hd95": 10.0}, "b": {"dice": dice + 0.1, "hd95": 12.0}}
    return Result(Run(variant, seed), dict.fromkeys(TEST_SETS, scores), scales or {}, 10**6, {"training": 60.0}, [0.0])


def _row(document: str, variant: str, table: int) -> list[str]:
    rows = [line for line in document.splitlines() if line.startswith(f"| {variant} |")]
    return rows[table].strip("| ").split(" | ")


def test_scores_are_means_with_their_deviation_over_seeds() -> None:
    document = tables.document([_result(STOCK, 0, 0.7), _result(STOCK, 1, 0.8)], SETTINGS)
    # The means over cases are 0.75 and 0.85.
    assert _row(document, STOCK, 0)[1:4] == ["2", "0.8000 ± 0.0707", "11.00 ± 0.00"]


def test_differences_are_paired_on_the_seeds_that_both_have() -> None:
    base = [_result(BASE, 0, 0.7), _result(BASE, 1, 0.8)]
    document = tables.document([*base, _result(STOCK, 1, 0.83)], SETTINGS)
    assert _row(document, STOCK, 1)[1:3] == ["+0.0300 (+0.0300 to +0.0300), 1 of 1", "+0.00 (+0.00 to +0.00), 0 of 1"]


def test_layer_scales_are_those_after_training() -> None:
    results_of_base = [_result(BASE, seed, 0.7, {"8": [0.1, final]}) for seed, final in ((0, 0.2), (1, 0.4))]
    document = tables.document(results_of_base, SETTINGS)
    assert _row(document, BASE, 1) == [BASE, "0.1", "-", "0.3", "-"]


def test_results_of_other_settings_are_no_part_of_the_study(tmp_path: Path) -> None:
    results.make_folders(tmp_path)
    results.write(tmp_path, SETTINGS, _result(BASE, 0, 0.7))
    results.write(tmp_path, Settings(epochs=2), _result(BASE, 1, 0.7))
    assert results.read(tmp_path, SETTINGS) == [_result(BASE, 0, 0.7)]
