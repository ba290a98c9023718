"""The plots of a comparison, looked at pixel by pixel and text by text."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from comparisons import DATASET, made_comparison, made_values
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from nnunet_sgdc.comparison.plots import BETTER, TIED, WORSE, plot_differences, plot_ranking, plot_scatter
from nnunet_sgdc.comparison.results import MetricComparison

Plot = Callable[[MetricComparison, Path], None]
PLOTS: dict[str, Plot] = {
    "differences": lambda comparison, file: plot_differences([comparison], file),
    "scatter": plot_scatter,
    "ranking": lambda comparison, file: plot_ranking([comparison], file),
}
every_plot = pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep_and_save(figure: Figure, *arguments: object, **options: object) -> None:
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep_and_save)
    return saved


def texts(figures: list[Figure]) -> list[str]:
    return [text.get_text() for figure in figures for text in figure.findobj(Text)]


def picture(file: Path) -> np.ndarray:
    return matplotlib.image.imread(file)[..., :3]


def columns_of(colour: str, pixels: np.ndarray) -> np.ndarray:
    """The columns of pixels in which a colour stands; the legend below is left out."""
    panels = pixels[: round(0.8 * len(pixels))]
    return np.nonzero((np.abs(panels - to_rgb(colour)).max(-1) < 0.04).any(0))[0]


def differences(values: list[float], **options: object) -> MetricComparison:
    """A baseline that scores 0 everywhere and a trainer that scores as given."""
    return made_comparison({"stock": [0.0] * len(values), "SGDC": values}, **options)


@every_plot
def test_titles_say_what_is_plotted(plot: Plot, figures: list[Figure], tmp_path: Path) -> None:
    plot(differences([0.1, 0.2], metric="hd95", unit="px", higher_is_better=False), tmp_path / "plot.png")
    written = "\n".join(texts(figures))
    assert f"{DATASET}, lesion, original size" in written
    assert "hd95 in px (lower is better)" in written
    assert "stock" in written
    assert "SGDC" in written


@every_plot
@pytest.mark.parametrize(("trainers", "cases"), [(2, 2), (3, 100), (12, 40), (2, 5000)])
def test_nothing_is_cut_off_whatever_the_number(plot: Plot, trainers: int, cases: int, tmp_path: Path) -> None:
    plot(made_comparison(made_values(trainers, cases)), tmp_path / "plot.png")
    pixels = picture(tmp_path / "plot.png")
    assert all((edge == 1).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


@every_plot
def test_signs_of_formulas_in_names_are_written_as_they_are(plot: Plot, figures: list[Figure], tmp_path: Path) -> None:
    plot(made_comparison({"$stock": [0.1, 0.2], r"$\frac{SGDC}$": [0.2, 0.1]}), tmp_path / "plot.png")
    assert {"$stock", r"$\frac{SGDC}$"} & set(texts(figures))


@every_plot
def test_the_same_numbers_give_the_same_picture(plot: Plot, tmp_path: Path) -> None:
    for name in ("one.png", "other.png"):
        plot(made_comparison(made_values(3, 50)), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()


@pytest.mark.parametrize("plot", [plot_differences, plot_ranking])
def test_every_metric_has_a_panel(plot: Callable[..., None], figures: list[Figure], tmp_path: Path) -> None:
    values = made_values(3, 10)
    plot([made_comparison(values, f"metric{number}") for number in range(7)], tmp_path / "plot.png")
    assert sum(text.startswith("metric") for text in texts(figures)) == 7


@pytest.mark.parametrize(("higher_is_better", "colours"), [(True, (WORSE, BETTER)), (False, (BETTER, WORSE))])
def test_losses_and_gains_stand_on_their_sides(
    higher_is_better: bool, colours: tuple[str, str], tmp_path: Path
) -> None:
    plot_differences([differences([-0.2, 0.3], higher_is_better=higher_is_better)], tmp_path / "plot.png")
    left, right = (columns_of(colour, picture(tmp_path / "plot.png")) for colour in colours)
    assert left.max() < right.min()


@pytest.mark.parametrize(
    ("higher_is_better", "label"), [(True, "← worse     better →"), (False, "← better     worse →")]
)
def test_the_axis_of_differences_says_which_side_is_better(
    higher_is_better: bool, label: str, figures: list[Figure], tmp_path: Path
) -> None:
    plot_differences([differences([0.1, 0.2], higher_is_better=higher_is_better)], tmp_path / "plot.png")
    assert label in texts(figures)


@pytest.mark.parametrize("plot", [PLOTS["differences"], plot_scatter])
def test_ties_are_neither_better_nor_worse(plot: Plot, tmp_path: Path) -> None:
    plot(made_comparison({"stock": [0.5, 0.9], "SGDC": [0.5, 0.9]}), tmp_path / "plot.png")
    pixels = picture(tmp_path / "plot.png")
    assert [columns_of(colour, pixels).size > 0 for colour in (BETTER, WORSE, TIED)] == [False, False, True]


def test_differences_have_mean_and_interval_in_numbers(figures: list[Figure], tmp_path: Path) -> None:
    comparison = differences([0.1, 0.2, 0.3, 0.4])
    plot_differences([comparison], tmp_path / "plot.png")
    low, high = comparison.differences["SGDC"].interval
    assert f"+0.2500 [{low:.4f}, {high:.4f}]" in texts(figures)


def test_a_failure_does_not_squeeze_the_differences_and_is_counted(figures: list[Figure], tmp_path: Path) -> None:
    plot_differences([differences([*np.linspace(-1, 1, 399), 10])], tmp_path / "plot.png")
    assert figures[0].axes[0].get_xlim()[1] < 1.2
    assert "1 \u00d7" in texts(figures)


def test_the_interval_is_inside_the_panel_whatever_the_cases(figures: list[Figure], tmp_path: Path) -> None:
    comparison = differences([0.0] * 99 + [1000.0])
    plot_differences([comparison], tmp_path / "plot.png")
    assert comparison.differences["SGDC"].interval[1] < figures[0].axes[0].get_xlim()[1] < 1000


@pytest.mark.parametrize(("higher_is_better", "colour"), [(True, BETTER), (False, WORSE)])
def test_scatter_colours_a_higher_value_by_the_metric(higher_is_better: bool, colour: str, tmp_path: Path) -> None:
    plot_scatter(differences([0.2, 0.3], higher_is_better=higher_is_better), tmp_path / "plot.png")
    pixels = picture(tmp_path / "plot.png")
    assert [columns_of(one, pixels).size > 0 for one in (BETTER, WORSE)] == [colour == BETTER, colour == WORSE]


def test_scatter_counts_what_it_colours(figures: list[Figure], tmp_path: Path) -> None:
    plot_scatter(differences([0.2, 0.3, 0.0, -0.1]), tmp_path / "plot.png")
    assert "2 better, 1 tied, 1 worse" in texts(figures)


def test_a_failure_does_not_squeeze_the_scatter_and_is_counted(figures: list[Figure], tmp_path: Path) -> None:
    usual = np.linspace(0, 1, 99)
    plot_scatter(made_comparison({"stock": [*usual, 0], "SGDC": [*(usual + 0.1), 1000]}), tmp_path / "plot.png")
    assert figures[0].axes[0].get_ylim()[1] < 2
    assert "100 better, 0 tied, 0 worse\n1 beyond the edge" in texts(figures)


def test_ranking_has_the_share_of_each_rank(figures: list[Figure], tmp_path: Path) -> None:
    plot_ranking([made_comparison({"stock": [0.1, 0.1], "SGDC": [0.2, 0.3]})], tmp_path / "plot.png")
    assert texts(figures).count("100 %") == 2
    assert {"rank 1", "rank 2"} <= set(texts(figures))
