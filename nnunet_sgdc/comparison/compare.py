"""Compare trainers: tables, plots, pictures of cases and a report, which appear complete or not at all."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from nnunet_sgdc.comparison.analysis import METRICS, compare_study
from nnunet_sgdc.comparison.gallery import Gallery
from nnunet_sgdc.comparison.plots import plot_differences, plot_ranking, plot_scatter
from nnunet_sgdc.comparison.provenance import provenance
from nnunet_sgdc.comparison.rendering import as_text, remarks, write_tables
from nnunet_sgdc.comparison.report import GalleryEntry, Plot, Report, write_report
from nnunet_sgdc.comparison.results import MetricComparison
from nnunet_sgdc.comparison.study import Study, read_study
from nnunet_sgdc.comparison.table import cost_table
from nnunet_sgdc.staging import check_apart, check_replaceable, staged

REPORT_NAME = "report.html"
DIFFERENCES = "difference of each case to the baseline, their mean and its confidence interval"
SCATTER = "{} of each case against the baseline"
RANKING = "how often each trainer comes first, second and so on when the cases are drawn anew"
NOT_DETERMINISTIC = (
    "nnU-Net is not deterministic on purpose: trainings of one trainer differ, so differences found with one seed each "
    "are those of two trainings, not yet of two trainers."
)


@dataclass(frozen=True)
class ComparisonReport:
    """What was compared; its text is the summary for the reader.

    Attributes:
        folder: Where it was written.
        comparisons: What was found.
        text: Tables and verdicts.
    """

    folder: Path
    comparisons: tuple[MetricComparison, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.text}\n\n-> {self.folder / REPORT_NAME}"


def compare(
    sources: Sequence[Path],
    output: Path,
    *,
    baseline: str | None = None,
    metrics: Sequence[str] = METRICS,
    classes: Sequence[str] | None = None,
    allow: Collection[str] = (),
    device: str = "cpu",
    seed: int = 0,
    gallery: bool = True,
    overwrite: bool = False,
    command: str = "",
) -> ComparisonReport:
    """Compare trainers on the same cases.

    Args:
        sources: Folders of `nnunet_sgdc-evaluate`, or per-case tables.
        output: The folder to write.
        baseline: The trainer that the others are compared with; None takes the first.
        metrics: What is compared, and tested in one family.
        classes: Which classes; None takes all.
        allow: What may differ between the evaluations of a data set, see `read_study`.
        device: Where boundary maps of the gallery are predicted.
        seed: Of the bootstrap.
        gallery: Whether pictures of cases are shown; a report without them shares no data.
        overwrite: Whether `output` may be replaced.
        command: The command line, for the report.

    Raises:
        UserError: The evaluations cannot be compared, or the output exists.
        OSError: Something cannot be read or written.
    """
    output = output.resolve()
    check_apart(output, *sources)
    check_replaceable(output, overwrite)
    study = read_study(sources, baseline, allow)
    comparisons = compare_study(study, metrics, classes, seed=seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    with staged(output, overwrite) as folder:
        write_tables(folder, study, comparisons)
        plots = _draw_plots(folder / "plots", comparisons)
        shown = Gallery(folder / "gallery", device).draw(study, comparisons) if gallery else []
        write_report(folder / REPORT_NAME, _report(study, comparisons, plots, shown, command))
    return ComparisonReport(output, comparisons, as_text(study, comparisons))


def _draw_plots(folder: Path, comparisons: Sequence[MetricComparison]) -> list[Plot]:
    """Draw the plots of each class of each data set."""
    folder.mkdir()
    groups = [list(group) for _, group in groupby(comparisons, key=lambda one: (one.dataset, one.class_name))]
    jobs = [job for group in groups for job in _plot_jobs(folder, group)]
    return [draw() for draw in tqdm(jobs, "Draw plots", unit="plot", leave=False, disable=None)]


def _plot_jobs(folder: Path, group: Sequence[MetricComparison]) -> list[Callable[[], Plot]]:
    first = group[0]
    place = f"{first.dataset}__{first.class_name}".replace("/", "_").replace(" ", "_")
    subject = f"{first.dataset}, {first.class_name}"

    def drawn(draw: Callable[[Path], None], name: str, caption: str) -> Plot:
        file = folder / f"{place}__{name}.png"
        draw(file)
        return Plot(f"{subject}: {caption}", file)

    scatters = [
        partial(
            drawn, partial(plot_scatter, one), f"scatter_{one.metric.replace('@', '_')}", SCATTER.format(one.metric)
        )
        for one in group
    ]
    return [
        partial(drawn, partial(plot_differences, group), "differences", DIFFERENCES),
        *scatters,
        partial(drawn, partial(plot_ranking, group), "ranking", RANKING),
    ]


def _report(
    study: Study,
    comparisons: Sequence[MetricComparison],
    plots: Sequence[Plot],
    gallery: Sequence[GalleryEntry],
    command: str,
) -> Report:
    known = any(record.cost for record in study.evaluations)
    return Report(
        title=f"{', '.join(study.trainers[1:])} against {study.baseline}",
        comparisons=comparisons,
        cost=cost_table(study) if known else None,
        plots=plots,
        gallery=gallery,
        definitions=_definitions(study, comparisons),
        provenance=provenance(study, command),
        notes=[*remarks(study, comparisons), NOT_DETERMINISTIC],
    )


def _definitions(study: Study, comparisons: Sequence[MetricComparison]) -> dict[str, str]:
    """Those of the metrics that are compared, as the evaluations give them."""
    known = {name: text for record in study.evaluations for name, text in record.definitions.items()}
    metrics = dict.fromkeys(comparison.metric for comparison in comparisons)
    return {metric: known[name] for metric in metrics if (name := metric.partition("@")[0]) in known}
