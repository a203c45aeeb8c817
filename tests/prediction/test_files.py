"""Predicting with a folder that was changed: no code is executed, no member is missing or from another run."""

import hashlib
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save

import hitofude
from hitofude.errors import RunFolderError
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.sources import open_source
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.networks import build_network
from hitofude.prediction.files import predict_files
from hitofude.runs.claim import describe_data
from hitofude.runs.folder import RunFolder
from hitofude.runs.result import RunResult, load_result
from tests.conftest import copy_of, write_csv

Tensors = dict[str, torch.Tensor]


class Payload:
    """An object that creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.fixture
def run(finished: RunResult, tmp_path: Path) -> RunFolder:
    return copy_of(finished, tmp_path)


def describe_as_whole(member: MemberFolder, changes: dict[str, Any] | None = None) -> None:
    """Write valid checksums, as an attacker would."""
    description = json.loads(member.description_path.read_text()) | (changes or {})
    description["sha256"] = hashlib.sha256(member.weights_path.read_bytes()).hexdigest()
    del description["sha256_of_this"]
    own = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    member.description_path.write_text(json.dumps(description | {"sha256_of_this": own}))


def predict(run: RunFolder) -> None:
    hitofude.predict(run.path, np.zeros((1, 1, 28, 28), dtype=np.uint8), device="cpu")


def test_the_payload_of_these_tests_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "trace")))  # noqa: S301
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("writer", ["pickle", "torch"])
@pytest.mark.parametrize("name", ["members/01/weights.safetensors", "members/01/member.json", "recipe.toml",
                                  "data.json", "report.json", "oof.npz", "test_probabilities.npz",
                                  "novelty.npz"])  # fmt: skip
def test_a_pickle_under_any_name_is_refused_and_never_executed(
    name: str, writer: str, run: RunFolder, tmp_path: Path
) -> None:
    payload = Payload(tmp_path / "trace")
    if writer == "torch":
        torch.save({"weight": payload}, run.path / name)
    else:
        (run.path / name).write_bytes(pickle.dumps(payload))
    if name.endswith("safetensors"):
        describe_as_whole(MemberFolder(run.member(1)))
    with pytest.raises(RunFolderError, match=Path(name).name):
        load_result(run) and predict(run)
    assert not (tmp_path / "trace").exists()


def test_arrays_of_objects_are_not_unpickled(run: RunFolder, tmp_path: Path) -> None:
    np.savez(run.out_of_fold, ids=np.array([Payload(tmp_path / "trace")], dtype=object))
    with pytest.raises(RunFolderError, match=r"oof\.npz is missing or damaged"):
        load_result(run)
    assert not (tmp_path / "trace").exists()


def without_one(tensors: Tensors) -> Tensors:
    return dict(list(tensors.items())[1:])


def with_one_more(tensors: Tensors) -> Tensors:
    return tensors | {"surplus": torch.zeros(1)}


def with_another_shape(tensors: Tensors) -> Tensors:
    name = next(iter(tensors))
    return tensors | {name: tensors[name].unsqueeze(0)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_one, r"another network's weights \("),
        (with_one_more, r"another network's weights \(surplus\)"),
        (with_another_shape, r"another network's weights \(.+: \(1,.*\), expected \("),
    ],
)
def test_tensors_that_are_missing_surplus_or_of_another_shape_are_named(
    change: Callable[[Tensors], Tensors], message: str, run: RunFolder
) -> None:
    member = MemberFolder(run.member(1))
    member.weights_path.write_bytes(save(change(load_file(member.weights_path))))
    describe_as_whole(member)
    with pytest.raises(RunFolderError, match=message):
        predict(run)


def test_weights_for_other_classes_or_images_are_refused_naming_both(run: RunFolder) -> None:
    member = MemberFolder(run.member(1))
    made_from = json.loads(member.description_path.read_text())["made_from"]
    other = build_network(made_from["network"], (1, 40, 40), 26, torch.Generator())
    member.finish(other, made_from | {"classes": 26, "image_shape": "1x40x40"}, [])
    with pytest.raises(RunFolderError, match=r"image_shape: 1x40x40 → 1x28x28\n  classes: 26 → 10"):
        predict(run)


def test_a_member_in_anothers_place_is_refused(run: RunFolder) -> None:
    """It would count twice."""
    shutil.rmtree(run.member(1))
    shutil.copytree(run.member(0), run.member(1))
    with pytest.raises(RunFolderError, match="member: 0 → 1"):
        predict(run)


def test_a_missing_member_is_never_averaged_away(run: RunFolder) -> None:
    shutil.rmtree(run.member(1))
    with pytest.raises(RunFolderError, match="members/01"):
        predict(run)


def test_a_newer_format_asks_for_an_upgrade(run: RunFolder) -> None:
    describe_as_whole(MemberFolder(run.member(0)), {"format_version": 9})
    with pytest.raises(RunFolderError, match=r"member\.json was written by a newer hitofude"):
        predict(run)
    content = json.loads(run.data.read_text())
    run.data.write_text(json.dumps(content | {"format_version": 9}))
    with pytest.raises(RunFolderError, match=r"data\.json was written by a newer hitofude"):
        predict(run)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.json", "{}", r"data\.json is damaged at format_version"),
        ("data.json", "[", r"data\.json cannot be read"),
        ("recipe.toml", "seed = [", r"not valid TOML.*Restore it"),
        ("report.json", "[1]", r"report\.json was written by another version"),
    ],
)
def test_a_damaged_description_is_named(name: str, content: str, message: str, run: RunFolder) -> None:
    (run.path / name).write_text(content)
    with pytest.raises(RunFolderError, match=message):
        predict(run)


def test_an_array_whose_header_is_no_expression_is_damaged(run: RunFolder) -> None:
    with zipfile.ZipFile(run.out_of_fold, "w") as file:
        file.writestr("ids.npy", b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f4', ((((".ljust(0x76) + bytes(40))
    with pytest.raises(RunFolderError, match=r"oof\.npz is missing or damaged"):
        load_result(run)


def test_arrays_that_are_missing_are_named(run: RunFolder, finished: RunResult) -> None:
    np.savez(run.out_of_fold, ids=finished.ids, labels=finished.labels)
    with pytest.raises(RunFolderError, match=r"oof\.npz lacks disagreement, groups, held_out, probabilities, raw_prob"):
        load_result(run)


def test_a_run_that_was_moved_predicts_the_same(finished: RunResult, dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.test is not None
    moved = copy_of(finished, tmp_path).path.rename(tmp_path / "moved to 別の場所")
    assert np.array_equal(hitofude.predict(moved, dataset.test.images, device="cpu"), finished.test_probabilities)


def test_columns_of_groups_folds_and_weights_are_known_when_images_are_predicted(
    run: RunFolder, dataset: Dataset, tmp_path: Path
) -> None:
    """As if the run had been given --groups writer --folds part --weights worth."""
    assert dataset.test is not None
    columns = {"group_column": "writer", "fold_column": "part", "weight_column": "worth"}
    run.data.write_text(json.dumps(json.loads(run.data.read_text()) | columns))
    frame = pd.DataFrame(dataset.test.images.reshape(50, -1), columns=[f"pixel{i}" for i in range(784)])
    expected = hitofude.predict(run.path, frame)
    frame.insert(0, "writer", "somebody")
    frame.insert(1, "part", 2)
    frame.insert(2, "worth", "?")
    frame.to_csv(tmp_path / "test.csv", index=False)
    assert np.array_equal(hitofude.predict(run.path, frame), expected)
    assert np.array_equal(predict_files(run.path, [tmp_path / "test.csv"]).probabilities, expected)


def test_a_run_remembers_the_columns_of_its_groups_and_folds(tmp_path: Path, dataset: Dataset) -> None:
    table = write_csv(tmp_path / "train.csv", dataset.train)
    lines = table.read_text().splitlines()
    table.write_text("\n".join(["writer," + lines[0], *(f"{i % 9},{line}" for i, line in enumerate(lines[1:]))]))
    found = describe_data(open_source(table, groups="writer"))
    assert (found.group_column, found.fold_column) == ("writer", None)
