"""The kind of a file is known by its first bytes, whatever its name."""

import bz2
import gzip
import io
import lzma
import pickle
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitofude.errors import InputError
from hitofude.inputs.formats.signatures import kind_of
from hitofude.inputs.sources import open_source
from tests.inputs.formats.test_idx import IMAGES, idx_bytes

CSV = b"label,pixel0\n1,2\n0,255\n"


def zip_bytes(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return stream.getvalue()


def npy_bytes() -> bytes:
    stream = io.BytesIO()
    np.save(stream, IMAGES)
    return stream.getvalue()


def mat_bytes() -> bytes:
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, {"X": IMAGES})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (CSV, "text"),
        (b"", "text"),
        (idx_bytes(IMAGES), "idx"),
        (npy_bytes(), "npy"),
        (mat_bytes(), "mat"),
        (b"PAR1" + bytes(50), "parquet"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "hdf5"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512), "hdf5"),
        (b"% about\n@relation digits\n@attribute a real\n", "arff"),
        (b"3 1:0.5 7:255\n", "libsvm"),
        (b"-1 780:12\r\n", "libsvm"),
        (b"3" + b"".join(b" %d:-0.5" % i for i in range(1, 3073)) + b"\n", "libsvm"),
        (pickle.dumps({"data": IMAGES}), "pickle"),
        (pickle.dumps({"data": [1]}, protocol=0), "pickle"),
        (pickle.dumps((IMAGES, [1]), protocol=2), "pickle"),
        (zip_bytes(images_DOT_npy=npy_bytes()), "npz"),
        (zip_bytes(train_DOT_csv=CSV), "zip"),
        (zip_bytes(xl__workbook_DOT_xml=b"<x/>"), "xlsx"),
        (zip_bytes(archive__data_DOT_pkl=b""), "pickle"),
    ],
)
@pytest.mark.parametrize("name", ["download", "train.csv"])
def test_the_first_bytes_tell_the_kind(content: bytes, kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) == kind


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_is_what_it_holds(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(pack(CSV))
    assert open_source(tmp_path / "train.csv").train.images.ravel().tolist() == [2, 255]
    (tmp_path / "images").write_bytes(pack(npy_bytes()))
    assert kind_of(tmp_path / "images") == "npy"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(50), "an old Excel file. Save it as CSV"),
        (b"7z\xbc\xaf'\x1c" + bytes(50), "a 7z archive. Unpack it, such as with 7z x .*name the folder"),
        (b"Rar!\x1a\x07" + bytes(50), "a RAR archive"),
        (b"SQLite format 3\0" + bytes(50), "an SQLite database"),
        (b"ARROW1" + bytes(50), r"read_feather\('.*download'\)\.to_parquet\('download\.parquet'\)"),
    ],
)
def test_kinds_that_are_not_read_are_named_with_the_way_out(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "download").write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / "download")


def test_a_tar_is_refused_with_the_commands_that_work(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "train.csv").write_bytes(CSV)
    with tarfile.open(tmp_path / "digits.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "digits", "digits")
    with pytest.raises(InputError, match=r"tar -xf '.*digits\.tar\.gz'\n  hitofude run 'digits'"):
        open_source(tmp_path / "digits.tar.gz")


@pytest.mark.parametrize("name", ["train.csv.zip", "train.csv"])
def test_a_zip_of_one_file_stands_for_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(zip_bytes(train_DOT_csv=CSV))
    for found in (open_source(tmp_path / name), open_source(train=tmp_path / name), open_source(tmp_path)):
        assert found.train.images.ravel().tolist() == [2, 255]


@pytest.mark.parametrize("lines", [False, True], ids=["an array", "a line a row"])
def test_json_is_refused_with_a_conversion_that_works(
    lines: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.read_csv(io.BytesIO(CSV))
    frame.to_json("rows.json", orient="records", lines=lines)
    with pytest.raises(InputError, match=r"this is JSON") as refusal:
        open_source("rows.json")
    code = re.search(r'python -c "(.*)"\n  hitofude run rows.csv', str(refusal.value))
    assert code is not None
    subprocess.run([sys.executable, "-c", code[1]], check=True)
    Path("plain.csv").write_bytes(CSV)
    assert np.array_equal(open_source("rows.csv").train.images, open_source("plain.csv").train.images)
