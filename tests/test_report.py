"""The report of a comparison, read as text; tests/test_report_in_browser.py uses it."""

import base64
import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from comparisons import made_comparison
from PIL import Image
from reports import SGDC, STOCK, made_costs, made_gallery, made_picture, made_report

from nnunet_sgdc.comparison.headlines import headlines
from nnunet_sgdc.comparison.plots import plot_ranking
from nnunet_sgdc.comparison.report import PICTURE_WIDTH, Plot, write_report
from nnunet_sgdc.comparison.report_table import choices, costs_table, results_table
from nnunet_sgdc.comparison.results import MetricComparison

GAIN = [0.1] * 10 + [0.2] * 10
NOISE = [-0.1] * 10 + [0.1] * 10


def against_zero(values: list[float], **options: object) -> MetricComparison:
    return made_comparison({STOCK: [0.0] * len(values), SGDC: values}, **options)


def written(folder: Path, **contents: object) -> str:
    write_report(folder / "report.html", made_report(folder, **contents))
    return (folder / "report.html").read_text(encoding="utf-8")


def visible(html: str) -> str:
    """The text without tags, style and script, on one line."""
    text = re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


def pictures(html: str) -> list[bytes]:
    return [base64.b64decode(content) for content in re.findall(r'<img src="data:image/\w+;base64,([^"]*)"', html)]


def test_it_says_in_words_what_cannot_be_told_from_noise(tmp_path: Path) -> None:
    text = visible(written(tmp_path, comparisons=[against_zero(NOISE)]))
    assert f"{SGDC}, dice: cannot be told from noise: the 95 % interval from -0.0" in text
    assert f"Against {STOCK}, 0 results are better , 0 are worse , and 1 cannot be told from noise ." in text


def test_it_says_what_is_better_and_worse(tmp_path: Path) -> None:
    comparisons = [against_zero(GAIN), against_zero(GAIN, metric="hd95", unit="px", higher_is_better=False)]
    text = visible(written(tmp_path, comparisons=comparisons))
    assert f"{SGDC}, dice: better by 0.15 on average" in text
    assert f"{SGDC}, hd95: worse by 0.15 on average" in text
    assert "1 result is better , 1 is worse , and 0 cannot be told from noise" in text


@pytest.mark.parametrize(
    ("values", "kind"), [(GAIN, "better"), ([-v for v in GAIN], "worse"), (NOISE, "noise"), ([0.0] * 5, "noise")]
)
def test_the_kind_of_a_headline_is_that_of_its_verdict(values: list[float], kind: str) -> None:
    assert [headline.kind for headline in headlines([against_zero(values)])] == [kind]


def test_the_verdict_is_that_of_the_adjusted_p_value() -> None:
    comparison = replace(against_zero(GAIN), adjusted={SGDC: 0.9})
    assert "cannot be told from noise" in headlines([comparison])[0].verdict
    assert results_table([comparison]).rows[1]["Verdict"].text == "cannot be told from noise"


def test_findings_come_first_and_provenance_last(tmp_path: Path) -> None:
    sections = re.findall(r'<section id="(\w+)">', written(tmp_path))
    assert sections == ["findings", "results", "plots", "gallery", "cost", "definitions", "provenance"]


def test_what_there_is_not_has_neither_section_nor_link(tmp_path: Path) -> None:
    html = written(tmp_path, plots=[], gallery=[], cost=None, definitions={}, provenance={}, notes=[])
    assert re.findall(r'<section id="(\w+)">', html) == re.findall(r'href="#(\w+)"', html) == ["findings", "results"]


def test_everything_else_it_was_given_is_in_it(tmp_path: Path) -> None:
    text = visible(written(tmp_path))
    for part in ("Trainers compared", "How they differ", "2 TP / (2 TP + FP + FN)", "nnU-Net is not deterministic."):
        assert part in text
    assert "Comparison command nnunet_sgdc-compare A B -o C" in text


def test_nothing_in_it_points_outside(tmp_path: Path) -> None:
    html = written(tmp_path)
    targets = re.findall(r'(?:src|href|action|srcset|data)="([^"]*)"', html)
    assert targets
    assert all(target.startswith(("data:image/", "#")) for target in targets)
    assert not re.search(r"https?:|url\(|@import", html)


def test_the_policy_allows_this_style_and_script_only(tmp_path: Path) -> None:
    html = written(tmp_path)
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    assert policy.startswith("default-src &#39;none&#39;; img-src data:;")
    for kind in ("style", "script"):
        ((content),) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src &#39;sha256-{digest}&#39;" in policy


def test_names_are_escaped(tmp_path: Path) -> None:
    name = """<img src=x onerror=alert(1)> "quoted" 'too' &amp;"""
    comparison = made_comparison({STOCK: [0.1, 0.2], name: [0.2, 0.1]})
    html = written(tmp_path, title=name, comparisons=[comparison], gallery=made_gallery(tmp_path, 2, name))
    assert "<img src=x" not in html
    assert 'data-trainer="&lt;img src=x onerror=alert(1)&gt; &#34;quoted&#34; &#39;too&#39; &amp;amp;"' in html


