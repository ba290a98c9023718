"""The report of a comparison in a real browser, opened from disk."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from comparisons import made_comparison
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from reports import DATASETS, SGDC, SMALL, STOCK, made_costs, made_gallery, made_report

from nnunet_sgdc.comparison.report import Report, write_report

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Rootless containers lack the sandbox; all else keeps the browser from traffic of its own.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOSTILE = "<img src=x onerror=alert(1)>"

Open = Callable[[Report], Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh window in which every message, error, dialogue box and request but that for the report is a failure."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    faults: list[str] = []
    context.on("console", lambda message: faults.append(f"console: {message.text}"))
    context.on("weberror", lambda error: faults.append(f"error: {error.error}"))
    context.on("dialog", lambda box: (faults.append(f"box: {box.message}"), box.dismiss()))
    context.on("request", lambda request: faults.append(f"request: {request.url[:99]}"))
    yield context
    context.close()
    faults = [fault for fault in faults if not fault.startswith("request: data:image/")]
    assert len(faults) == 1, faults
    assert faults[0].startswith("request: file://")


@pytest.fixture
def open_report(context: BrowserContext, tmp_path: Path) -> Open:
    def opened(report: Report) -> Page:
        write_report(tmp_path / "report.html", report)
        page = context.new_page()
        page.goto((tmp_path / "report.html").as_uri())
        return page

    return opened


@pytest.fixture
def page(open_report: Open, tmp_path: Path) -> Page:
    return open_report(made_report(tmp_path))


def column(page: Page, name: str, rows: str = "#result-rows") -> list[str]:
    """The texts of the rows that are shown."""
    position = page.locator(f"table:has({rows}) th").all_inner_texts().index(name) + 1
    return page.locator(f"{rows} tr:visible td:nth-child({position})").all_inner_texts()


def head(page: Page, name: str, rows: str = "#result-rows") -> None:
    page.locator(f"table:has({rows})").get_by_role("button", name=name, exact=True).click()


def test_it_opens_from_disk_and_every_picture_is_there(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Trainers compared")
    widths = page.locator("main img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert len(widths) == 7
    assert all(widths)


def test_numbers_are_sorted_as_numbers_up_and_down(open_report: Open, tmp_path: Path) -> None:
    values = {f"trainer{value}": [value, value + 1] for value in (9, 100, -3, -20)}
    page = open_report(made_report(tmp_path, comparisons=[made_comparison(values, "hd95", unit="px")]))
    head(page, "Mean ± SD")
    assert column(page, "Trainer") == ["trainer-20", "trainer-3", "trainer9", "trainer100"]
    head(page, "Mean ± SD")
    assert column(page, "Trainer") == ["trainer100", "trainer9", "trainer-3", "trainer-20"]


def test_numbers_are_sorted_by_what_rounding_hides(open_report: Open, tmp_path: Path) -> None:
    values = {"b": [0.50002, 0.50002], "c": [0.50003, 0.50003], "a": [0.50001, 0.50001]}
    page = open_report(made_report(tmp_path, comparisons=[made_comparison(values)]))
    head(page, "p as tested")
    head(page, "Difference")
    assert column(page, "Trainer") == ["a", "c", "b"]


def test_names_are_sorted_by_the_numbers_in_them(open_report: Open, tmp_path: Path) -> None:
    values = {name: [0.1, 0.2] for name in ("k10", "k9", "K1")}
    page = open_report(made_report(tmp_path, comparisons=[made_comparison(values)]))
    head(page, "Trainer")
    assert column(page, "Trainer") == ["K1", "k9", "k10"]
    head(page, "Trainer")
    assert column(page, "Trainer") == ["k10", "k9", "K1"]


@pytest.mark.parametrize("clicks", [1, 2])
def test_what_is_missing_comes_last_up_and_down(open_report: Open, tmp_path: Path, clicks: int) -> None:
    page = open_report(made_report(tmp_path, cost=made_costs(None, 2.0, 1.0, None)))
    for _ in range(clicks):
        head(page, "Training (h)", "#cost-rows")
    assert column(page, "Training (h)", "#cost-rows")[2:] == ["?", "?"]


def test_sorting_is_announced_and_works_by_key(page: Page) -> None:
    page.get_by_role("button", name="Mean ± SD").focus()
    for direction in ("ascending", "descending", "ascending"):
        page.keyboard.press("Enter")
        expect(page.get_by_role("columnheader", name="Mean ± SD")).to_have_attribute("aria-sort", direction)
    head(page, "Trainer")
    assert page.locator("th[aria-sort]").count() == 1


def test_rows_are_filtered_by_what_is_chosen(page: Page) -> None:
    page.locator("#results select[name=metric]").select_option("hd95 (px) ↓")
    page.locator("#results select[name=trainer]").select_option(SGDC)
    assert column(page, "Trainer") == [SGDC]
    expect(page.locator("#results output")).to_have_text("1 of 6 shown")


def test_rows_are_filtered_by_text_in_any_case(page: Page) -> None:
    page.locator("#results input").fill("_K5")
    assert column(page, "Trainer") == [SMALL, SMALL]
    page.locator("#results input").fill("")
    expect(page.locator("#results output")).to_have_text("6 of 6 shown")


def test_rows_stay_filtered_when_they_are_sorted(page: Page) -> None:
    page.locator("#results select[name=trainer]").select_option(STOCK)
    head(page, "Mean ± SD")
    assert column(page, "Trainer") == [STOCK, STOCK]


def test_gallery_is_filtered_by_case_data_set_and_kind_and_counts(page: Page) -> None:
    shown, count = page.locator("#pictures figure:visible"), page.locator("#gallery output")
    expect(count).to_have_text("6 of 6 shown")
    page.locator("#gallery select[name=dataset]").select_option(DATASETS[0])
    expect(count).to_have_text("3 of 6 shown")
    page.locator("#gallery select[name=shownas]").select_option("best")
    assert [text.split()[0] for text in shown.all_inner_texts()] == ["ISIC_0002"]
    page.locator("#gallery input").fill("0004")
    expect(count).to_have_text("0 of 6 shown")


def test_gallery_is_filtered_by_trainer(open_report: Open, tmp_path: Path) -> None:
    gallery = made_gallery(tmp_path, 3)
    page = open_report(made_report(tmp_path, gallery=[*gallery, replace(gallery[0], trainer=STOCK)]))
    page.locator("#gallery select[name=trainer]").select_option(STOCK)
    expect(page.locator("#pictures figure:visible")).to_have_count(1)


def test_the_text_filter_of_the_gallery_looks_at_cases_only(page: Page) -> None:
    page.locator("#gallery input").fill("lesion")
    expect(page.locator("#gallery output")).to_have_text("0 of 6 shown")


def test_a_hundred_pictures_open_and_are_filtered(open_report: Open, tmp_path: Path) -> None:
    page = open_report(made_report(tmp_path, gallery=made_gallery(tmp_path, 100)))
    page.locator("#gallery input").fill("isic_009")
    expect(page.locator("#gallery output")).to_have_text("10 of 100 shown")


def test_a_picture_is_enlarged_and_escape_closes_it(page: Page) -> None:
    dialog = page.locator("dialog")
    page.locator("#pictures .enlarge").nth(1).click()
    expect(dialog).to_be_visible()
    expect(dialog.locator("figcaption")).to_contain_text("ISIC_0001")
    assert dialog.locator("img").evaluate("image => image.naturalWidth") == 40
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_picture_is_closed_by_its_button_and_by_a_click_beside_it(page: Page) -> None:
    for close in (lambda: page.get_by_role("button", name="Close").click(), lambda: page.mouse.click(5, 5)):
        page.locator("#plots .enlarge").click()
        expect(page.locator("dialog")).to_be_visible()
        close()
        expect(page.locator("dialog")).to_be_hidden()


def test_arrows_go_to_the_pictures_that_are_shown(page: Page) -> None:
    page.locator("#gallery select[name=shownas]").select_option("best")
    page.locator("#pictures .enlarge:visible").first.click()
    caption = page.locator("dialog figcaption")
    for key, case in (("ArrowRight", "0005"), ("ArrowRight", "0005"), ("ArrowLeft", "0002"), ("ArrowLeft", "0002")):
        page.keyboard.press(key)
        expect(caption).to_contain_text(f"ISIC_{case}")


def test_hostile_names_are_text_everywhere(open_report: Open, tmp_path: Path) -> None:
    comparison = made_comparison({STOCK: [0.1, 0.2], HOSTILE: [0.2, 0.1], "\"'</script>": [0.2, 0.1]})
    gallery = [*made_gallery(tmp_path, 1, HOSTILE), *made_gallery(tmp_path, 1, "</figure><script>alert(2)</script>")]
    page = open_report(made_report(tmp_path, title=HOSTILE, comparisons=[comparison], gallery=gallery))
    page.locator("#results select[name=trainer]").select_option(HOSTILE)
    assert column(page, "Trainer") == [HOSTILE]
    page.locator("#gallery select[name=trainer]").select_option(HOSTILE)
    page.locator("#pictures .enlarge:visible").click()
    expect(page.locator("dialog figcaption")).to_contain_text(HOSTILE)


def test_one_metric_and_no_pictures_are_enough(open_report: Open, tmp_path: Path) -> None:
    report = made_report(tmp_path)
    page = open_report(replace(report, comparisons=report.comparisons[:1], gallery=[], plots=[], cost=None))
    head(page, "Mean ± SD")
    expect(page.locator("#results output")).to_have_text("3 of 3 shown")


def test_dark_readers_get_light_text_on_dark_paper(page: Page) -> None:
    brightness = "part => getComputedStyle(document.body)[part].match(/\\d+/g).slice(0, 3).every(value => value > 200)"
    assert [page.evaluate(brightness, part) for part in ("color", "backgroundColor")] == [False, True]
    page.emulate_media(color_scheme="dark")
    assert [page.evaluate(brightness, part) for part in ("color", "backgroundColor")] == [True, False]


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_never_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_controls_are_not_printed(page: Page) -> None:
    page.emulate_media(media="print")
    expect(page.locator("#results .filters")).to_be_hidden()
    expect(page.locator("#results table")).to_be_visible()


def test_without_script_the_report_can_be_read(browser: Browser, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", made_report(tmp_path))
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((tmp_path / "report.html").as_uri())
        expect(page.locator("#results .filters")).to_be_hidden()
        expect(page.locator("#pictures figure")).to_have_count(6)
