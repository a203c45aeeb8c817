"""onnxruntime-web, which computes in the browser: fetched once by npm, checked, and kept."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from hitofude.errors import InputError
from hitofude.inputs.remote.download import cache_folder
from hitofude.storage import write_bytes

NAME, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""As the registry publishes it, in base64."""
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The least that computes on a processor; the others are for graphics cards."""
SECONDS = 300
BY_HAND = f"Elsewhere, `npm pack {NAME}@{VERSION}` makes the file {NAME}-{VERSION}.tgz; name it with --onnxruntime-web."


def browser_runtime(package: Path | None = None) -> dict[str, bytes]:
    """The files that a browser needs, by name.

    package: npm's file, else it is fetched by npm into the cache where it is not there yet. Raises InputError where
    npm is missing or cannot fetch it, and where the file is another one, with what to do.
    """
    path = package or cached_package()
    if package is None and not path.is_file():
        _fetch(path)
    return _unpack(_checked(path))


def cached_package() -> Path:
    """Where npm's file is kept."""
    return cache_folder() / f"{NAME}-{VERSION}.tgz"


def _fetch(path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"The page computes by {NAME}, which npm fetches once, and npm is not installed here. Install Node.js, "
            f"which brings npm. {BY_HAND}"
        )
    with TemporaryDirectory() as folder:
        command = [npm, "pack", f"{NAME}@{VERSION}", "--pack-destination", folder, "--silent"]
        try:
            packed = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=folder)
        except subprocess.TimeoutExpired:
            raise InputError(f"npm did not fetch {NAME} within {SECONDS} seconds. {BY_HAND}") from None
        found = next(Path(folder).glob("*.tgz"), None)
        if packed.returncode != 0 or found is None:
            said = [line for line in packed.stderr.splitlines() if line.strip()] or ["it says nothing"]
            raise InputError(f"npm could not fetch {NAME}: {said[0].strip()}. {BY_HAND}")
        write_bytes(path, _checked(found))


def _checked(path: Path) -> bytes:
    """The file's content. Raises InputError where it is not the package to the last bit."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        raise InputError(f"{path} is not {NAME} {VERSION} as it was published. Remove it and try again. {BY_HAND}")
    return content


def _unpack(content: bytes) -> dict[str, bytes]:
    """By name; nothing is written anywhere."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        streams = {name: archive.extractfile(f"package/dist/{name}") for name in FILES}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}
