"""onnxruntime-web is fetched by the real npm, from a registry of ours on the loopback address."""

import base64
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.export import npm_package
from hitofude.export.npm_package import FILES, NAME, VERSION, browser_runtime
from hitofude.inputs.remote.download import CACHE_VARIABLE
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
    monkeypatch.setattr(npm_package, "SHA512", sha512(content))
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
