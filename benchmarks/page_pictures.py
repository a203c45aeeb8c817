"""Take pictures of the page for the documents, in a real browser with a real server.

python -m benchmarks.page_pictures RUN [--folder docs]
python -m benchmarks.page_pictures --review http://127.0.0.1:8001/ [--folder docs]

A two is drawn by the mouse, on a desktop and on a phone, in light and in dark colours; and a photo of generated digits
is read. RUN: a finished run, or its exported model. --review: the address that `hitofude review` printed, of which the
first image is taken, on a desktop. Each picture has at most 256 colours.
"""

import argparse
import io
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.written_digits import _curve, _strokes, write_pictures
from hitofude.export.onnx_export import model_of_run
from hitofude.export.onnx_model import OnnxModel
from hitofude.web.app import create_app
from hitofude.web.server import Server, listening
from hitofude.web.settings import Settings

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
DRAWN = "34,30 38,22 50,16 61,20 65,31 59,45 47,60 34,74 30,80 40,77 52,79 62,81 71,76"
"""A two, in hundredths of the sheet."""
PHOTO_SEED, PHOTO_DIGITS = 100, 300
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-quic"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--review")
    parser.add_argument("--folder", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    if arguments.review is not None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            with _opened(browser, arguments.review, "desktop", "light") as page:
                page.wait_for_selector("#similar img")
                _shoot(page, arguments.folder / "page-review.png")
            browser.close()
    if arguments.run is not None:
        _take_drawings(arguments.run, arguments.folder)


def _take_drawings(run: Path, to: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, _serving(_model(run), Path(folder)) as url:
        photo = Path(folder, "photo.png")
        _choose_photo().save(photo)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            for device in SIZES:
                for scheme in ("light", "dark"):
                    name = f"page-{device}{'-dark' if scheme == 'dark' else ''}.png"
                    _take(browser, url, device, scheme, None, to / name)
            _take(browser, url, "desktop", "light", photo, to / "page-photo.png")
            browser.close()


def _model(run: Path) -> OnnxModel:
    return model_of_run(run) if run.is_dir() else OnnxModel.load(run)


@contextmanager
def _serving(model: OnnxModel, folder: Path) -> Iterator[str]:
    settings = Settings(corrections=folder / "corrections")
    started = threading.Event()
    with listening(settings.host, 0) as listener:
        server = Server(create_app(model, settings), settings, started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        started.wait()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


def _choose_photo() -> Image.Image:
    """Return pen digits on paper with a shadow across: the picture with the most."""
    pictures = write_pictures(PHOTO_DIGITS, PHOTO_SEED)
    fitting = [picture for picture in pictures if "strokes" in picture.kind and "shadow" in picture.kind]
    return max(fitting, key=lambda picture: (len(picture.digits), picture.image.width)).image


@contextmanager
def _opened(browser: Browser, url: str, device: str, scheme: str) -> Iterator[Page]:
    width, height = SIZES[device]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=2 if device == "phone" else 1,
        locale="en-US",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#bars li")
    yield page
    context.close()


def _take(browser: Browser, url: str, device: str, scheme: str, photo: Path | None, path: Path) -> None:
    with _opened(browser, url, device, scheme) as page:
        if photo is None:
            _draw(page)
            page.wait_for_selector("#winner.sure")
        else:
            page.set_input_files("#file", photo)
            page.wait_for_selector("#found small:not(:empty)")
        _shoot(page, path)


def _shoot(page: Page, path: Path) -> None:
    page.wait_for_timeout(800)  # the bars move
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


def _draw(page: Page) -> None:
    """Draw in one stroke, at the speed of a hand."""
    box = page.locator("#sheet").bounding_box()
    assert box is not None
    curve = _curve(_strokes(DRAWN)[0])
    places = np.array([box["x"], box["y"]]) + curve[::6] * [box["width"], box["height"]]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
        page.wait_for_timeout(12)
    page.mouse.up()


if __name__ == "__main__":
    main()
