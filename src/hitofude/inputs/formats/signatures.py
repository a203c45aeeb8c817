"""The kind of a file by its first bytes, whatever its name."""

import re
import tarfile
from typing import Literal

from hitofude.errors import InputError
from hitofude.inputs.formats.archive import Place, list_members, open_file, reading

Kind = Literal[
    "text", "idx", "npz", "npy", "parquet", "mat", "hdf5", "arff", "libsvm", "xlsx", "zip", "picture", "pickle", "bytes"
]
START = 8192
"""The bytes that are looked at."""
_SIGNATURES: tuple[tuple[bytes, Kind], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "parquet"),
    (b"MATLAB 5.0 MAT-file", "mat"),
    (b"MATLAB 7.3 MAT-file", "hdf5"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x89PNG", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"GIF8", "picture"),
    (b"II*\0", "picture"),
    (b"MM\0*", "picture"),
)
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an old Excel file. Save it as CSV"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive. Unpack it, such as with 7z x {path}, and name the folder"),
    (b"Rar!\x1a\x07", "a RAR archive. Unpack it, such as with unrar x {path}, and name the folder"),
    (b"ARROW1", "an Arrow (Feather) file. Convert it:\n  python -c \"import pandas; "
     "pandas.read_feather('{path}').to_parquet('{stem}.parquet')\"\n  and name {stem}.parquet"),
    (b"SQLite format 3\0", "an SQLite database. Export the table as CSV"),
    (b"\xff\xff\xff\xff", "an Arrow stream, as datasets.save_to_disk writes it. Convert it:\n"
     "  python -c \"from datasets import Dataset; Dataset.from_file('{path}').to_parquet('{stem}.parquet')\"\n"
     "  and name {stem}.parquet"),
    (b"%PDF", "a PDF. Name the files of images"),
)  # fmt: skip
_IDX = re.compile(rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x04]\0")
_PICKLE = re.compile(
    rb"\x80[\x02-\x05]|[(\]})lcd]{1,3}(p\d+\n|cnumpy|c__builtin__|cpandas|ccopy_reg|numpy)|cnumpy|ccopy_reg"
)
_ARFF = re.compile(rb"(\s*%[^\n]*\n|\s)*@relation\s", re.IGNORECASE)
_LIBSVM = re.compile(rb"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?([ \t]+\d+:[-+.\deE]+)+([ \t]*\r?\n|[ \t]*(\d+:?)?\Z)")
"""A first line, which may be longer than the bytes that are looked at."""
_PATTERNS: tuple[tuple[re.Pattern[bytes], Kind], ...] = (
    (_IDX, "idx"),
    (_PICKLE, "pickle"),
    (_ARFF, "arff"),
    (_LIBSVM, "libsvm"),
)
_TAR = 257, b"ustar"
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]\s*[\"{\[]")
_JSON_LINES = re.compile(rb"(\xef\xbb\xbf)?\s*\{\s*(\"[^\"]*\"\s*:\s*[^{\[\s]|[^\n]*\}\s*\n\s*\{)")


def kind_of(path: Place) -> Kind:
    """Return the kind of a file, unpacked if it is packed; `text` for anything unknown without a zero byte.

    Raise InputError for a file of a known kind that is not read, with the way out.
    """
    with reading(str(path)), open_file(path) as stream:
        start = stream.read(START)
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        return _kind_of_zip(path)
    _refuse_known(path, start)
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    for pattern, kind in _PATTERNS:
        if pattern.match(start):
            return kind
    return "bytes" if path.suffix.lower() == ".bin" else "text"


def _refuse_known(path: Place, start: bytes) -> None:
    """Raise InputError for a file of a known kind that is not read."""
    for signature, words in _REFUSED:
        if start.startswith(signature):
            stem = path.name.split(".")[0]
            raise InputError(f"{path}: this is {words.format(path=path, stem=stem)}.")
    if _JSON.match(start):
        stem = path.name.split(".")[0]
        lines = ", lines=True" if path.suffix.lower() == ".jsonl" or _JSON_LINES.match(start) else ""
        raise InputError(
            f'{path}: this is JSON. Convert it:\n  python -c "import pandas; '
            f"pandas.read_json('{path}'{lines}).to_csv('{stem}.csv', index=False)\"\n  hitofude run {stem}.csv"
        )
    if start[_TAR[0] :].startswith(_TAR[1]):
        raise InputError(
            f"{path}: this is a tar archive. Unpack it, and name the folder in it:\n  tar -xf '{path}'\n  "
            f"hitofude run '{_outermost(path)}'"
        )


def _outermost(path: Place) -> str:
    """Return the folder in which a tar archive unpacks its first file."""
    try:
        with open_file(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            first = archive.next()
    except tarfile.TarError:
        return "."
    return "." if first is None else first.name.removeprefix("./").split("/")[0]


def _kind_of_zip(path: Place) -> Kind:
    with reading(str(path)):
        members = list_members(path)
    if any(member.startswith(("xl/", "/xl/")) for member in members):
        return "xlsx"
    if members and all(member.endswith(".npy") for member in members):
        return "npz"
    if any(member.endswith("data.pkl") for member in members):
        return "pickle"
    return "npz" if path.suffix.lower() == ".npz" else "zip"
