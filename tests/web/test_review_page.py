"""The page of a review in a real browser, judged by keyboard alone."""

import re
import shlex
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.label_noise import change_any
from playwright.sync_api import Browser, Page, expect

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import sample
from hitofude.runs.result import load_result
from tests.cli.test_review import reviewing
from tests.conftest import Call, write_csv
from tests.web.browsing import browsing, opened, watched
from tests.web.conftest import PATIENCE, Running, running_app
from tests.web.review_desk import Desk

SETTINGS = {
    "network.name": "cnn-lean", "schedule.epoch_share": "1", "schedule.epochs": "8", "schedule.min_steps": "0",
    "optimizer.batch_size": "32", "ensemble.folds": "3",
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[str, Desk]]]:
    servers = []

    def serve(**how: Any) -> tuple[str, Desk]:
        desk = Desk(tmp_path / "reviewed.csv", **how)
        context = running_app(desk.app, desk.settings)
        servers.append(context)
        return f"http://127.0.0.1:{context.__enter__().port}/", desk

    yield serve
    for context in servers:
        context.__exit__(None, None, None)


Serve = Callable[..., tuple[str, Desk]]
READY = "#place:not(:empty)"


def at(page: Page, text: str) -> None:
    """Wait until the page says so where the reviewer is."""
    expect(page.locator("#place")).to_have_text(text)
    expect(page.locator("body")).not_to_have_attribute("aria-busy", "true")


def test_every_verdict_is_given_by_its_key_and_taken_back(browser: Browser, serve: Serve) -> None:
    url, desk = serve()
    with opened(browser, url, ready=READY) as page:
        at(page, "1 of 3, 0 judged")
        expect(page.locator("#given dd")).to_have_text("3")
        expect(page.locator("#suggested dd")).to_have_text("cat & dog")
        page.keyboard.press("Enter")
        at(page, "2 of 3, 1 judged")
        page.keyboard.press("d")
        at(page, "3 of 3, 2 judged")
        page.keyboard.press("U")
        at(page, "2 of 3, 1 judged")
        page.keyboard.press("k")
        at(page, "3 of 3, 2 judged")
        page.keyboard.press("ArrowLeft")
        at(page, "2 of 3, 2 judged")
        expect(page.locator("#judged")).to_have_text("You judged: kept")
        page.keyboard.press("ArrowRight")
        at(page, "3 of 3, 2 judged")
        page.keyboard.press("s")
        expect(page.locator("#done code")).to_have_text("hitofude run 3")
        expect(page.locator("#outcome")).to_have_text("1 kept, 1 relabelled, 1 skipped")
        page.keyboard.press("Control+z")
        at(page, "3 of 3, 2 judged")
    assert desk.path.read_text() == "id,label,suggested,decision\nid 4,3,cat & dog,relabel\nid 0,3,,keep\n"


def test_another_label_is_typed_or_chosen_with_arrows(browser: Browser, serve: Serve) -> None:
    url, desk = serve()
    with opened(browser, url, ready=READY) as page:
        at(page, "1 of 3, 0 judged")
        page.keyboard.press("r")
        expect(page.locator("#typed")).to_be_focused()
        page.keyboard.type("bird")
        expect(page.locator("#none")).to_have_text("There is no such class.")
        page.keyboard.press("Enter")
        page.keyboard.press("Control+a")
        page.keyboard.type("DOG")
        expect(page.locator("#options [aria-selected=true]")).to_have_text("cat & dog")
        page.keyboard.press("Escape")
        expect(page.locator("#chooser")).to_be_hidden()
        at(page, "1 of 3, 0 judged")
        page.keyboard.press("r")
        page.keyboard.press("ArrowDown")
        expect(page.locator("#options [aria-selected=true]")).to_have_text("<b>")
        page.keyboard.press("Enter")
        at(page, "2 of 3, 1 judged")
        page.keyboard.press("3")  # the third of the likely labels, which is its own
        at(page, "3 of 3, 2 judged")
    assert desk.path.read_text() == "id,label,suggested,decision\nid 4,3,<b>,relabel\nid 0,3,,keep\n"


def test_unlabelled_images_are_labelled_and_another_visit_continues(browser: Browser, serve: Serve) -> None:
    url, desk = serve(labelled=False)
    with opened(browser, url, ready=READY) as page:
        expect(page.locator("#given")).to_be_hidden()
        expect(page.locator("#keep")).to_be_hidden()
        page.keyboard.press("Enter")
        at(page, "2 of 3, 1 judged")
        page.keyboard.press("k")  # means nothing here
    with opened(browser, url, ready=READY, locale="ja-JP") as page:
        at(page, "3 枚中 2 枚目、判断済み 1 枚")
    assert desk.path.read_text() == "id,label,decision\nid 4,cat & dog,label\n"


