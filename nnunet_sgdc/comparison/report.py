"""The report of a comparison: one HTML file that opens from disk and never asks a network for anything.

Pictures, style and script stand in the file, and its content security policy forbids all else. Names from outside, such
as those of trainers and cases, are escaped.
"""

import base64
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup
from PIL import Image

from nnunet_sgdc.comparison.headlines import Headline, headlines
from nnunet_sgdc.comparison.report_table import choices, costs_table, results_table
from nnunet_sgdc.comparison.results import MetricComparison

# Gallery pictures wider than this are reduced, in pixels; a hundred of them still open at once.
PICTURE_WIDTH = 1600
JPEG_QUALITY = 85
CSS_DOTS_PER_INCH = 96
POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Plot:
    """A plot.

    Attributes:
        caption: What it shows and how it is read.
        file: A picture.
    """

    caption: str
    file: Path


@dataclass(frozen=True)
class GalleryEntry:
    """One case of one trainer.

    Attributes:
        dataset: The set of cases.
        trainer: The trainer.
        case: Identifier of the case.
        kind: What it is shown for: "best", "median" or "worst".
        class_name: The class that it was chosen by.
        scores: Its scores as text.
        file: A picture of it.
    """

    dataset: str
    trainer: str
    case: str
    kind: str
    class_name: str
    scores: str
    file: Path

    @property
    def chosen(self) -> dict[str, str]:
        """What it can be chosen by."""
        return {"Data set": self.dataset, "Trainer": self.trainer, "Class": self.class_name, "Shown as": self.kind}


@dataclass(frozen=True)
class Report:
    """What the report says.

    Attributes:
        title: The headline.
        comparisons: The results; at least one.
        cost: What training cost, as `cost_table` gives it; None leaves it out.
        plots: The plots, in their order.
        gallery: The cases that are shown, in their order.
        definitions: What each metric is, by its name.
        provenance: Where everything comes from: for each section the name and value of each item.
        notes: What the reader must know, in sentences.
    """

    title: str
    comparisons: Sequence[MetricComparison]
    cost: pd.DataFrame | None = None
    plots: Sequence[Plot] = ()
    gallery: Sequence[GalleryEntry] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_report(file: Path, report: Report) -> None:
    """Write the report.

    Args:
        file: Where the HTML goes.
        report: What it says.
    """
    style, script = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    html = _template().render(
        report=report,
        verdicts=_by_heading(headlines(report.comparisons)),
        counts=Counter(headline.kind for headline in headlines(report.comparisons)),
        results=results_table(report.comparisons),
        cost=None if report.cost is None else costs_table(report.cost),
        plots=[(plot, _plot_picture(plot.file)) for plot in report.plots],
        gallery=[(entry, _gallery_picture(entry.file)) for entry in report.gallery],
        choices=choices,
        style=Markup(style),
        script=Markup(script),
        policy=f"{POLICY}; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
    )
    file.write_text(html, encoding="utf-8", newline="\n")


@dataclass(frozen=True)
class _Picture:
    """A picture inside the file.

    Attributes:
        source: Its data as a URI.
        width: Of the picture on the page, in pixels of CSS.
        height: Likewise.
    """

    source: str
    width: int
    height: int


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nnunet_sgdc.comparison", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def _by_heading(verdicts: Sequence[Headline]) -> dict[str, list[Headline]]:
    found: dict[str, list[Headline]] = defaultdict(list)
    for headline in verdicts:
        found[f"{headline.dataset}, {headline.class_name}"].append(headline)
    return dict(found)


def _plot_picture(file: Path) -> _Picture:
    """A plot as it is, as large as it was drawn for."""
    with Image.open(file) as image:
        scale = CSS_DOTS_PER_INCH / image.info.get("dpi", (CSS_DOTS_PER_INCH,))[0]
        width, height = (round(scale * length) for length in image.size)
        return _Picture(_uri(file.read_bytes(), Image.MIME[image.format or "PNG"]), width, height)


def _gallery_picture(file: Path) -> _Picture:
    """A photograph reduced and compressed; without subsampling, which would smear coloured contours."""
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    image.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return _Picture(_uri(content.getvalue(), "image/jpeg"), *image.size)


def _uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    """What a content security policy knows an inline style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
