"""Comparisons of trainers against SciPy, values worked out by hand, and thousands of simulated studies."""

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from nnunet_sgdc.comparison import (
    ComparisonError,
    PairedDifference,
    holm,
    mean_over_seeds,
    paired_difference,
    ranking_stability,
    seed_deviation,
)

FloatArray = NDArray[np.float64]
STUDIES = 200
# A fair rate lies outside the limits once in a thousand.
UNLIKELY = 0.001


def by_case(values: Any) -> dict[str, float]:
    return {f"case_{position:04d}": float(value) for position, value in enumerate(values)}


def compare(differences: Any, sources: Any = None, **options: Any) -> PairedDifference:
    """The comparison of a baseline that scores 0 everywhere with a trainer that differs from it as given."""
    other = by_case(differences)
    clusters = None
    if sources is not None:
        clusters = {case: f"image_{source}" for case, source in zip(other, sources, strict=True)}
    return paired_difference(dict.fromkeys(other, 0.0), other, clusters=clusters, **({"seed": 0} | options))


def simulate(draw: Callable[[np.random.Generator], FloatArray], sources: Any = None) -> list[PairedDifference]:
    generator = np.random.default_rng(1)
    return [compare(draw(generator), sources, seed=study, resamples=500) for study in range(STUDIES)]


def misses(studies: list[PairedDifference], truth: float = 0.0) -> int:
    return sum(not study.interval[0] <= truth <= study.interval[1] for study in studies)


def claims(studies: list[PairedDifference]) -> int:
    return sum(study.p_value < 0.05 for study in studies)


def is_nominal(errors: int) -> bool:
    return bool(stats.binomtest(errors, STUDIES, 0.05).pvalue > UNLIKELY)


# One comparison


def test_mean_and_counts_by_hand() -> None:
    baseline = {"a": 0.5, "b": 0.5, "c": 0.8, "d": 0.1}
    found = paired_difference(baseline, {"d": 0.4, "c": 0.8, "b": 0.4, "a": 0.7}, seed=0)
    assert found.mean == pytest.approx((0.2 - 0.1 + 0 + 0.3) / 4)
    assert (found.wins, found.ties, found.losses, found.cases, found.clusters) == (2, 1, 1, 4, 4)


def test_a_case_wins_when_its_distance_shrinks() -> None:
    found = compare([-3.0, -2.0, 1.0], higher_is_better=False)
    assert (found.wins, found.losses, found.mean) == (2, 1, pytest.approx(-4 / 3))


def test_rounding_is_a_tie() -> None:
    found = paired_difference({"a": 0.1 + 0.2, "b": 0.5}, {"a": 0.3, "b": 0.6}, seed=0)
    assert (found.wins, found.ties) == (1, 1)


def test_ties_are_as_wide_as_asked_for() -> None:
    found = compare([0.01, -0.01, 0.02], tie_tolerance=0.01)
    assert (found.wins, found.ties, found.losses) == (1, 2, 0)


@pytest.mark.parametrize("count", [10, 30, 200])
def test_p_value_is_that_of_scipy_with_zeros_ranked(count: int) -> None:
    differences = np.random.default_rng(1).normal(0.3, 1, count).round(1)
    differences[:2] = 0
    assert compare(differences).p_value == stats.wilcoxon(differences, zero_method="pratt").pvalue
    assert compare(differences).p_value != stats.wilcoxon(differences).pvalue


def test_p_value_of_six_wins_by_hand() -> None:
    assert compare([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).p_value == pytest.approx(2 / 2**6)


def test_equal_trainers_have_a_p_value_of_one() -> None:
    found = compare([0.0, 0.0, 0.0])
    assert (found.p_value, found.interval) == (1.0, (0.0, 0.0))


def test_rounding_alone_has_a_p_value_of_one() -> None:
    assert compare([1e-12] * 20).p_value == 1


def test_interval_is_that_of_scipy_for_many_cases() -> None:
    differences = np.random.default_rng(0).exponential(1, 400)
    scipys = stats.bootstrap((differences,), np.mean, n_resamples=20_000, method="percentile").confidence_interval
    assert compare(differences, resamples=20_000).interval == pytest.approx(tuple(scipys), abs=0.01)


def test_interval_is_that_of_student_for_few_normal_differences() -> None:
    differences = stats.norm.ppf((np.arange(12) + 0.5) / 12)
    student = stats.t.interval(0.95, 11, 0, stats.sem(differences))
    assert compare(differences, resamples=20_000).interval == pytest.approx(student, rel=0.025)


def test_interval_of_clusters_is_that_of_scipy() -> None:
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 9, 300)
    sums = generator.normal(3, 1, 300) * sizes
    scipys = stats.bootstrap(
        (sums, sizes),
        lambda total, size, axis: total.sum(axis) / size.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
    ).confidence_interval
    found = compare(np.repeat(sums / sizes, sizes), np.repeat(np.arange(300), sizes), resamples=20_000)
    assert found.interval == pytest.approx(tuple(scipys), abs=0.02)


