"""The statistics of whole studies against SciPy, Python's own statistics, values by hand, and simulated studies."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from evaluations import DATASET, Values, scores, write_evaluation
from scipy import stats

from nnunet_sgdc.comparison import ComparisonError
from nnunet_sgdc.comparison.analysis import compare_study, higher_is_better
from nnunet_sgdc.comparison.results import MEAN_OF_CLASSES, MetricComparison
from nnunet_sgdc.comparison.study import Study, read_study
from nnunet_sgdc.evaluation.metrics import Settings, score_class
from nnunet_sgdc.evaluation.record import CASES_COLUMNS

BASE = [0.80, 0.70, 0.90, 0.60, 0.75, 0.85]
BETTER = [0.85, 0.72, 0.90, 0.66, 0.74, 0.88]
WORSE = [0.70, 0.60, 0.80, 0.50, 0.65, 0.75]


def study(folder: Path, trainers: Mapping[str, Sequence[Values]], **changes: Any) -> Study:
    """A study of trainers with the scores of each of their seeds."""
    return read_study(
        [
            write_evaluation(folder / f"{trainer}_{seed}", trainer=trainer, seed=seed, values=values, **changes)
            for trainer, seeds in trainers.items()
            for seed, values in enumerate(seeds)
        ]
    )


def of_dice(trainers: Mapping[str, Iterable[float]]) -> Study:
    """A study without records, for simulations."""
    rows = [
        (DATASET, "", 0, trainer, f"case_{position:04d}", "lesion", "dice", value)
        for trainer, dice in trainers.items()
        for position, value in enumerate(dice)
    ]
    return Study((), pd.DataFrame(rows, columns=[*CASES_COLUMNS]), tuple(trainers))


def compare_dice(found: Study, **options: Any) -> MetricComparison:
    (comparison,) = compare_study(found, ["dice"], ["lesion"], **({"resamples": 200} | options))
    return comparison


@pytest.fixture
def two(tmp_path: Path) -> Study:
    return study(tmp_path, {"base": [scores(BASE)], "SGDC": [scores(BETTER)]})


# Summaries


def test_mean_and_deviation_are_those_of_the_standard_library(two: Study) -> None:
    summary = compare_dice(two).summaries["SGDC"]
    assert (summary.cases, summary.seeds, summary.seed_deviation) == (6, 1, None)
    assert (summary.mean, summary.deviation) == pytest.approx((statistics.mean(BETTER), statistics.stdev(BETTER)))


def test_seeds_are_averaged_case_by_case_before_anything_else(tmp_path: Path) -> None:
    found = study(tmp_path, {"base": [scores(BASE)], "SGDC": [scores(BETTER), scores(WORSE)]})
    summary = compare_dice(found).summaries["SGDC"]
    means = [(first + second) / 2 for first, second in zip(BETTER, WORSE, strict=True)]
    assert (summary.mean, summary.deviation) == pytest.approx((statistics.mean(means), statistics.stdev(means)))
    assert summary.seeds == 2
    assert summary.seed_deviation == pytest.approx(statistics.stdev(map(statistics.mean, (BETTER, WORSE))))


def test_the_deviation_over_folds_is_that_of_their_means(tmp_path: Path) -> None:
    folds = {case: str(position // 2) for position, case in enumerate(scores(BASE))}
    found = study(tmp_path, {"base": [scores(BASE)], "SGDC": [scores(BETTER), scores(WORSE)]}, folds=folds)
    summaries = compare_dice(found).summaries
    assert summaries["base"].fold_deviation == pytest.approx(statistics.stdev([0.75, 0.75, 0.8]))
    means = [statistics.mean(BETTER[at : at + 2] + WORSE[at : at + 2]) for at in (0, 2, 4)]
    assert summaries["SGDC"].fold_deviation == pytest.approx(statistics.stdev(means))


@pytest.mark.parametrize("fold", ["0+1+2+3+4", "0", ""])
def test_one_model_for_all_cases_has_no_deviation_over_folds(tmp_path: Path, fold: str) -> None:
    found = study(tmp_path, {name: [scores(BASE)] for name in "ab"}, folds=dict.fromkeys(scores(BASE), fold))
    assert compare_dice(found).summaries["a"].fold_deviation is None


def test_failures_of_all_seeds_are_counted(tmp_path: Path) -> None:
    missed, alarmed, absent, found = ({"n_ref": ref, "n_pred": pred} for ref, pred in ((9, 0), (0, 9), (0, 0), (9, 1)))
    seeds = [{"a": missed, "b": alarmed, "c": absent}, {"a": found, "b": alarmed, "c": absent}]
    values = [{case: {"dice": 0.5, **row} for case, row in seed.items()} for seed in seeds]
    summary = compare_dice(study(tmp_path, {"base": values[:1], "SGDC": values})).summaries["SGDC"]
    assert summary.failures == 3


def test_failures_are_unknown_without_sizes() -> None:
    assert compare_dice(of_dice({"a": BASE, "b": BETTER})).summaries["a"].failures is None


def test_values_are_kept_for_the_plots(two: Study) -> None:
    values = compare_dice(two).values
    assert list(values) == ["base", "SGDC"]
    assert values["SGDC"] == {case: row["dice"] for case, row in scores(BETTER).items()}


# Differences


def test_the_difference_is_other_minus_baseline(two: Study) -> None:
    difference = compare_dice(two).differences["SGDC"]
    assert difference.mean == pytest.approx(statistics.mean(BETTER) - statistics.mean(BASE))
    assert (difference.wins, difference.ties, difference.losses, difference.clusters) == (4, 1, 1, 6)


def test_the_p_value_is_that_of_scipy(two: Study) -> None:
    differences = np.round(np.subtract(BETTER, BASE), 9)
    expected = stats.wilcoxon(differences, zero_method="pratt").pvalue
    assert compare_dice(two).differences["SGDC"].p_value == pytest.approx(expected)


def test_the_baseline_has_no_difference(tmp_path: Path) -> None:
    found = study(tmp_path, {name: [scores(BASE)] for name in ("a", "b", "c")})
    comparison = compare_dice(Study(found.evaluations, found.values, ("b", "a", "c")))
    assert (comparison.baseline, list(comparison.differences)) == ("b", ["a", "c"])


def test_a_smaller_distance_wins(two: Study) -> None:
    (comparison,) = compare_study(two, ["hd95"], resamples=200)
    difference = comparison.differences["SGDC"]
    assert not comparison.higher_is_better
    assert (difference.wins, difference.losses) == (4, 1)
    assert difference.mean == pytest.approx(100 * (statistics.mean(BASE) - statistics.mean(BETTER)))


def test_ranks_are_those_of_the_resamples(tmp_path: Path) -> None:
    found = study(tmp_path, {"base": [scores(BASE)], "low": [scores(WORSE)], "high": [scores(np.add(BASE, 0.1))]})
    assert compare_dice(found).ranks == {"base": (0, 1, 0), "low": (0, 0, 1), "high": (1, 0, 0)}


def test_the_smallest_distance_ranks_first(tmp_path: Path) -> None:
    found = study(tmp_path, {"base": [scores(BASE)], "low": [scores(WORSE)]})
    (comparison,) = compare_study(found, ["hd95"], resamples=100)
    assert comparison.ranks == {"base": (1, 0), "low": (0, 1)}


def test_the_seed_decides_on_the_resamples(two: Study) -> None:
    assert compare_dice(two, seed=1) == compare_dice(two, seed=1)
    assert compare_dice(two, seed=1).differences != compare_dice(two, seed=2).differences


def test_confidence_and_resamples_are_passed_on(two: Study) -> None:
    narrow, wide = (compare_dice(two, confidence=level).differences["SGDC"] for level in (0.5, 0.9))
    assert (narrow.confidence, wide.confidence) == (0.5, 0.9)
    assert wide.interval[0] < narrow.interval[0] < narrow.interval[1] < wide.interval[1]


def test_sources_are_resampled_as_a_whole(tmp_path: Path) -> None:
    clusters = {case: str(position // 2) for position, case in enumerate(scores(BASE))}
    trainers = {"base": [scores(BASE)], "SGDC": [scores(BETTER)]}
    difference = compare_dice(study(tmp_path, trainers, clusters=clusters)).differences["SGDC"]
    means = np.subtract(BETTER, BASE).reshape(3, 2).mean(1)
    assert (difference.cases, difference.clusters) == (6, 3)
    assert difference.p_value == stats.wilcoxon(means).pvalue


def test_two_cases_are_enough(tmp_path: Path) -> None:
    found = study(tmp_path, {"base": [scores([0.1, 0.2])], "SGDC": [scores([0.3, 0.3])]})
    assert compare_dice(found).verdict("SGDC").startswith("cannot be told from noise")


def test_equal_trainers_are_called_so(tmp_path: Path) -> None:
    found = study(tmp_path, {"base": [scores(BASE)], "SGDC": [scores(BASE)]})
    comparison = compare_dice(found)
    assert comparison.verdict("SGDC") == "no difference: all 6 cases are tied"
    assert comparison.ranks == {"base": (1, 0), "SGDC": (1, 0)}


# The family of tests


def test_all_tests_of_a_call_are_one_family(tmp_path: Path) -> None:
    """Three trainers, two data sets, two metrics: eight tests, in Holm's order by hand."""
    generator = np.random.default_rng(0)
    paths = [
        write_evaluation(
            tmp_path / f"{trainer}{dataset}", trainer=trainer, dataset=dataset, values=scores(generator.random(12))
        )
        for trainer in "abc"
        for dataset in ("One", "Two")
    ]
    comparisons = compare_study(read_study(paths), ["dice", "hd95"], resamples=1)
    tested = [comparison.differences[trainer].p_value for comparison in comparisons for trainer in "bc"]
    adjusted = [comparison.adjusted[trainer] for comparison in comparisons for trainer in "bc"]
    assert len(tested) == 8
    order = sorted(range(8), key=tested.__getitem__)
    steps = [min(1.0, (8 - rank) * tested[position]) for rank, position in enumerate(order)]
    assert [adjusted[position] for position in order] == [max(steps[: rank + 1]) for rank in range(8)]