def test_numbers_are_rounded_and_sorted_by_their_full_value(tmp_path: Path) -> None:
    html = written(tmp_path, comparisons=[made_comparison({STOCK: [0.1, 0.2], SGDC: [1 / 3, 2 / 3]})])
    assert f'data-value="{0.5}">0.500 ± 0.167' in html
    assert f'data-value="{(1 / 3 + 2 / 3) / 2 - (0.1 + 0.2) / 2}">+0.3500' in html


def test_distances_have_fewer_decimals_than_shares() -> None:
    comparison = against_zero([1.23456, 1.23456], metric="hd95", unit="px", higher_is_better=False)
    row = results_table([comparison]).rows[1]
    assert row["Metric"].text == "hd95 (px) ↓"
    assert row["Mean ± SD"].text == "1.23 ± 0.00"
    assert (row["Difference"].text, row["95 % CI"].text) == ("+1.23", "[1.23, 1.23]")


def test_small_p_values_are_bounded() -> None:
    comparison = replace(against_zero(GAIN), adjusted={SGDC: 0.0004})
    assert results_table([comparison]).rows[1]["p"].text == "<0.001"


def test_wins_ties_and_losses_are_counted() -> None:
    assert results_table([against_zero([0.1, 0.2, 0.0, -0.1])]).rows[1]["W/T/L"].text == "2/1/1"


def test_seeds_and_folds_have_their_deviations() -> None:
    comparison = against_zero(GAIN)
    seen = replace(comparison.summaries[SGDC], seeds=3, seed_deviation=0.00321, fold_deviation=0.01, failures=2)
    row = results_table([replace(comparison, summaries={SGDC: seen})]).rows[0]
    assert [row[name].text for name in ("Seeds", "Folds", "Failed")] == ["0.0032 (3)", "0.0100", "2"]


def test_the_baseline_has_no_difference() -> None:
    table = results_table([against_zero(GAIN)])
    assert table.rows[0]["Verdict"].text == "baseline"
    assert "Difference" not in table.rows[0]
    assert table.columns["Difference"]


def test_columns_that_are_the_same_in_all_rows_are_said_once() -> None:
    table = results_table([against_zero(GAIN)])
    assert table.constants["Cases"] == "20"
    assert "Cases" not in table.columns
    assert "Trainer" not in table.constants


def test_sources_are_counted_where_cases_share_them() -> None:
    comparison = against_zero(GAIN)
    clustered = replace(comparison, differences={SGDC: replace(comparison.differences[SGDC], clusters=7)})
    assert "Sources" not in results_table([comparison]).columns
    assert results_table([clustered]).rows[1]["Sources"].text == "7"


def test_unknown_costs_are_shown_as_such_and_not_sorted_as_numbers() -> None:
    known, unknown = costs_table(made_costs(9.5, None)).rows
    assert (known["Training (h)"].text, known["Training (h)"].key) == ("9.50", "9.5")
    assert (unknown["Training (h)"].text, unknown["Training (h)"].key) == ("?", "")


def test_costs_are_in_units_for_the_eye() -> None:
    table = costs_table(made_costs(1.0))
    assert table.constants["Parameters (M)"] == "33.44"
    assert table.constants["Activations (GB)"] == "4.31"


def test_only_what_differs_can_be_chosen() -> None:
    assert choices([{"Class": "lesion", "Trainer": "a"}, {"Class": "lesion", "Trainer": "b"}]) == {
        "Trainer": ["a", "b"]
    }


def test_plots_are_embedded_as_they_are_and_shown_as_large_as_they_were_drawn_for(tmp_path: Path) -> None:
    file = tmp_path / "drawn.png"
    plot_ranking([against_zero(GAIN)], file)
    html = written(tmp_path, plots=[Plot("ranks", file)], gallery=[])
    assert pictures(html) == [file.read_bytes()]
    with Image.open(file) as picture:
        assert f'width="{picture.size[0] / 130 * 96:.0f}"' in html


@pytest.mark.parametrize(("width", "shown"), [(40, 40), (2 * PICTURE_WIDTH, PICTURE_WIDTH)])
def test_gallery_pictures_are_reduced_if_they_are_large(tmp_path: Path, width: int, shown: int) -> None:
    (entry,) = made_gallery(tmp_path, 1)
    html = written(tmp_path, plots=[], gallery=[replace(entry, file=made_picture(tmp_path / "large.png", width))])
    with Image.open(io.BytesIO(pictures(html)[0])) as picture:
        assert picture.size[0] == shown
        assert np.abs(np.asarray(picture).astype(int) - 200).max() < 3


def test_a_colour_survives_in_thin_lines(tmp_path: Path) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10] = (255, 220, 0)
    Image.fromarray(image).save(tmp_path / "line.png")
    (entry,) = made_gallery(tmp_path, 1)
    html = written(tmp_path, plots=[], gallery=[replace(entry, file=tmp_path / "line.png")])
    with Image.open(io.BytesIO(pictures(html)[0])) as picture:
        assert np.abs(np.asarray(picture)[5, 10].astype(int) - (255, 220, 0)).max() < 40
