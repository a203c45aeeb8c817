"""onnxruntime-web, which runs the model in the browser: fetched once by npm, checked, and cached."""

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
# The registry's checksum, in base64:
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The minimum for a CPU; the other files are for GPUs."""
SECONDS = 300
BY_HAND = (
    f"On another machine, `npm pack {NAME}@{VERSION}` makes the file {NAME}-{VERSION}.tgz; name it with "
    "--onnxruntime-web."
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
