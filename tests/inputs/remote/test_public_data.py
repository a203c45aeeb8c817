"""Public data sets, from a server on the loopback address."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.inputs.remote.download import RemoteFile
from hitofude.inputs.remote.public_data import PUBLIC_DATA, copy_public
from hitofude.inputs.sources import Dataset, open_source
from tests.loopback import Server
from tests.public_data_server import serving_mnist

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""The folder of Debian's package dataset-fashion-mnist."""


@pytest.fixture
def mnist(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving_mnist(dataset, tmp_path / "cache", monkeypatch) as server:
        yield server


def test_a_name_is_a_source_that_is_fetched_once(
    mnist: Server, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = open_source("mnist")
    assert open_source("mnist").train.fingerprint == found.train.fingerprint == dataset.train.fingerprint
    assert found.name == "mnist"
    assert found.test is not None
    assert len(mnist.requests) == 4


def test_a_folder_of_that_name_takes_precedence(mnist: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    with pytest.raises(InputError, match=r"no train\.csv in it"):
        open_source("mnist")
    assert mnist.requests == []


def test_a_copy_is_a_source_and_is_made_once(mnist: Server, dataset: Dataset, tmp_path: Path) -> None:
    for _ in range(2):
        copy_public("mnist", tmp_path / "mine")
    assert open_source(tmp_path / "mine").train.fingerprint == dataset.train.fingerprint
    assert len(list((tmp_path / "mine").iterdir())) == 4


def test_a_copy_does_not_replace_other_files(mnist: Server, tmp_path: Path) -> None:
    other = tmp_path / "t10k-labels-idx1-ubyte.gz"
    other.write_bytes(b"of another data set")
    with pytest.raises(InputError, match="is another file"):
        copy_public("mnist", tmp_path)
    assert other.read_bytes() == b"of another data set"
    assert mnist.requests == []


def test_the_error_names_the_folder_to_put_a_missing_file_into(mnist: Server, tmp_path: Path) -> None:
    mnist.answers.clear()
    with pytest.raises(InputError, match=r"404[\s\S]*by hand into .*cache/mnist"):
        open_source("mnist")


def test_the_published_lists_are_complete_and_use_https() -> None:
    for data in PUBLIC_DATA.values():
        assert len(data.files) == 4
        for file in data.files:
            assert int(file.sha256, 16) < 2**256
            assert len(file.sha256) == 64
            assert all(url.startswith("https://") and url.endswith(f"/{file.name}") for url in file.urls)


@pytest.mark.parametrize("file", PUBLIC_DATA["fashion-mnist"].files, ids=lambda file: file.name)
def test_fashion_mnists_checksums_are_those_of_the_files_themselves(file: RemoteFile) -> None:
    """Debian removed name and time from the gzip headers; restoring them gives the published files."""
    if not FASHION.exists():
        pytest.skip("Debian's dataset-fashion-mnist is not there")
    stripped = (FASHION / file.name).read_bytes()
    time = (1504176606 if file.name.startswith("train") else 1504176627).to_bytes(4, "little")
    name = file.name.removesuffix(".gz").encode() + b"\0"
    original = stripped[:3] + b"\x08" + time + stripped[8:10] + name + stripped[10:]
    assert (len(original), hashlib.sha256(original).hexdigest()) == (file.size, file.sha256)
