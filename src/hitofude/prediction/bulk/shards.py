"""The files to predict in bulk, and the names of their predictions' files."""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.blocks import ENDINGS, check_streams
from hitofude.inputs.formats.archive import reading
from hitofude.inputs.formats.parquet import import_pyarrow

FORMATS = ("parquet", "csv")
HIDDEN = (".", "_")
"""The beginnings of names that tools which read folders of shards skip."""


@dataclass(frozen=True)
class Shard:
    """A file to predict, as it was when the work was planned."""

    path: str
    output: str
    """The name of its predictions' file."""
    bytes: int
    modified: int
    """Nanoseconds since 1970."""

    @classmethod
    def of(cls, path: Path, output: str) -> "Shard":
        """Raises InputError if the file is missing."""
        with reading(str(path)):
            found = path.stat()
        return cls(str(path), output, found.st_size, found.st_mtime_ns)

    def is_unchanged(self, other: "Shard") -> bool:
        """Whether size and time say that these are the same bytes; the file may have moved."""
        return (self.bytes, self.modified) == (other.bytes, other.modified)


def find_shards(inputs: Sequence[Path], out: Path, format: str | None = None) -> list[Shard]:
    """Find the input files, each once, in order.

    inputs: files, folders (for their files with one of ENDINGS), or patterns such as shards/*.parquet, with ** for
    folders of any depth. format: of the predictions; None means Parquet for Parquet shards, and CSV for all others.

    Raises InputError if nothing is found, a file cannot be read block by block, or two files would have predictions of
    the same name; RecipeError for another format, and if the predictions would lie among the shards.
    """
    if format is not None and format not in FORMATS:
        raise RecipeError(f"--format {format}: expected one of {', '.join(FORMATS)}.")
    paths = list(dict.fromkeys(Path(os.path.abspath(path)) for given in inputs for path in _files(given)))  # noqa: PTH100
    by_output: dict[str, Path] = {}
    for path in paths:
        check_streams(path)
        if path.resolve().is_relative_to(out.resolve()):
            raise RecipeError(f"--out {out}: {path} lies in it. Name a folder for the predictions alone.")
        output = _output_name(path, format)
        other = by_output.setdefault(output, path)
        if other != path:
            raise InputError(
                f"{other} and {path} would both be predicted into {output}. Rename one, or use two folders for --out."
            )
        if output.endswith(".parquet"):
            import_pyarrow(path)
    return [Shard.of(path, output) for output, path in by_output.items()]


def _output_name(path: Path, format: str | None) -> str:
    ending = path.suffix.lower()
    name = path.name[: -len(ending)] if ending == ".gz" else path.name
    known = next((known for known in (".csv", ".parquet", ".npz", ".tsv", ".txt") if name.lower().endswith(known)), "")
    return f"{name[: len(name) - len(known)]}.{format or ('parquet' if ending == '.parquet' else 'csv')}"


def _files(given: Path) -> list[Path]:
    """Return the files that one argument of the command names."""
    if given.is_dir():
        names = [path for path in sorted(given.iterdir()) if not path.name.startswith(HIDDEN)]
        files = [path for path in names if path.is_file() and path.name.lower().endswith(ENDINGS)]
        problem = f"no file in it ends in {', '.join(ENDINGS)}. Name the files to predict."
    elif given.exists():
        return [given]
    elif glob.has_magic(str(given)):
        found = [Path(name) for name in sorted(glob.glob(str(given), recursive=True))]  # noqa: PTH207  of any root
        files, problem = [path for path in found if path.is_file()], "no file matches this pattern. Is the path right?"
    else:
        files, problem = [], "no such file, folder or pattern of files. Is the path right?"
    if not files:
        raise InputError(f"{given}: {problem}")
    return files
