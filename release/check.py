"""Check what a release would hold: `make release-check`.

python -m release.check [--pythons 3.11 3.12 3.13] [--versions least newest]

Build the source archive and the wheel; check their metadata, size and contents, and the version against tag and
changelog. Then install the wheel with all extras outside the clone, in a new environment for each Python and set of
versions, and run what a user runs first. `least` are the least versions that pyproject.toml allows, on the oldest
Python; `newest` are those that pip finds. Prints a line for each environment, and ends with 1 if one failed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import requests
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "hitofude"
LARGEST_WHEEL = 1_000_000
"""Bytes."""
OLDEST = "3.11"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own index: on Linux, PyPI's wheels bring gigabytes of CUDA."""
EXTRA = "all"
NOT_TRIED = {"dev", "docs", "litert", "mlflow", "release"}
"""The extras that are not part of `all`."""
IMPORT_ALL = """
import importlib, pkgutil, hitofude
for module in pkgutil.walk_packages(hitofude.__path__, "hitofude."):
    if not module.name.endswith(("__main__", "mlflow_runs")):  # a program; an extra that is not part of `all`
        importlib.import_module(module.name)
"""
SHOW_VERSIONS = """
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in ["torch", "numpy", "scikit-learn", "onnx", "onnxruntime"]))
"""


class CheckError(Exception):
    """Something that has to be mended before the release."""


@dataclass(frozen=True)
class Built:
    """The two archives of a release, and their version."""

    wheel: Path
    archive: Path

    @property
    def version(self) -> str:
        """The version in the wheel's name."""
        return self.wheel.name.split("-")[1]


