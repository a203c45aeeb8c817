"""The page as files for any static host, which computes in the browser."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from hitofude.export.npm_package import browser_runtime
from hitofude.export.onnx_export import IMAGES, OnnxExport, describe_export, export_onnx
from hitofude.export.onnx_model import OnnxDescription
from hitofude.inputs.sources import Dataset
from hitofude.metrics.calibration import SURE
from hitofude.storage import making_folder, write_bytes, write_text

PAGE = "hitofude.web.page"
SERVED_ONLY = ("docs.css", "docs.html", "docs.js")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
)
"""The page may load its own files only. A server sends its policy as a header; here it is in the page's head."""


@dataclass(frozen=True)
class WebExport:
    """A folder that was written."""

    folder: Path
    files: int
    bytes: int
    model: OnnxExport


def export_web(
    run: str | Path,
    folder: str | Path,
    *,
    source: Dataset | None = None,
    int8: bool = False,
    images: int = IMAGES,
    package: Path | None = None,
) -> WebExport:
    """Write the page, the run's model and onnxruntime-web into a new or empty folder.

    source, int8, images: as for export_onnx. package: onnxruntime-web's file; npm fetches it by default. Raises as
    export_onnx does, InputError if onnxruntime-web cannot be fetched, RunFolderError if the folder is not empty; then
    nothing is written.
    """
    runtime = browser_runtime(package)
    folder = Path(folder)
    with making_folder(folder) as partial:
        model = export_onnx(run, partial / "model.onnx", source=source, int8=int8, images=images)
        write_static_page(partial, model.description, runtime)
    written = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in written)
    return WebExport(folder, len(written), size, replace(model, path=folder / "model.onnx"))


def write_static_page(folder: Path, description: OnnxDescription, runtime: Mapping[str, bytes]) -> None:
    """Write everything but the model itself, which is beside it as model.onnx. runtime: onnxruntime-web's files."""
    write_text(folder / "model.json", json.dumps(model_json(description), ensure_ascii=False))
    for name, content in static_page_files().items():
        write_bytes(folder / name, content)
    for name, content in runtime.items():
        write_bytes(folder / "ort" / name, content)


def static_page_files() -> dict[str, bytes]:
    """Return the page's files by name, set to compute in the browser."""
    found = {entry.name: entry.read_bytes() for entry in files(PAGE).iterdir() if entry.is_file()}
    kept = {name: content for name, content in found.items() if name not in SERVED_ONLY and not name.endswith(".py")}
    page = kept["index.html"].decode("utf-8")
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace('data-runtime="server"', 'data-runtime="browser"', 1).replace("<head>", f"<head>\n{head}", 1)
    return {**kept, "index.html": page.encode("utf-8")}


def model_json(description: OnnxDescription) -> dict[str, object]:
    """Return the page's first question about the model, answered as the server's GET /api/model does."""
    return {
        "name": description.name,
        "version": description.hitofude_version,
        "classes": list(description.classes),
        "image_shape": list(description.image_shape),
        "networks": list(description.networks),
        "sure": SURE,
    }


def describe_bundle(export: WebExport) -> str:
    """Describe the folder for people."""
    return (
        f"{describe_export(export.model)}\n"
        f"{export.folder}: {export.files} files, {export.bytes:,} bytes, for any static host; to try it here: "
        f"python -m http.server --directory {export.folder}"
    )