def test_a_verdict_is_that_of_the_adjusted_p_value(tmp_path: Path) -> None:
    found = study(
        tmp_path, {"base": [scores(BASE)], "SGDC": [scores(np.add(BASE, [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]))]}
    )
    alone, *family = compare_dice(found), *compare_study(found, resamples=200)
    assert alone.adjusted == {"SGDC": pytest.approx(2 / 2**6)}
    assert alone.verdict("SGDC").startswith("better by 0.035 on average")
    assert family[0].adjusted == {"SGDC": pytest.approx(3 * 2 / 2**6)}
    assert family[0].verdict("SGDC").endswith("but the Wilcoxon test finds no difference (p = 0.094)")


def test_a_metric_named_twice_is_tested_once(two: Study) -> None:
    assert len(compare_study(two, ["dice", "dice"], resamples=1)) == 1


# Metrics


def test_the_metrics_of_the_plan_are_compared_by_default(two: Study) -> None:
    assert [comparison.metric for comparison in compare_study(two, resamples=1)] == ["dice", "hd95", "nsd@2"]


def test_every_metric_but_counts_and_area_difference_can_be_compared() -> None:
    mask = np.ones((2, 2), bool)
    without = {"area_difference", "tp", "fp", "fn", "tn", "n_ref", "n_pred"}
    perfect, missed = score_class(mask, mask).values(), score_class(mask, ~mask).values()
    for metric in perfect.keys() - without - {"specificity"}:
        assert higher_is_better(metric) == (perfect[metric] > missed[metric])
    assert higher_is_better("specificity")


