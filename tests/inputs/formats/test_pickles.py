"""Pickles are never read; what is said instead converts them as typed."""

import gzip
import pickle
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hitofude.errors import InputError
from hitofude.inputs.sources import open_source
from tests.inputs.formats.test_npz import Payload

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 4, 4)).astype(np.uint8)
LABELS = np.arange(8) % 2
FRAME = pd.DataFrame(IMAGES.reshape(8, 16), columns=[f"pixel{i}" for i in range(16)]).assign(label=LABELS)
PAIR = (IMAGES, LABELS)


def remedy_of(path: Path) -> tuple[str, str]:
    """The code of the refusal's first line, and the source that its second line runs."""
    with pytest.raises(InputError, match=r"may hold .*hidden program") as caught:
        open_source(path)
    first, second = [shlex.split(line) for line in str(caught.value).splitlines()[1:]]
    assert (first[:2], second[:2]) == (["python", "-c"], ["hitofude", "run"])
    return first[2], second[2]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pair.pkl", PAIR),
        ("parts.pickle", (PAIR, PAIR, PAIR)),
        ("batch", {b"data": IMAGES.reshape(8, 16), b"labels": LABELS.tolist(), b"batch_label": b"one"}),
        ("named.pkl", {"x_train": IMAGES, "y_train": LABELS}),
        ("frame.pkl", FRAME),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_the_remedy_works_as_typed(
    name: str, content: Any, is_packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = pickle.dumps(content, protocol=2)
    path = Path(f"{name}.gz" if is_packed else name)
    path.write_bytes(gzip.compress(written) if is_packed else written)
    code, source = remedy_of(path)
    exec(code, {})  # noqa: S102, the line is what a user would run
    found = open_source(source).train
    assert np.array_equal(found.images[:, 0], IMAGES)
    assert found.known_labels().tolist() == LABELS.tolist()


def test_the_batches_of_cifar_are_converted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("batches").mkdir()
    rows = np.random.default_rng(1).integers(0, 256, (4, 3072)).astype(np.uint8)
    for name in ("data_batch_1", "data_batch_2", "data_batch_10", "test_batch"):
        batch = {b"data": rows + np.uint8(len(name)), b"labels": [0, 1, 0, 1]}
        (Path("batches") / name).write_bytes(pickle.dumps(batch, protocol=2))
    code, source = remedy_of(Path("batches"))
    exec(code, {})  # noqa: S102
    found = open_source(source, shape=(3, 32, 32))
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (12, 4)
    assert np.array_equal(found.train.images[8:].reshape(4, -1), rows + np.uint8(len("data_batch_10")))


@pytest.mark.parametrize("name", ["train.pkl", "train.csv", "data_batch_1"])
def test_a_hidden_program_never_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(pickle.dumps([Payload(tmp_path / "harm")]))
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match=re.escape("hidden program")):
            open_source(source)
    assert not (tmp_path / "harm").exists()
