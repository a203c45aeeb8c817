"""Compressed files that are malicious or damaged."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.inputs.formats import archive
from hitofude.inputs.formats.archive import list_members, open_file, open_member
from hitofude.inputs.sources import open_source

CONTENT = b"label,pixel0\n" + b"1,2\n" * 1000


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content, zipfile.ZIP_DEFLATED)
    return path


def test_members_are_listed_and_read_whole(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", ("inner/", b""), ("inner/train.csv", CONTENT))
    assert list_members(path) == ["inner/train.csv"]
    with open_member(path, "inner/train.csv") as stream:
        assert stream.readline() == b"label,pixel0\n"
        assert stream.read() == b"1,2\n" * 1000


@pytest.mark.parametrize("name", ["../train.csv", "/train.csv", "a/../../train.csv", "..\\train.csv", "C:\\train.csv"])
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leads out of its folder"):
        list_members(zipped(tmp_path / "data.zip", (name, CONTENT)))


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("train.csv")
    link.external_attr = 0o120777 << 16
    with pytest.raises(InputError, match="a link to another file"):
        list_members(zipped(tmp_path / "data.zip", (link, b"/etc/passwd")))


def test_an_encrypted_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", ("train.csv", CONTENT))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.index(signature) + offset, 1)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"encrypted\. Unpack it with its password"):
        list_members(path)


def test_a_damaged_member_is_noticed_by_its_checksum(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", ("train.csv", CONTENT))
    content = path.read_bytes()
    place = content.index(b"PK\x01\x02") + 16
    path.write_bytes(content[:place] + bytes(4) + content[place + 4 :])
    with pytest.raises(InputError, match="damaged or cut short"):
        open_source(path)


def test_a_way_of_packing_that_is_not_known_is_no_bug(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", ("train.csv", CONTENT))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", content, content.index(signature) + offset, 97)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged, or compressed by an unknown method"):
        open_source(path)


def test_a_zip_within_a_zip_is_read(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", ("train.csv", b"label,pixel0\n1,2\n0,255\n")).read_bytes()
    found = open_source(zipped(tmp_path / "data.zip", ("inner.zip", inner)))
    assert found.train.images.ravel().tolist() == [2, 255]


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_a_bomb_is_stopped_by_the_bytes_that_come_out(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10_000)
    bomb = b"label,pixel0\n" + b"1,0\n" * 1_000_000
    if kind == "zip":
        path = zipped(tmp_path / "data.zip", ("train.csv", bomb))
    else:
        path = tmp_path / "train.csv.gz"
        path.write_bytes(gzip.compress(bomb))
    with pytest.raises(InputError, match="as a zip bomb does"):
        open_source(path)


def test_a_size_that_lies_does_not_help_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are counted; the size in the directory is not trusted."""
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10_000)
    path = tmp_path / "train.csv.gz"
    path.write_bytes(gzip.compress(bytes(10_000_000))[:-4] + struct.pack("<I", 5))
    with pytest.raises(InputError, match="zip bomb"), open_file(path) as stream:
        stream.read()


def test_a_plain_file_is_given_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(CONTENT)
    with open_file(tmp_path / "train.csv") as stream:
        assert io.BytesIO(stream.read()).getvalue() == CONTENT