def call(*command: str | Path, folder: Path = ROOT, **environment: str) -> str:
    """Run a command and return its output; raise CheckError with the end of it if it fails.

    environment: variables beside those of this process.
    """
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=os.environ | environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        shown = " ".join(str(part) for part in command)
        raise CheckError(f"{shown}\nended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def build(folder: Path) -> Built:
    """Build both archives into a folder, the wheel from the source archive, as PyPI's users would."""
    call(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (wheel,), (archive,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    call(sys.executable, "-m", "twine", "check", "--strict", wheel, archive)
    return Built(wheel, archive)


def check_wheel(wheel: Path) -> None:
    """Raise CheckError if a wheel is too large, lacks a file of the package, or holds one that git does not know."""
    if wheel.stat().st_size > LARGEST_WHEEL:
        raise CheckError(f"{wheel.name} has {wheel.stat().st_size:,} bytes; at most {LARGEST_WHEEL:,} are wanted.")
    tracked = {line.removeprefix("src/") for line in call("git", "ls-files", "src/hitofude").splitlines()}
    with ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if ".dist-info/" not in name}
    if packed != tracked:
        raise CheckError(f"missing in the wheel: {sorted(tracked - packed)}; not in git: {sorted(packed - tracked)}")


def check_version(version: str, tags: Sequence[str], changelog: str) -> None:
    """Raise CheckError unless a version is that of the commit's tag, if it has one, and the changelog has its section.

    A version between two tags, such as 0.2.1.dev3, belongs to the section of the release that it leads to.
    """
    if tags and version not in {tag.removeprefix("v") for tag in tags}:
        raise CheckError(f"The tag of this commit is {tags[0]}, the version of the wheel {version}.")
    release = re.match(r"\d+\.\d+\.\d+", version)
    if not release or not re.search(rf"^## {re.escape(release[0])}\b", changelog, re.MULTILINE):
        raise CheckError(f"CHANGELOG.md has no section of the version {version}.")


def floors(project: Mapping[str, Any]) -> dict[str, str]:
    """Return the least version of each dependency of a `[project]` table, of those of the users' extras too.

    A dependency without a least version is left out.
    """
    extras = [texts for name, texts in project["optional-dependencies"].items() if name not in NOT_TRIED]
    found: dict[str, str] = {}
    for requirement in map(Requirement, chain(project["dependencies"], *extras)):
        least = [part.version for part in requirement.specifier if part.operator == ">="]
        if least:
            found[requirement.name] = least[0]
    return found


@contextmanager
def environment_of(python: str, folder: Path) -> Iterator[Path]:
    """Make a virtual environment of a Python, yield its interpreter, and remove it at the end of the block."""
    interpreter = shutil.which(f"python{python}")
    if interpreter is None:
        raise CheckError(f"python{python} is not in the PATH.")
    home = folder / f"python{python}"
    call(interpreter, "-m", "venv", home, PYENV_VERSION=python)  # so that pyenv's commands are this Python, too
    try:
        yield home / "bin" / "python"
    finally:
        shutil.rmtree(home)


def index_options() -> list[str]:
    """Return pip's options for PyTorch's own index if it can be reached: there, PyTorch comes without CUDA."""
    try:
        reached = requests.head(f"{CPU_WHEELS}/torch/", timeout=5).ok
    except requests.RequestException:
        reached = False
    return ["--extra-index-url", CPU_WHEELS] if reached else []


def try_release(built: Built, python: str, versions: str, folder: Path) -> str:
    """Install the wheel with all extras in a new environment, run what a user runs first, return what was installed.

    Raises:
        CheckError: A step failed; the message has the command and the end of its output.
    """
    constraints = folder / "constraints.txt"
    least = floors(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"])
    constraints.write_text("".join(f"{name}=={least[name]}\n" for name in least) if versions == "least" else "")
    with environment_of(python, folder) as interpreter:
        options = ["--progress-bar", "off", "--constraint", str(constraints), *index_options()]
        call(interpreter, "-m", "pip", "install", *options, f"{built.wheel}[{EXTRA}]", folder=folder)
        call(interpreter, "-c", IMPORT_ALL, folder=folder)
        hitofude = interpreter.with_name("hitofude")
        shown = call(hitofude, "--version", folder=folder).strip()
        if shown != built.version:
            raise CheckError(f"hitofude --version says {shown}, the wheel's name {built.version}.")
        run = folder / f"run-{python}-{versions}"
        call(hitofude, "run", "--debug", "--run", run, folder=folder)
        call(hitofude, "export", run, "--onnx", run / "model.onnx", folder=folder)
        return call(interpreter, "-c", SHOW_VERSIONS, folder=folder).strip()


def attempts(pythons: Sequence[str], versions: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of Python and versions to try; the least versions have no builds for later Pythons."""
    return [(python, kind) for python in pythons for kind in versions if kind == "newest" or python == OLDEST]


def checked_build(folder: Path) -> Built:
    """Build the release into a folder, check its contents and its version, and print its size."""
    built = build(folder)
    check_wheel(built.wheel)
    tags = call("git", "tag", "--points-at", "HEAD", "--list", "v*").split()
    check_version(built.version, tags, (ROOT / "CHANGELOG.md").read_text("utf-8"))
    print(f"{built.wheel.name}: {built.wheel.stat().st_size:,} bytes", flush=True)
    return built


def tried(built: Built, python: str, versions: str, folder: Path) -> bool:
    """Try the release in one environment, print what came of it, and return whether all went well."""
    start = time.monotonic()
    try:
        outcome, good = try_release(built, python, versions, folder), True
    except CheckError as error:
        outcome, good = f"FAILED: {error}", False
    print(f"Python {python}, {versions}, {time.monotonic() - start:.0f} s: {outcome}", flush=True)
    return good


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the release and print what was found; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", nargs="+", default=[OLDEST, "3.12", "3.13"])
    parser.add_argument("--versions", nargs="+", choices=["least", "newest"], default=["least", "newest"])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        try:
            built = checked_build(Path(name))
        except CheckError as error:
            print(error)
            return 1
        outcomes = [tried(built, *attempt, Path(name)) for attempt in attempts(options.pythons, options.versions)]
    return int(not all(outcomes))


if __name__ == "__main__":
    sys.exit(main())
