"""A small data set named mnist, served on the loopback address."""

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitofude.inputs.remote.download import RemoteFile
from hitofude.inputs.remote.public_data import PUBLIC_DATA
from hitofude.inputs.sources import Dataset
from tests import loopback
from tests.inputs.formats.test_idx import idx_bytes
from tests.loopback import Server, whole


@contextmanager
def serving_mnist(dataset: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve the data set's four files, and use this folder as the cache."""
    monkeypatch.setenv("HITOFUDE_CACHE", str(cache))
    assert dataset.test is not None
    files = []
    with loopback.serving() as server:
        for name, images in (("train", dataset.train), ("t10k", dataset.test)):
            labels = images.known_labels().astype(np.uint8)
            for kind, array in (("images-idx3", images.images[:, 0]), ("labels-idx1", labels)):
                content = gzip.compress(idx_bytes(array))
                url = server.url(f"/{name}-{kind}", whole(content))
                sha256 = hashlib.sha256(content).hexdigest()
                files.append(RemoteFile(f"{name}-{kind}-ubyte.gz", len(content), sha256, (url,)))
        monkeypatch.setitem(PUBLIC_DATA, "mnist", replace(PUBLIC_DATA["mnist"], files=tuple(files)))
        yield server