@pytest.mark.parametrize("metric", ["area_difference", "n_ref", "tp", "beauty"])
def test_a_metric_without_better_and_worse_is_refused(two: Study, metric: str) -> None:
    with pytest.raises(
        ComparisonError, match=rf"better and worse \(dice, iou, .*, assd_percent\), got {metric}: choose"
    ):
        compare_study(two, ["dice", metric])


def test_a_metric_that_a_trainer_lacks_is_told(tmp_path: Path) -> None:
    base = write_evaluation(tmp_path / "a", trainer="a", values=scores(BASE))
    other = write_evaluation(tmp_path / "b", trainer="b", values={case: {"dice": 0.5} for case in scores(BASE)})
    with pytest.raises(
        ComparisonError, match=r"must have hd95 of all trainers, but lacks it for b, .* dice, n_ref, n_pred"
    ):
        compare_study(read_study([base, other]))


def test_undefined_values_are_listed(tmp_path: Path) -> None:
    values = {**scores(BASE), "case_0003": {"dice": float("nan")}}
    with pytest.raises(
        ComparisonError, match=rf"{DATASET}, lesion, dice: SGDC \(seed 0\) must have finite values.*\(1: case_0003\)"
    ):
        compare_dice(study(tmp_path, {"base": [scores(BASE)], "SGDC": [values]}))


