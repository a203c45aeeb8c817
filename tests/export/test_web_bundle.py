"""The page as files, which tests/web opens in a browser; npm fetches onnxruntime-web from a registry of ours."""

import base64
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from hitofude.errors import InputError, RunFolderError
from hitofude.export import web_bundle
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.web_bundle import FILES, NAME, VERSION, browser_runtime, export_web, static_page_files
from hitofude.inputs.remote.download import CACHE_VARIABLE
from hitofude.runs.result import RunResult
from tests.loopback import Server, saying, serving, status, whole

NEEDS_NPM = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def packed(**changed: bytes) -> bytes:
    """A package of the right files, with something else within."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        manifest = f'{{"name": "{NAME}", "version": "{VERSION}"}}'.encode()
        contents = {f"package/dist/{name}": name.encode() for name in FILES}
        for name, content in {"package/package.json": manifest, **contents, **changed}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def sha512(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """A package that is the right one; the cache is empty."""
    content = packed()
    monkeypatch.setattr(web_bundle, "SHA512", sha512(content))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return content


def publish(server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    tarball = server.url(f"/{NAME}/-/{NAME}-{VERSION}.tgz", whole(content))
    dist = {"tarball": tarball, "integrity": f"sha512-{sha512(content)}"}
    versions = {VERSION: {"name": NAME, "version": VERSION, "dist": dist}}
    registry = server.url(f"/{NAME}", saying({"name": NAME, "versions": versions, "dist-tags": {"latest": VERSION}}))
    monkeypatch.setenv("npm_config_registry", registry.removesuffix(NAME))
    monkeypatch.setenv("npm_config_cache", str(home / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")


@NEEDS_NPM
def test_it_is_fetched_once(package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        publish(server, package, monkeypatch, tmp_path)
        assert browser_runtime() == {name: name.encode() for name in FILES}
        asked = len(server.requests)
        assert browser_runtime().keys() == set(FILES)
    assert asked == len(server.requests) > 0


@NEEDS_NPM
def test_another_package_of_that_name_is_not_kept(
    package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        publish(server, packed(evil=b"!"), monkeypatch, tmp_path)
        with pytest.raises(InputError, match=f"is not {NAME} {VERSION} as published"):
            browser_runtime()
    assert not list((tmp_path / "cache").rglob("*.tgz"))


@NEEDS_NPM
def test_a_registry_that_does_not_answer_is_explained(
    package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        publish(server, package, monkeypatch, tmp_path)
        server.answers[f"/{NAME}"] = status(503)
        with pytest.raises(InputError, match=r"npm could not fetch onnxruntime-web: .*name it with --onnxruntime-web"):
            browser_runtime()


def test_without_npm_it_says_how_to_do_without(package: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"npm is not installed\. Install Node\.js.*`npm pack onnxruntime-web@"):
        browser_runtime()


def test_a_file_that_was_brought_is_taken(package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "brought.tgz").write_bytes(package)
    assert browser_runtime(tmp_path / "brought.tgz").keys() == set(FILES)
    with pytest.raises(InputError, match=r"nowhere\.tgz: cannot be read: No such file"):
        browser_runtime(tmp_path / "nowhere.tgz")


def test_a_folder_holds_the_page_the_model_and_what_computes_it(
    finished: RunResult, tmp_path: Path, package: bytes
) -> None:
    (tmp_path / "package.tgz").write_bytes(package)
    written = export_web(finished.folder.path, tmp_path / "site", images=50, package=tmp_path / "package.tgz")
    model = OnnxModel.load(tmp_path / "site" / "model.onnx")
    said = json.loads((tmp_path / "site" / "model.json").read_text(encoding="utf-8"))
    assert said["classes"] == list(model.classes)
    assert said["image_shape"] == [1, 28, 28]
    assert {path.name for path in (tmp_path / "site" / "ort").iterdir()} == set(FILES)
    assert written.files == len([path for path in (tmp_path / "site").rglob("*") if path.is_file()])
    assert written.model.path == tmp_path / "site" / "model.onnx"


def test_a_folder_that_holds_something_is_left_alone(finished: RunResult, tmp_path: Path, package: bytes) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "package.tgz").write_bytes(package)
    with pytest.raises(RunFolderError, match=r"is not empty: it holds mine, package\.tgz"):
        export_web(finished.folder.path, tmp_path, package=tmp_path / "package.tgz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "package.tgz"]


def test_the_page_computes_in_the_browser_and_loads_nothing_from_elsewhere() -> None:
    page = static_page_files()["index.html"].decode()
    assert 'data-runtime="browser"' in page
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    assert "docs.html" not in static_page_files()
    assert not [name for name, content in static_page_files().items() if b"https://" in content]