def test_what_changes_is_said_and_the_focus_stays_on_the_image(browser: Browser, serve: Serve) -> None:
    url, _ = serve()
    with opened(browser, url, ready=READY) as page:
        at(page, "1 of 3, 0 judged")
        expect(page.locator("#said")).to_contain_text("1 of 3, 0 judged. Label 3, suggested cat & dog.")
        page.locator("#keep").click()
        at(page, "2 of 3, 1 judged")
        expect(page.locator("#card")).to_be_focused()
        expect(page.locator("#said")).to_contain_text("a copy of this image has another label")
        page.keyboard.press("Tab")
        expect(page.locator("#accept")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # presses the button that has the focus
        at(page, "3 of 3, 2 judged")
        expect(page.locator("#said")).to_contain_text("3 of 3, 2 judged")


def test_the_page_fits_a_phone_in_japanese(browser: Browser, serve: Serve) -> None:
    url, _ = serve()
    phone: dict[str, Any] = {"viewport": {"width": 375, "height": 740}, "locale": "ja-JP", "color_scheme": "dark"}
    with opened(browser, url, ready=READY, **phone) as page:
        at(page, "3 枚中 1 枚目、判断済み 0 枚")
        page.keyboard.press("r")
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        for button in page.locator("button:visible").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44


def test_a_server_that_is_gone_is_said_so_and_the_verdict_is_kept_when_it_is_back(
    browser: Browser, serve: Serve
) -> None:
    url, desk = serve()
    with watched(browser, url, ready=READY) as (page, _):
        at(page, "1 of 3, 0 judged")
        page.route("**/api/judgements", lambda route: route.abort())
        page.keyboard.press("d")
        expect(page.locator("#banner")).to_contain_text("The server does not answer")
        page.keyboard.press("k")  # counts for nothing meanwhile
        page.unroute("**/api/judgements")
        at(page, "2 of 3, 1 judged")
        expect(page.locator("#banner")).to_be_hidden()
    assert desk.path.read_text() == "id,label,suggested,decision\nid 4,3,,drop\n"


def noisy(folder: Path) -> ImageSet:
    """Write 1,000 digits, 60 of them with wrong labels, to train on; return them with their right labels."""
    right = sample().train.take(np.arange(1000))
    wrong = change_any(right.known_labels(), 0.06, 10, np.random.default_rng(0))
    folder.mkdir()
    write_csv(folder / "train.csv", replace(right, labels=wrong))
    return right


def judge_truly(page: Page, server: Running, right: dict[str, str], images: int) -> None:
    """Judge each image as its right label says, by keyboard alone; every tenth is taken back and judged again."""
    for item in range(images):
        at(page, f"{item + 1} of {images}, {item} judged")
        shown = server.get(f"/api/items/{item}").json
        truth = right[shown["id"]]
        key = "k" if truth == shown["label"] else "Enter" if truth == shown["suggested"] else truth
        if item % 10 == 9:
            page.keyboard.press("d")
            if item + 1 == images:
                expect(page.locator("#done")).to_be_visible()
            else:
                at(page, f"{item + 2} of {images}, {item + 1} judged")
            page.keyboard.press("u")
            at(page, f"{item + 1} of {images}, {item} judged")
        page.keyboard.press(key)


@pytest.mark.slow
def test_fifty_suspects_judged_by_keyboard_make_the_next_run_better(
    browser: Browser, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = noisy(tmp_path / "noisy")
    right = {id: images.classes[label] for id, label in zip(images.ids.tolist(), images.known_labels(), strict=True)}
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    code, _, error = call("run", "noisy", *settings, "--workers", "1", "--threads", "1", "--run", "runs/first")
    assert code == 0, error
    with reviewing("runs/first", "--count", "50") as (process, server):
        with opened(browser, f"http://127.0.0.1:{server.port}/", ready=READY) as page:
            judge_truly(page, server, right, 50)
            expect(page.locator("#done")).to_be_visible()
            command = page.locator("#done code").inner_text()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
    assert command in said
    assert "50 of 50 judged" in said
    code, said, error = call(*shlex.split(command)[1:], "--run", "runs/second")
    assert code == 0, error
    assert re.search(r"of runs/first/reviewed.csv relabelled", " ".join(said.split()) + " ".join(error.split()))
    before, after = load_result("runs/first"), load_result("runs/second")
    assert after.accuracy.value > before.accuracy.value + 0.02
    truly = [right_answers(result, right) for result in (before, after)]
    assert truly[1] > truly[0]


def right_answers(result: Any, right: dict[str, str]) -> int:
    """Count the out-of-fold answers that are the images' right labels."""
    answers = np.asarray(result.classes)[result.out_of_fold_probabilities.argmax(axis=1)]
    return sum(right[id] == answer for id, answer in zip(result.ids.tolist(), answers.tolist(), strict=True))