def test_a_score_that_is_missing_is_no_finite_one(tmp_path: Path) -> None:
    values = {**scores(BASE), "case_0003": {"dice": 0.5}}
    found = study(tmp_path, {"base": [scores(BASE)], "SGDC": [values]})
    with pytest.raises(ComparisonError, match=r"lesion, hd95: SGDC .*\(1: case_0003\)"):
        compare_study(found, ["hd95"])


def test_undefined_values_of_other_metrics_do_not_matter(tmp_path: Path) -> None:
    values = {case: {**row, "specificity": float("nan")} for case, row in scores(BASE).items()}
    assert compare_dice(study(tmp_path, {"base": [values], "SGDC": [values]}))


def test_one_case_is_too_few(tmp_path: Path) -> None:
    found = study(tmp_path, {"base": [scores([0.1])], "SGDC": [scores([0.2])]})
    with pytest.raises(ComparisonError, match=rf"{DATASET}, lesion, dice: a comparison needs 2 cases or more, got 1"):
        compare_dice(found)


@pytest.mark.parametrize(
    ("metric", "spacing", "unit"),
    [
        ("dice", None, ""),
        ("nsd@2", (0.5, 0.5), ""),
        ("hd95", None, "px"),
        ("hd95", (0.5, 0.5), "units of the spacing"),
        ("hd95_percent", (0.5, 0.5), "% of the diagonal"),
    ],
)
def test_units_come_from_the_settings(tmp_path: Path, metric: str, spacing: Any, unit: str) -> None:
    values = {case: {metric: row["dice"]} for case, row in scores(BASE).items()}
    found = study(tmp_path, {"base": [values], "SGDC": [values]}, settings=Settings(spacing))
    (comparison,) = compare_study(found, [metric], resamples=1)
    assert (comparison.unit, comparison.grid) == (unit, "training grid")


def test_the_unit_of_a_foreign_table_is_unknown() -> None:
    found = of_dice({"a": BASE, "b": BETTER})
    (comparison,) = compare_study(Study((), found.values.assign(metric="hd95"), found.trainers), ["hd95"], resamples=1)
    assert (comparison.unit, comparison.grid) == ("", "")


# Classes


@pytest.fixture
def classes(tmp_path: Path) -> Study:
    """Classes whose order is not that of the alphabet."""
    return study(
        tmp_path,
        {"base": [scores(BASE)], "SGDC": [scores(BETTER)]},
        other_classes={"crypt": scores(WORSE), "axon": scores([0.5] * 6)},
    )


def test_the_mean_of_classes_comes_first_and_the_others_in_their_order(classes: Study) -> None:
    names = [comparison.class_name for comparison in compare_study(classes, ["dice"], resamples=1)]
    assert names == [MEAN_OF_CLASSES, "lesion", "crypt", "axon"]


def test_the_mean_of_classes_is_that_of_each_case(classes: Study) -> None:
    comparison = compare_study(classes, ["dice"], resamples=1)[0]
    expected = [statistics.mean(row) for row in zip(BETTER, WORSE, [0.5] * 6, strict=True)]
    assert list(comparison.values["SGDC"].values()) == pytest.approx(expected)


