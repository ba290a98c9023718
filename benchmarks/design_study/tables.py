"""The tables of the study in Markdown: what each variant scored, how LayerScale moved, and differences to the base."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from benchmarks.design_study.results import Result
from benchmarks.design_study.variants import BASE, VARIANTS, Settings
from nnunet_sgdc.comparison.statistics import mean_over_seeds, paired_difference, seed_deviation

# Test set, metric, and what columns call them.
COLUMNS = {
    "ISIC 2016 test, Dice": ("ISIC 2016 test", "dice"),
    "ISIC 2016 test, HD95": ("ISIC 2016 test", "hd95"),
    "PH2, Dice": ("PH2", "dice"),
    "PH2, HD95": ("PH2", "hd95"),
}
DIGITS = {"dice": 4, "hd95": 2}
STRIDES = ("4", "8", "16")
NONE = "-"
BOOTSTRAP_SEED = 0

BySeed = dict[int, dict[str, float]]


def document(results: Sequence[Result], settings: Settings) -> str:
    """All tables.

    Args:
        results: Those of the study, finished or not.
        settings: What all runs have in common.
    """
    steps = settings.epochs * settings.iterations
    return "\n".join(
        [
            f"{steps} steps with batches of {settings.batch_size}; mean over seeds and cases ± standard deviation "
            "(n - 1) over seeds of the mean over cases; HD95 in pixels of 128 x 128\n",
            _scores_table(results),
            "LayerScale, mean magnitude at the start and after training, by stride, mean over seeds\n",
            _layer_scales_table(results),
            f"Paired difference to {BASE}: mean over seeds and cases, its 95 % bootstrap interval over cases, and the "
            "seeds on which the variant is better\n",
            _differences_table(results),
        ]
    )


def _scores_table(results: Sequence[Result]) -> str:
    rows = []
    for variant, found in _by_variant(results):
        scores = [_spread(_by_seed(found, *column), DIGITS[column[1]]) for column in COLUMNS.values()]
        rows.append([variant, str(len(found)), *scores, f"{found[0].parameters / 1e6:.2f} M"])
    return _table(["variant", "runs", *COLUMNS, "parameters"], rows)


def _spread(values: BySeed, digits: int) -> str:
    mean = fmean(mean_over_seeds(values).values())
    deviation = f" ± {seed_deviation(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{deviation}"


def _layer_scales_table(results: Sequence[Result]) -> str:
    rows = [
        [variant, f"{config.layer_scale:g}", *(_final_scale(found, stride) for stride in STRIDES)]
        for variant, found in _by_variant(results)
        if (config := VARIANTS[variant]) is not None
    ]
    return _table(["variant", "start", *(f"stride {stride}" for stride in STRIDES)], rows)


def _final_scale(results: Sequence[Result], stride: str) -> str:
    finals = [result.layer_scales[stride][-1] for result in results if stride in result.layer_scales]
    return f"{fmean(finals):.3g}" if finals else NONE


def _differences_table(results: Sequence[Result]) -> str:
    by_variant = dict(_by_variant(results))
    base = by_variant.pop(BASE, [])
    rows = [
        [variant, *(_difference(base, found, *column) for column in COLUMNS.values())]
        for variant, found in by_variant.items()
    ]
    return _table(["variant", *COLUMNS], rows)


def _difference(base: Sequence[Result], other: Sequence[Result], test_set: str, metric: str) -> str:
    before, after = _by_seed(base, test_set, metric), _by_seed(other, test_set, metric)
    seeds = sorted(before.keys() & after.keys())
    if not seeds:
        return NONE
    means = [mean_over_seeds({seed: values[seed] for seed in seeds}) for values in (before, after)]
    higher_is_better = metric == "dice"
    found = paired_difference(*means, seed=BOOTSTRAP_SEED, higher_is_better=higher_is_better)
    gains = [fmean(after[seed].values()) - fmean(before[seed].values()) for seed in seeds]
    better = sum((gain > 0) == higher_is_better for gain in gains if gain)
    mean, low, high = (f"{value:+.{DIGITS[metric]}f}" for value in (found.mean, *found.interval))
    return f"{mean} ({low} to {high}), {better} of {len(seeds)}"


def _by_variant(results: Sequence[Result]) -> Iterable[tuple[str, list[Result]]]:
    """The variants in their order that have results."""
    for variant in VARIANTS:
        found = [result for result in results if result.run.variant == variant]
        if found:
            yield variant, found


def _by_seed(results: Iterable[Result], test_set: str, metric: str) -> BySeed:
    return {result.run.seed: result.values(test_set, metric) for result in results}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