def test_clusters_are_tested_by_their_means() -> None:
    differences, sources = [0.1, 0.3, -0.1, 0.4, 0.5, 0.6], [0, 0, 1, 2, 2, 2]
    found = compare(differences, sources)
    assert found.p_value == stats.wilcoxon([0.2, -0.1, 0.5], zero_method="pratt").pvalue
    assert (found.cases, found.clusters, found.mean) == (6, 3, pytest.approx(0.3))


def test_clusters_of_one_case_change_nothing() -> None:
    differences = np.random.default_rng(0).normal(0, 1, 20)
    assert compare(differences, [f"{position:04d}" for position in range(20)]) == compare(differences)


def test_higher_confidence_widens_the_interval() -> None:
    differences = np.random.default_rng(0).normal(0, 1, 50)
    narrow, wide = (compare(differences, confidence=level).interval for level in (0.9, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_seed_and_not_the_order_of_cases_decides() -> None:
    values = by_case(np.random.default_rng(0).normal(0, 1, 30))
    zeros = dict.fromkeys(values, 0.0)
    turned, turned_zeros = dict(reversed(values.items())), dict(reversed(zeros.items()))
    assert paired_difference(zeros, values, seed=4) == paired_difference(turned_zeros, turned, seed=4)
    assert paired_difference(zeros, values, seed=4) != paired_difference(zeros, values, seed=5)


def test_drawing_in_several_rounds_draws_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0, 1, 30)
    at_once = compare(differences, resamples=5000)
    monkeypatch.setattr("nnunet_sgdc.comparison.resampling.DRAWN_AT_ONCE", 7 * 30)
    assert compare(differences, resamples=5000).interval == pytest.approx(at_once.interval, abs=0.03)


# The verdict


@pytest.mark.parametrize(
    ("sign", "higher_is_better", "word"), [(1, True, "better"), (-1, True, "worse"), (-1, False, "better")]
)
def test_a_clear_difference_has_a_direction(sign: int, higher_is_better: bool, word: str) -> None:
    differences = sign * np.linspace(0.01, 0.03, 40)
    verdict = compare(differences, higher_is_better=higher_is_better).verdict
    assert verdict.startswith(f"{word} by 0.02 on average: the 95 % interval from ")
    assert "excludes 0, and the Wilcoxon test finds a difference (p = " in verdict


def test_noise_is_called_noise() -> None:
    verdict = compare([0.1, -0.1, 0.2, -0.2, 0.05], confidence=0.9).verdict
    assert verdict.startswith("cannot be told from noise: the 90 % interval from -")
    assert verdict.endswith("includes 0")


def test_an_interval_that_ends_at_zero_includes_it() -> None:
    assert compare([0.0, 0.1, 0.2]).verdict.endswith("interval from 0 to 0.2 includes 0")


def test_equal_trainers_are_called_so() -> None:
    assert compare([0.0, 0.0, 0.0]).verdict == "no difference: all 3 cases are tied"


def test_a_mean_that_few_failures_hide_is_mentioned() -> None:
    verdict = compare([0.01] * 58 + [-0.9, -0.8]).verdict
    assert "includes 0, although the Wilcoxon test finds a difference" in verdict


def test_an_interval_without_the_test_is_no_finding() -> None:
    verdict = compare([0.1, 0.2]).verdict
    assert verdict.startswith("cannot be told from noise")
    assert verdict.endswith("excludes 0, but the Wilcoxon test finds no difference (p = 0.5)")


def test_a_mean_against_most_cases_is_mentioned() -> None:
    verdict = compare([-0.01] * 80 + [0.5] * 20).verdict
    assert verdict.startswith("better by 0.092 on average")
    assert verdict.endswith("although it wins 20 cases and loses 80")


def test_an_adjusted_p_value_changes_the_verdict() -> None:
    found = compare(np.linspace(-0.01, 0.03, 30))
    assert found.verdict.startswith("better")
    assert dataclasses.replace(found, p_value=0.06).verdict.startswith("cannot be told from noise")


# Simulated studies


@pytest.fixture(scope="module")
def chance() -> list[PairedDifference]:
    """Studies of two equal trainers: hard cases vary more, so differences have heavy tails."""
    return simulate(lambda generator: generator.lognormal(0, 0.7, 60) * generator.standard_t(5, 60))


def test_intervals_hold_the_truth_as_often_as_they_say(chance: list[PairedDifference]) -> None:
    assert is_nominal(misses(chance))


def test_the_test_errs_as_often_as_it_says(chance: list[PairedDifference]) -> None:
    assert is_nominal(claims(chance))


def test_equal_trainers_seldom_get_a_verdict(chance: list[PairedDifference]) -> None:
    named = sum(not study.verdict.startswith("cannot be told from noise") for study in chance)
    assert stats.binomtest(named, STUDIES, 0.05, alternative="greater").pvalue > UNLIKELY


def test_intervals_of_skewed_differences_hold_the_truth() -> None:
    studies = simulate(lambda generator: 0.3 - generator.lognormal(-2, 1, 200))
    assert is_nominal(misses(studies, truth=0.3 - np.exp(-1.5)))


def test_few_normal_differences_get_wide_enough_intervals() -> None:
    assert is_nominal(misses(simulate(lambda generator: generator.normal(0, 1, 8))))


def test_a_real_effect_is_found() -> None:
    studies = simulate(lambda generator: generator.normal(0.5, 1, 60))
    assert sum(study.verdict.startswith("better") for study in studies) > 0.9 * STUDIES


SOURCES = np.repeat(np.arange(30), np.arange(30) % 7 + 2)


def patches(generator: np.random.Generator) -> FloatArray:
    """Differences without an effect on patches, of which those of one source are alike."""
    return generator.standard_t(6, 30)[SOURCES] + generator.normal(0, 0.7, len(SOURCES))


def test_patches_taken_for_independent_are_false_evidence() -> None:
    studies = simulate(patches)
    assert claims(studies) > 0.2 * STUDIES
    assert misses(studies) > 0.2 * STUDIES


def test_patches_of_known_sources_are_honest_evidence() -> None:
    studies = simulate(patches, SOURCES)
    assert is_nominal(claims(studies))
    assert is_nominal(misses(studies))


# Families of tests


def test_holm_by_hand() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(adjusted) == ["a", "b", "c", "d"]


def test_holm_of_one_test_is_its_p_value() -> None:
    assert holm({"Dice": 0.04}) == {"Dice": 0.04}


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@settings(deadline=None, max_examples=50)
@given(P_VALUES)
def test_holm_is_the_sharpest_bonferroni_of_the_tests_left(p_values: list[float]) -> None:
    adjusted = holm(dict(enumerate(p_values)))
    ordered = np.sort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    assert sorted(adjusted.values()) == pytest.approx(np.maximum.accumulate(ordered * factors).clip(max=1))


@settings(deadline=None, max_examples=50)
@given(P_VALUES)
def test_holm_keeps_the_order_and_only_raises(p_values: list[float]) -> None:
    adjusted = holm(dict(enumerate(p_values)))
    assert all(p_value <= adjusted[key] <= 1 for key, p_value in enumerate(p_values))
    assert all(adjusted[low] <= adjusted[high] for low, high in pairwise(np.argsort(p_values, kind="stable").tolist()))


def test_holm_is_that_of_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(0).random(20) ** 3
    theirs = multitest.multipletests(p_values, method="holm")[1]
    assert list(holm(dict(enumerate(p_values))).values()) == pytest.approx(theirs)


def test_a_family_of_six_null_metrics_seldom_claims_anything() -> None:
    generator = np.random.default_rng(0)
    families = 0
    for _ in range(STUDIES // 2):
        shared = generator.standard_t(4, 30)
        metrics = {metric: 0.3 * shared + generator.standard_t(4, 30) for metric in range(6)}
        p_values = {metric: compare(values, resamples=1).p_value for metric, values in metrics.items()}
        families += min(holm(p_values).values()) < 0.05
    assert families > 0
    assert stats.binomtest(families, STUDIES // 2, 0.05, alternative="greater").pvalue > UNLIKELY


# Seeds


def test_seeds_are_averaged_case_by_case() -> None:
    assert mean_over_seeds({0: {"a": 0.2, "b": 0.8}, 1: {"b": 0.6, "a": 0.4}}) == pytest.approx({"a": 0.3, "b": 0.7})


def test_seed_deviation_by_hand() -> None:
    assert seed_deviation({0: {"a": 0.2, "b": 0.8}, 1: {"a": 0.4, "b": 1.0}}) == pytest.approx(0.2 / np.sqrt(2))


# Rankings


def test_a_trainer_that_always_wins_is_always_first() -> None:
    values = {"worst": by_case([1, 2, 3]), "best": by_case([7, 8, 9]), "middle": by_case([4, 5, 6.0])}
    shares = ranking_stability(values, seed=0, resamples=50)
    assert shares == {"worst": (0, 0, 1), "best": (1, 0, 0), "middle": (0, 1, 0)}


def test_the_smallest_distance_is_first() -> None:
    shares = ranking_stability({"a": by_case([1, 2]), "b": by_case([3, 4])}, seed=0, higher_is_better=False)
    assert shares["a"] == (1, 0)


def test_equal_trainers_share_the_better_rank() -> None:
    values = by_case([0.1, 0.7, 0.3])
    assert ranking_stability({"a": values, "b": values}, seed=0) == {"a": (1, 0), "b": (1, 0)}


def test_share_of_wins_by_hand() -> None:
    """With two cases, of which b wins one by more, b falls behind only where the other one is drawn twice."""
    shares = ranking_stability({"a": by_case([0, 1]), "b": by_case([2, 0])}, seed=0)
    assert shares["b"] == pytest.approx((3 / 4, 1 / 4), abs=0.02)


def test_clusters_make_rankings_less_certain() -> None:
    values = {"a": by_case([1.0] * 60 + [0.0] * 40), "b": by_case([0.0] * 60 + [1.0] * 40)}
    clusters = {case: str(position // 20) for position, case in enumerate(values["a"])}
    alone, whole = (ranking_stability(values, seed=0, clusters=sources)["a"][0] for sources in (None, clusters))
    assert alone > 0.95
    # Binomial: 3 or more of 5 sources, each with a chance of 3/5.
    assert whole == pytest.approx(stats.binom.sf(2, 5, 0.6), abs=0.02)


# Messages


def test_unequal_cases_are_listed() -> None:
    with pytest.raises(ComparisonError, match=r"the other trainer must have the same cases.*\(4: a, b, d, \.\.\.\)"):
        paired_difference({"a": 1, "b": 1, "c": 1}, {"c": 1, "d": 1, "e": 1}, seed=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_listed(value: float) -> None:
    with pytest.raises(ComparisonError, match=r"baseline must have finite values.*\(1: b\): give failures the worst"):
        paired_difference({"a": 1, "b": value}, {"a": 1, "b": 1}, seed=0)


def test_the_seed_with_other_cases_is_named() -> None:
    with pytest.raises(ComparisonError, match=r"seed 7 must have the same cases as seed 3, .* \(1: b\)"):
        mean_over_seeds({3: {"a": 1, "b": 1}, 7: {"a": 1}})


def test_the_trainer_without_finite_values_is_named() -> None:
    with pytest.raises(ComparisonError, match=r"trainer SGDC must have finite values"):
        ranking_stability({"base": {"a": 1, "b": 1}, "SGDC": {"a": 1, "b": np.nan}}, seed=0)


def test_cases_without_a_cluster_are_listed() -> None:
    with pytest.raises(ComparisonError, match=r"clusters must name the source of each case, but lacks 1: b: add"):
        paired_difference({"a": 1, "b": 1}, {"a": 1, "b": 1}, clusters={"a": "x"}, seed=0)


@pytest.mark.parametrize(("sources", "message"), [(None, "2 cases or more, got 1"), ([0], "2 clusters or more, got 1")])
def test_one_unit_is_too_few(sources: Any, message: str) -> None:
    with pytest.raises(ComparisonError, match=message):
        compare([0.1], sources)


def test_no_cases_are_too_few() -> None:
    with pytest.raises(ComparisonError, match="2 cases or more, got 0"):
        paired_difference({}, {}, seed=0)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_confidence_is_no_percentage(confidence: float) -> None:
    with pytest.raises(ComparisonError, match=rf"between 0 and 1, got {confidence}: 95 % is 0\.95"):
        compare([0.1, 0.2], confidence=confidence)


def test_resamples_are_needed() -> None:
    with pytest.raises(ComparisonError, match="resamples must be 1 or more, got 0"):
        compare([0.1, 0.2], resamples=0)


def test_one_seed_has_no_deviation() -> None:
    with pytest.raises(ComparisonError, match="2 seeds or more, got 1: train"):
        seed_deviation({0: {"a": 1, "b": 2}})


@pytest.mark.parametrize("call", [mean_over_seeds, lambda values: ranking_stability(values, seed=0)])
def test_no_values_are_refused(call: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(ComparisonError, match="got none"):
        call({})


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_p_values_are_probabilities(value: float) -> None:
    with pytest.raises(ComparisonError, match=r"within 0 and 1.*1: Dice \("):
        holm({"Dice": value, "HD95": 0.5})
