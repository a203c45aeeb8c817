"""The page as files; tests/web opens them in a browser."""

import json
from pathlib import Path

import pytest

from hitofude.errors import RunFolderError
from hitofude.export import npm_package
from hitofude.export.npm_package import FILES
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.web_bundle import export_web, static_page_files
from hitofude.runs.result import RunResult
from tests.export.test_npm_package import packed, sha512


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the right names; what is in its files does not matter here."""
    content = packed()
    monkeypatch.setattr(npm_package, "SHA512", sha512(content))
    (tmp_path / "package.tgz").write_bytes(content)
    return tmp_path / "package.tgz"


def test_a_folder_holds_the_page_the_model_and_what_computes_it(
    finished: RunResult, tmp_path: Path, package: Path
) -> None:
    written = export_web(finished.folder.path, tmp_path / "site", images=50, package=package)
    model = OnnxModel.load(tmp_path / "site" / "model.onnx")
    said = json.loads((tmp_path / "site" / "model.json").read_text(encoding="utf-8"))
    assert said["classes"] == list(model.classes)
    assert said["image_shape"] == [1, 28, 28]
    assert {path.name for path in (tmp_path / "site" / "ort").iterdir()} == set(FILES)
    assert written.files == len([path for path in (tmp_path / "site").rglob("*") if path.is_file()])
    assert written.model.path == tmp_path / "site" / "model.onnx"


def test_a_folder_that_holds_something_is_left_alone(finished: RunResult, tmp_path: Path, package: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunFolderError, match=r"is not empty: it holds mine, package\.tgz"):
        export_web(finished.folder.path, tmp_path, package=package)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "package.tgz"]


def test_the_page_computes_in_the_browser_and_loads_nothing_from_elsewhere() -> None:
    page = static_page_files()["index.html"].decode()
    assert 'data-runtime="browser"' in page
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    assert "docs.html" not in static_page_files()
    assert not [name for name, content in static_page_files().items() if b"https://" in content]