def test_failures_of_the_mean_of_classes_are_the_sum(tmp_path: Path) -> None:
    missed = {case: {**row, "n_pred": 0} for case, row in scores(BASE).items()}
    found = study(tmp_path, {name: [missed] for name in "ab"}, other_classes={"nevus": missed})
    assert compare_study(found, ["dice"], resamples=1)[0].summaries["a"].failures == 12


def test_an_undefined_class_is_not_left_out_of_the_mean(tmp_path: Path) -> None:
    undefined = {**scores(BASE), "case_0002": {"dice": float("nan")}}
    found = study(tmp_path, {name: [scores(BASE)] for name in "ab"}, other_classes={"nevus": undefined})
    with pytest.raises(ComparisonError, match=rf"{MEAN_OF_CLASSES}, dice: a .*finite values.*\(1: case_0002\)"):
        compare_study(found, ["dice"], [MEAN_OF_CLASSES])


def test_a_single_class_has_no_mean_of_classes(two: Study) -> None:
    assert [comparison.class_name for comparison in compare_study(two, ["dice"], resamples=1)] == ["lesion"]


def test_chosen_classes_are_the_family(classes: Study) -> None:
    comparisons = compare_study(classes, ["dice"], ["axon", MEAN_OF_CLASSES], resamples=1)
    assert [comparison.class_name for comparison in comparisons] == ["axon", MEAN_OF_CLASSES]
    assert comparisons[1].adjusted == {"SGDC": pytest.approx(2 * comparisons[1].differences["SGDC"].p_value)}


def test_the_mean_of_classes_is_over_all_of_them_whichever_are_chosen(classes: Study) -> None:
    chosen, everything = (compare_study(classes, ["dice"], names, resamples=1) for names in ([MEAN_OF_CLASSES], None))
    assert chosen[0].values == everything[0].values


def test_an_unknown_class_is_told(two: Study) -> None:
    with pytest.raises(ComparisonError, match="some of lesion, mean of classes, got mole: correct it"):
        compare_study(two, classes=["mole"])


def test_the_order_is_by_data_set_class_and_metric(tmp_path: Path) -> None:
    paths = [
        write_evaluation(tmp_path / f"{trainer}{dataset}", trainer=trainer, dataset=dataset, values=scores(BASE))
        for dataset in "ZA"
        for trainer in "ab"
    ]
    comparisons = compare_study(read_study(paths), ["nsd@2", "dice"], resamples=1)
    assert [(one.dataset, one.metric) for one in comparisons] == [*((d, m) for d in "ZA" for m in ("nsd@2", "dice"))]


# Simulated studies

STUDIES = 200
CASES = 20


def simulate(studies: int, effect: float) -> list[MetricComparison]:
    """Studies of two trainers on cases that differ in how hard they are, the second better by as much as given."""
    generator = np.random.default_rng(3)
    found = []
    for number in range(studies):
        hardness = generator.beta(8, 2, CASES)
        noise = generator.normal(0, 0.03, (2, CASES))
        trainers = {"a": hardness + noise[0], "b": hardness + noise[1] + effect}
        found.append(compare_dice(of_dice(trainers), seed=number))
    return found


def test_studies_without_an_effect_claim_one_as_seldom_as_they_say() -> None:
    studies = simulate(STUDIES, 0)
    tested = sum(study.adjusted["b"] < 0.05 for study in studies)
    claimed = sum(study.verdict("b").startswith(("better", "worse")) for study in studies)
    # A fair rate fails once in a thousand; the verdict needs interval and test, so it claims at most as often.
    assert stats.binomtest(tested, STUDIES, 0.05).pvalue > 0.001
    assert 0 < claimed <= tested


@pytest.mark.parametrize(("effect", "word"), [(0.04, "better"), (-0.04, "worse")])
def test_a_known_effect_is_found_with_its_sign(effect: float, word: str) -> None:
    assert sum(study.verdict("b").startswith(word) for study in simulate(30, effect)) > 25
