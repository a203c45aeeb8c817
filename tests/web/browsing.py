"""The page in a real browser, and what it complains of."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-quic"]
ANSWERED = "#winner:is(.sure, .unsure)"


@contextmanager
def browsing() -> Iterator[Browser]:
    """Skips the test where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("chromium is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """The page, ready to draw on. At the end it must not have complained, nor asked another address for anything."""
    with watched(browser, url, **context) as (page, complaints):
        yield page
        assert not complaints, complaints


@contextmanager
def watched(browser: Browser, url: str, **context: Any) -> Iterator[tuple[Page, list[str]]]:
    """The page, ready to draw on, and what it complains of."""
    chosen = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", "reduced_motion": "reduce", **context}
    complaints = list[str]()
    surroundings = browser.new_context(**chosen)
    page = surroundings.new_page()
    page.set_default_timeout(20_000)
    page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if is_own(request.url, url) else complaints.append(request.url))
    page.goto(url)
    page.wait_for_selector("#bars li")
    yield page, complaints
    surroundings.close()


def is_own(asked: str, url: str) -> bool:
    return asked.startswith((url, "data:", f"blob:{url}"))


def answer(page: Page) -> str:
    """The likeliest class, when the prediction of all that was drawn is there."""
    page.wait_for_selector(f"#answer[aria-busy=false] {ANSWERED}")
    return page.locator("#bars .best b").inner_text()
