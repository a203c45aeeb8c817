"""The page in a real browser, from a real server and as files on a plain host, drawn on with a real mouse."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from benchmarks.written_digits import write_pictures
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from hitofude.export.onnx_export import export_onnx
from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset, open_source, sample
from hitofude.metrics.calibration import Cascade, Stage
from hitofude.prediction.explanation import explain_images
from hitofude.runs.pipeline import run as run_pipeline
from hitofude.web.settings import Settings
from tests.web.browsing import ANSWERED, answer, browsing, opened, watched
from tests.web.conftest import Running, running
from tests.web.contrast import contrasts, ground
from tests.web.handwriting import DIGITS, write
from tests.web.sites import FOLDER, hosting, write_site
from tests.web.tiny_model import write_tiny_model

SETTINGS = {"rows": 2000, "schedule.epochs": 5, "schedule.min_steps": 0, "ensemble.folds": 2}
BOTH = pytest.mark.parametrize("site", ["served", pytest.param("static", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two members, trained on 1,000 digits each for some seconds."""
    folder = tmp_path_factory.mktemp("page") / "digits"
    run_pipeline(Dataset("digits", sample().train), run=folder, settings=SETTINGS, device="cpu", quiet=True)
    return folder


@pytest.fixture(scope="module")
def model(trained: Path) -> OnnxModel:
    export_onnx(trained, trained / "model.onnx", images=100)
    return OnnxModel.load(trained / "model.onnx")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder of corrections."""
    return tmp_path_factory.mktemp("kept") / "corrections"


@pytest.fixture(scope="module")
def server(model: OnnxModel, kept: Path) -> Iterator[Running]:
    with running(model, Settings(corrections=kept)) as server:
        yield server


@pytest.fixture(scope="module")
def sites(
    server: Running, trained: Path, model: OnnxModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """Return the page's address, served or static."""
    root = tmp_path_factory.mktemp("host")
    with ExitStack() as stack:

        def address(kind: str) -> str:
            if kind == "served":
                return f"http://127.0.0.1:{server.port}/"
            if not (root / FOLDER).exists():
                write_site(root / FOLDER, trained / "model.onnx", model)
            return f"{stack.enter_context(hosting(root))}{FOLDER}/"

        yield address


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, sites: Callable[[str], str]) -> str:
    return sites(request.param)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    with opened(browser, site) as page:
        yield page


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The picture with the most digits among thirty, and its digits."""
    written = max(write_pictures(30, seed=7), key=lambda picture: len(picture.digits))
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    written.image.save(path)
    return path, written.digits


@BOTH
def test_a_scribble_is_none_of_these(page: Page) -> None:
    ends = [(place, 10 + 80 * (turn % 2)) for turn, place in enumerate(range(10, 91, 8))]
    write(page, " | ".join(" ".join(f"{x},{y}" for x, y in way) for way in (ends, [(y, x) for x, y in ends])))
    page.wait_for_selector(f"#answer[aria-busy=false] {ANSWERED}")
    expect(page.locator("#winner strong")).to_have_text("None of these")
    expect(page.locator("#winner p")).to_have_text(re.compile("Unlike the training images; perhaps [0-9]"))


EXPLAINED = """async ([pixels, label]) => {
  const [{ explained }, { openRuntime }, model] = await Promise.all([
    import("./why.js"), import("./runtime-server.js"), fetch("api/model").then((found) => found.json())]);
  return [...(await explained(openRuntime().predict, model, Uint8Array.from(pixels), label))];
}"""


def test_why_marks_what_the_answer_rests_on_and_a_new_answer_takes_the_marks_away(
    browser: Browser, server: Running
) -> None:
    with opened(browser, f"http://127.0.0.1:{server.port}/") as page:
        write(page, DIGITS["7"][0])
        label, caption, why = answer(page), page.locator("#seen figcaption"), page.locator("#why")
        why.click()
        expect(caption).to_have_text(f"Red: {label} rests on it. Blue: it speaks against {label}.")
        expect(why).to_have_attribute("aria-pressed", "true")
        why.click()
        expect(caption).to_have_text("What the network sees: 28 × 28")
        why.click()
        expect(why).to_have_attribute("aria-pressed", "true")
        page.locator("#clear").click()
        expect(why).to_be_hidden()
        write(page, DIGITS["3"][0])
        answer(page)
        expect(caption).to_have_text("What the network sees: 28 × 28")
        expect(why).to_have_attribute("aria-pressed", "false")


def test_the_page_explains_as_python_does(browser: Browser, server: Running, model: OnnxModel) -> None:
    image = sample().train.images[:1]
    expected = explain_images(lambda images: model.predict(images)[0], image, 0)[0]
    with opened(browser, f"http://127.0.0.1:{server.port}/") as page:
        label = model.classes[int(model.predict(image)[0].argmax())]
        found = page.evaluate(EXPLAINED, [image.ravel().tolist(), label])
    np.testing.assert_allclose(np.reshape(found, (28, 28)), expected, atol=0.02)


@pytest.mark.slow
def test_the_exported_page_scores_novelty_as_python_does(
    browser: Browser, sites: Callable[[str], str], model: OnnxModel
) -> None:
    images = np.concatenate([sample().train.images[:3], np.full((1, 1, 28, 28), 255, dtype=np.uint8)])
    with opened(browser, sites("static")) as page:
        found = page.evaluate(
            """async (images) => {
              const runtime = (await import("./runtime-browser.js")).openRuntime(() => {});
              await runtime.model();
              return (await runtime.predict(images.map((one) => Uint8Array.from(one)))).map(({ novelty }) => novelty);
            }""",
            images.reshape(4, -1).tolist(),
        )
    np.testing.assert_allclose(found, model.answer(images).novelty, atol=1e-4)


@pytest.mark.slow
@BOTH
def test_eighteen_of_twenty_digits_are_recognised(page: Page) -> None:
    written, answers = "", ""
    for digit, ways in DIGITS.items():
        for strokes in ways:
            write(page, strokes)
            written, answers = written + digit, answers + answer(page)
            page.keyboard.press("Escape")
    right = sum(a == b for a, b in zip(written, answers, strict=True))
    print(f"{right} of {len(written)} recognised")
    assert right >= 18, f"{written} was answered {answers}"


@BOTH
def test_strokes_are_taken_back_and_cleared(page: Page) -> None:
    write(page, DIGITS["7"][1])
    assert answer(page) == "7"
    write(page, "20,85 80,85")
    ink = drawn(page)
    page.get_by_role("button", name="Undo").click()
    assert answer(page) == "7"
    assert drawn(page) < ink
    page.get_by_role("button", name="Redo").click()
    assert drawn(page) == ink
    page.get_by_role("button", name="Clear").click()
    assert drawn(page) == 0
    expect(page.locator("#winner")).to_contain_text("answers while you write")
    page.keyboard.press("Control+z")
    assert drawn(page) == ink


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_clearing_lifts_the_pen(page: Page) -> None:
    page.get_by_role("application").hover()
    page.mouse.down()
    page.mouse.move(400, 300)
    page.keyboard.press("Delete")
    page.mouse.move(300, 300)
    assert drawn(page) == 0
    page.mouse.up()
    write(page, DIGITS["1"][0])
    assert answer(page) == "1"


def drawn(page: Page) -> int:
    """Count the pixels of the sheet that have ink."""
    script = """sheet => {
        const copy = new OffscreenCanvas(sheet.width, sheet.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(sheet, 0, 0);
        const { data } = copy.getImageData(0, 0, sheet.width, sheet.height);
        return data.filter((value, i) => i % 4 === 3 && value).length;
    }"""
    return int(page.locator("#sheet").evaluate(script))


@pytest.mark.slow
@pytest.mark.parametrize("site", ["static"], indirect=True)
def test_the_answer_comes_with_probabilities_members_and_what_is_seen(page: Page) -> None:
    write(page, DIGITS["1"][0])
    assert answer(page) == "1"
    assert page.locator("#bars li").count() == 10
    assert page.locator("#members li").all_inner_texts() == ["1", "1"]
    assert page.locator("#members p").inner_text() == "2 of 2 networks agree"
    size = page.locator("#seen canvas").evaluate("canvas => [canvas.width, canvas.height]")
    assert size == [28, 28]


@pytest.mark.parametrize(
    ("held", "shown", "hint"),
    [
        (["4", "9", "7"], "4 or 9 or 7", "Such a choice holds the right answer for 95\u00a0% of images."),
        (["4"], "4 or 9", ""),
        (["4", "9", "7", "1"], "4 or 9", ""),
    ],
)
@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_an_answer_that_is_not_sure_is_its_prediction_set_or_the_two_likeliest(
    page: Page, held: list[str], shown: str, hint: str
) -> None:
    page.evaluate(SHOW, held)
    expect(page.locator("#winner strong")).to_have_text(shown)
    expect(page.locator("#winner")).to_have_attribute("title", hint)
    expect(page.locator("#winner p")).to_have_text("Not sure")


SHOW = """async (held) => {
  const { Answer } = await import("./answer.js");
  const classes = [..."0123456789"];
  const probabilities = classes.map((label) => ({ 4: 0.5, 9: 0.3, 7: 0.15, 1: 0.05 })[label] ?? 0);
  const model = { classes, image_shape: [1, 28, 28], networks: ["one"] };
  const prediction = { label: "4", probability: 0.5, sure: false, probabilities, members: [probabilities], set: held };
  new Answer(document.body, model).show(prediction);
}"""


@pytest.mark.parametrize(
    ("asked", "marks", "sentence"),
    [
        (1, ["9"], "clear to the first of 3 networks; the others were not asked"),
        (2, ["9", "4"], "1 of the 2 networks asked agree; the others of 3 were not needed"),
        (3, ["4", "7", "9"], "1 of 3 networks agree"),
    ],
)
@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_the_answers_of_the_members_that_were_asked_are_shown(
    page: Page, asked: int, marks: list[str], sentence: str
) -> None:
    page.evaluate(SHOW_MEMBERS, asked)
    assert page.locator("#members li").all_inner_texts() == marks
    assert page.locator("#members p").inner_text() == sentence


SHOW_MEMBERS = """async (asked) => {
  const { Answer } = await import("./answer.js");
  const classes = [..."0123456789"];
  const sure = (answer) => classes.map((label) => (label === answer ? 0.91 : 0.01));
  const networks = ["one", "two", "three"];
  const cascade = { stages: [{ member: 2, threshold: 0.9 }, { member: 0, threshold: 0.9 }] };
  const members = ["4", "7", "9"].map(sure);
  const model = { classes, image_shape: [1, 28, 28], networks, cascade };
  const prediction = { label: "9", probability: 0.91, sure: true, probabilities: sure("9"), members, asked };
  new Answer(document.body, model).show(prediction);
}"""


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_the_browser_counts_the_members_asked_as_python_does(page: Page) -> None:
    members = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 60)).astype(np.float32)
    cascade = Cascade((Stage(3, 0.8, 0.2), Stage(0, 0.6, 0.2), Stage(4, 0.55, 0.2)), 0.0)
    script = """async ([stages, images]) => {
        const { countAsked } = await import("./runtime-browser.js");
        return images.map((members) => countAsked(stages, members));
    }"""
    stages = [asdict(stage) for stage in cascade.stages]
    found = page.evaluate(script, [stages, members.transpose(1, 0, 2).tolist()])
    assert found == cascade.count_asked(members).tolist()


@BOTH
def test_the_digits_of_a_photo_are_found_answered_and_corrected(page: Page, photo: tuple[Path, str]) -> None:
    path, digits = photo
    page.set_input_files("#file", path)
    page.wait_for_selector("#found small:not(:empty)")
    found = [text.rstrip("?") for text in page.locator("#found b").all_inner_texts()]
    assert sum(a == b for a, b in zip(found, digits, strict=True)) >= len(digits) - 2
    assert page.locator("#picture .box").count() == len(digits)
    page.locator("#found button").nth(1).click()
    assert page.locator("#bars .best b").inner_text() == found[1]
    correct(page, digits[1])
    assert page.locator("#found b").nth(1).inner_text() == digits[1]
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_visible()


@pytest.mark.parametrize(
    ("site", "event"), [("served", "drop"), pytest.param("static", "paste", marks=pytest.mark.slow)], indirect=["site"]
)
def test_a_photo_is_dropped_or_pasted(page: Page, photo: tuple[Path, str], event: str) -> None:
    path, digits = photo
    page.evaluate(
        """([kind, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(bytes)], "photo.png", { type: "image/png" }));
            const event = kind === "drop" ? new DragEvent(kind, { dataTransfer: data, cancelable: true, bubbles: true })
                                          : new ClipboardEvent(kind, { clipboardData: data, bubbles: true });
            document.querySelector("main").dispatchEvent(event);
        }""",
        [event, list(path.read_bytes())],
    )
    expect(page.locator("#found button")).to_have_count(len(digits))


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_what_is_no_picture_and_what_is_empty_is_said(page: Page) -> None:
    page.set_input_files("#file", {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    expect(page.get_by_role("alert")).to_contain_text("cannot be read")
    blank = io.BytesIO()
    Image.new("RGB", (200, 100), "white").save(blank, "PNG")
    page.set_input_files("#file", {"name": "blank.png", "mimeType": "image/png", "buffer": blank.getvalue()})
    expect(page.get_by_role("alert")).to_contain_text("No writing found")
    write(page, DIGITS["1"][0])
    assert answer(page) == "1"
    expect(page.get_by_role("alert")).to_be_hidden()


def correct(page: Page, label: str) -> None:
    page.get_by_role("button", name="That was wrong").click()
    page.keyboard.press(label)
    expect(page.locator("#thanks")).to_contain_text(f"Kept as {label}")


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_the_server_keeps_what_was_wrong(page: Page, server: Running, kept: Path) -> None:
    before = server.get("/api/corrections").json["total"]
    write(page, DIGITS["7"][0])
    answer(page)
    correct(page, "1")
    expect(page.locator("#kept")).to_contain_text(f"{before + 1} kept")
    learned = open_source(kept).train
    assert len(learned) == before + 1


@pytest.mark.slow
@pytest.mark.parametrize("site", ["static"], indirect=True)
def test_the_browser_keeps_what_was_wrong_as_a_table_to_learn_from(page: Page, tmp_path: Path) -> None:
    for label in ("3", "4"):
        write(page, DIGITS[label][0])
        answer(page)
        correct(page, label)
        page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#kept")).to_contain_text("2 kept in this browser")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "train.csv")
    learned: ImageSet = open_source(tmp_path / "train.csv").train
    assert [learned.classes[label] for label in learned.known_labels()] == ["3", "4"]
    assert np.all(learned.images.reshape(2, -1).max(axis=1) == 255)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Really delete 2?").click()
    expect(page.locator("#kept")).to_be_hidden()


@pytest.mark.slow
@pytest.mark.parametrize("site", ["static"], indirect=True)
def test_a_browser_that_keeps_nothing_says_so(page: Page) -> None:
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }; }")
    write(page, DIGITS["3"][0])
    answer(page)
    page.get_by_role("button", name="That was wrong").click()
    page.keyboard.press("8")
    expect(page.get_by_role("alert")).to_contain_text("no more room")
    expect(page.get_by_role("button", name="That was wrong")).to_be_visible()


@BOTH
def test_it_speaks_two_languages_and_remembers_which(page: Page) -> None:
    write(page, DIGITS["1"][0])
    answer(page)
    page.get_by_role("button", name="日本語").click()
    assert page.locator("html").get_attribute("lang") == "ja"
    expect(page.get_by_role("button", name="元に戻す")).to_be_visible()
    visible = re.sub("Ctrl|Delete|hitofude run", "", page.locator("main").inner_text())
    assert not re.search("[A-Za-z]{3,}", visible), visible
    page.reload()
    expect(page.get_by_role("button", name="消去")).to_be_visible()
    page.get_by_role("button", name="English").click()
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_the_browsers_language_comes_first(browser: Browser, site: str) -> None:
    with opened(browser, site, locale="ja-JP") as page:
        assert page.locator("html").get_attribute("lang") == "ja"


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_a_digit_is_drawn_with_the_keyboard_alone(page: Page) -> None:
    page.get_by_role("application").focus()
    for key, times in {"ArrowUp": 8, "Space": 1, "ArrowDown": 16}.items():
        for _ in range(times):
            page.keyboard.press(key)
    page.keyboard.press("Space")
    assert answer(page) == "1"
    expect(page.get_by_role("status")).to_contain_text("1")


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_everything_is_reached_by_tab_and_has_a_name(page: Page) -> None:
    write(page, DIGITS["4"][0])
    answer(page)
    names = []
    page.get_by_role("button", name="日本語").focus()
    for _ in range(8):
        names.append(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()"))
        page.keyboard.press("Tab")
    assert names == ["日本語", "Light or dark", "Drawing sheet", "Undo", "Clear", "Photo", "Why?", "That was wrong"]
    assert page.locator("#stage canvas:not([aria-label]), [role=img]:not([aria-label])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_colours_have_contrast_and_the_theme_is_chosen(browser: Browser, site: str, scheme: str) -> None:
    with opened(browser, site, color_scheme=scheme) as page:
        before = contrasts(page)
        page.get_by_role("button", name="Light or dark").click()
        assert ground(page) == {"light": (20, 24, 28), "dark": (255, 255, 255)}[scheme]
        assert min(before + contrasts(page)) >= 4.5
        page.reload()
        assert ground(page) == {"light": (20, 24, 28), "dark": (255, 255, 255)}[scheme]


@pytest.mark.parametrize("locale", ["en-US", "ja-JP"])
@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_nothing_scrolls_sideways(browser: Browser, site: str, locale: str, photo: tuple[Path, str]) -> None:
    with opened(browser, site, locale=locale) as page:
        write(page, DIGITS["3"][0])
        answer(page)
        page.locator("#wrong").click()
        assert_fits(page)
        page.set_input_files("#file", photo[0])
        page.wait_for_selector("#found small:not(:empty)")
        assert_fits(page)


def assert_fits(page: Page) -> None:
    for width in (1280, 700, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_a_server_that_went_is_waited_for(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.route("**/api/predict", lambda route: route.abort("connectionrefused"))
        write(page, DIGITS["1"][0])
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        page.unroute("**/api/predict")
        assert answer(page) == "1"
        expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_a_busy_server_is_asked_again_when_it_says(browser: Browser, site: str) -> None:
    with watched(browser, site) as (page, _):
        page.route("**/api/predict", lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}))
        write(page, DIGITS["1"][0])
        expect(page.get_by_role("alert")).to_contain_text("busy")
        page.unroute("**/api/predict")
        assert answer(page) == "1"


@pytest.mark.slow
@pytest.mark.parametrize("site", ["static"], indirect=True)
def test_networks_that_cannot_be_loaded_are_told_of(browser: Browser, site: str) -> None:
    with watched(browser, site, service_workers="block") as (page, _):
        page.route("**/model.onnx", lambda route: route.fulfill(status=404))
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("model.onnx: 404")
        expect(page.locator("#loading")).to_be_hidden()


@pytest.mark.parametrize(
    ("classes", "shape"),
    [
        (tuple("ABCDEFGHIJKLMNO"), (1, 40, 40)),
        (("<b>cat</b>", "a very long label", "dog"), (3, 32, 32)),
        (("あ", "い"), (1, 20, 60)),
    ],
    ids=["letters", "words in colour", "wide"],
)
def test_it_is_made_of_what_the_model_says(
    browser: Browser, classes: tuple[str, ...], shape: tuple[int, int, int], tmp_path: Path
) -> None:
    model = OnnxModel.load(write_tiny_model(tmp_path / "model.onnx", classes, shape))
    with (
        running(model, Settings(corrections=tmp_path / "kept")) as server,
        opened(browser, f"http://127.0.0.1:{server.port}/") as page,
    ):
        write(page, "30,30 50,50 70,70")
        assert answer(page) in classes
        assert page.locator("#bars li").count() == min(len(classes), 10)
        size = page.locator("#seen canvas").evaluate("canvas => [canvas.height, canvas.width]")
        assert size == list(shape[1:])
        page.get_by_role("button", name="That was wrong").click()
        page.locator("#choices button").last.click()
        expect(page.locator("#thanks")).to_contain_text(classes[-1])
        assert_fits(page)
