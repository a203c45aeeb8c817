"""The page in a real browser, and its console messages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=20_000)
CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-quic"]
READY = "#bars li"
ANSWERED = "#winner:is(.sure, .unsure)"


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start Chromium; skip the test if it is not installed."""
    if CHROMIUM is None:
        pytest.skip("chromium is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, ready: str = READY, **context: Any) -> Iterator[Page]:
    """Open the page. At the end there must be no errors or warnings, and no requests to other addresses."""
    with watched(browser, url, ready, **context) as (page, complaints):
        yield page
        assert not complaints, complaints


@contextmanager
def watched(browser: Browser, url: str, ready: str = READY, **context: Any) -> Iterator[tuple[Page, list[str]]]:
    """Open the page; the list gets its errors, warnings and requests to other addresses.

    ready: selects an element that a page has when it is ready; by default of the drawing page.
    """
    chosen = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", "reduced_motion": "reduce", **context}
    complaints = list[str]()
    surroundings = browser.new_context(**chosen)
    page = surroundings.new_page()
    page.set_default_timeout(20_000)
    page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if is_own(request.url, url) else complaints.append(request.url))
    page.goto(url)
    page.wait_for_selector(ready)
    yield page, complaints
    surroundings.close()


def is_own(asked: str, url: str) -> bool:
    return asked.startswith((url, "data:", f"blob:{url}"))


def answer(page: Page) -> str:
    """Wait for the prediction of the whole drawing; return the likeliest class."""
    page.wait_for_selector(f"#answer[aria-busy=false] {ANSWERED}")
    return page.locator("#bars .best b").inner_text()
