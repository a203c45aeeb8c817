"""The report of a real run, as a file and in a real browser."""

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from sklearn import metrics as sklearn_metrics

import hitofude
from hitofude.inputs.sources import Dataset
from hitofude.runs.result import RunResult

CHROMIUM = shutil.which("chromium")
SETTINGS = {"schedule.epochs": 6, "schedule.min_steps": 0, "optimizer.batch_size": 32, "ensemble.folds": 2}
MAX_BYTES = 5_000_000


@pytest.fixture(scope="module")
def result(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run with ten wrong labels and a leak."""
    labels = dataset.train.known_labels().copy()
    labels[:10] = (labels[:10] + 1) % 10
    assert dataset.test is not None
    images = dataset.test.images.copy()
    images[0] = dataset.train.images[20]
    spoiled = Dataset("digits", replace(dataset.train, labels=labels), replace(dataset.test, images=images))
    folder = tmp_path_factory.mktemp("page") / "run"
    return hitofude.run(spoiled, run=folder, settings=SETTINGS, device="cpu", workers=1, quiet=True)


@pytest.fixture(scope="module")
def page_text(result: RunResult) -> str:
    return result.folder.page.read_text(encoding="utf-8")


def test_the_page_asks_for_nothing_outside_itself(page_text: str) -> None:
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", page_text)
    assert "://" not in page_text
    assert "<script" not in page_text
    assert len(page_text.encode()) < MAX_BYTES


def test_the_page_warns_of_the_leak(page_text: str, result: RunResult) -> None:
    assert result.summary.audit.leaks == 1
    assert "<b>Leak:</b> 1 of the images to predict resembles a training image" in page_text
    listed = pd.read_csv(result.folder.duplicates)
    assert listed.loc[listed["part"] == "test", ["id", "earlier_id"]].to_numpy().tolist() == [[1, 21]]


def test_the_label_issues_are_mostly_the_wrong_labels(result: RunResult) -> None:
    listed = pd.read_csv(result.folder.label_issues)
    assert (listed["id"] <= 10).sum() >= 5
    assert listed["probability_wrong"].between(0, 1).all()


def test_the_figures_for_machines_are_scikit_learns(result: RunResult) -> None:
    content = json.loads(result.folder.report.read_text(encoding="utf-8"))
    answers = result.out_of_fold_probabilities.argmax(axis=1)
    assert content["out_of_fold"]["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(result.labels, answers))
    assert content["confusion"] == sklearn_metrics.confusion_matrix(result.labels, answers).tolist()
    expected = sklearn_metrics.precision_recall_fscore_support(result.labels, answers, zero_division=0)
    found = [[score[name] for score in content["class_scores"]] for name in ("precision", "recall", "f1", "rows")]
    assert np.allclose(found, np.stack(expected))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, result: RunResult, width: int = 1200, scheme: str = "light") -> tuple[Page, list[str]]:
    """Return the page, and its console messages, errors and requests."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page, problems = context.new_page(), list[str]()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    own = result.folder.page.resolve().as_uri()
    page.on("request", lambda request: None if is_within(request.url, own) else problems.append(request.url))
    page.goto(own)
    return page, problems


def is_within(url: str, own: str) -> bool:
    return url == own or url.startswith("data:")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 375])
def test_it_opens_without_error_request_or_horizontal_scrolling(
    browser: Browser, result: RunResult, width: int, scheme: str
) -> None:
    page, problems = opened(browser, result, width, scheme)
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 28)"}[scheme]


def test_a_table_that_a_phone_cannot_show_as_a_whole_has_a_shadow_at_its_edge(
    browser: Browser, result: RunResult
) -> None:
    """A shadow darkens even the lightest pixel of a column."""
    page, _ = opened(browser, result, 375)
    wide = page.locator(".wide").filter(has_text="The accuracy of each network")
    assert wide.evaluate("one => one.scrollWidth > one.clientWidth")

    def edges() -> list[float]:
        shot = np.asarray(Image.open(io.BytesIO(wide.screenshot())).convert("L"), dtype=float)
        return [shot[4:36, column].max() for column in (2, -3)]

    left, right = edges()
    assert right < left - 20, wide.evaluate("one => [one.scrollWidth, one.clientWidth]")
    wide.evaluate("one => one.scrollLeft = one.scrollWidth")
    left, right = edges()
    assert left < right - 20


def test_a_link_leads_back_to_the_top(browser: Browser, result: RunResult) -> None:
    page, _ = opened(browser, result, 375)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.get_by_text("↑ Top").click()
    page.wait_for_function("scrollY < 5")


def test_bars_and_shades_are_printed_in_light_colours(browser: Browser, result: RunResult) -> None:
    page, _ = opened(browser, result, scheme="dark")
    page.emulate_media(media="print")
    for part in (".bars i", ".matrix td.wrong"):
        assert page.locator(part).first.evaluate("one => getComputedStyle(one).printColorAdjust") == "exact"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.get_by_text("↑ Top").is_visible()


def test_it_is_small_enough_to_open_at_once(result: RunResult) -> None:
    assert result.folder.page.stat().st_size < 1_000_000, "bytes, everything included"


def test_a_cell_of_the_confusion_matrix_opens_its_images(browser: Browser, result: RunResult) -> None:
    page, _ = opened(browser, result)
    link = page.locator(".matrix td.wrong a").first
    cell = page.locator(str(link.get_attribute("href")))
    assert not cell.is_visible()
    link.focus()
    page.keyboard.press("Enter")
    assert cell.is_visible()
    assert cell.locator(".image").count() == int(link.inner_text())
    cell.get_by_text("close").click()
    assert not cell.is_visible()


def test_the_images_are_drawn(browser: Browser, result: RunResult) -> None:
    """A screenshot of the hardest one has more than one colour."""
    page, _ = opened(browser, result)
    shot = page.locator("#hardest .image").first.screenshot()
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(shot)).convert("L")))) > 3


def test_every_picture_and_chart_has_a_text(browser: Browser, result: RunResult) -> None:
    page, _ = opened(browser, result)
    assert page.locator("[role=img]").count() > 50
    assert page.locator("[role=img]:not([aria-label])").count() == 0
    assert page.locator("svg:not(:has(> title))").count() == 0
