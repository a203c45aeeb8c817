"""The images of a run to look at: which, in which order, with which reasons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from hitofude.errors import InputError
from hitofude.inputs.sources import Dataset
from hitofude.metrics.label_issues import find_label_issues
from hitofude.runs.result import RunResult, load_result
from hitofude.runs.review_queue import doubts_of, nearest, training_images
from tests.conftest import copy_of


def test_suspects_come_first_and_then_wrong_answers_by_loss_each_image_once(finished: RunResult) -> None:
    doubts = doubts_of(finished)
    rows = [doubt.row for doubt in doubts]
    suspects = find_label_issues(finished.labels, finished.out_of_fold_probabilities).rows.tolist()
    answers = finished.out_of_fold_probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != finished.labels)
    assert len(wrong) > len(suspects)
    assert rows[: len(suspects)] == suspects
    assert set(wrong) <= set(rows)
    assert len(set(rows)) == len(rows)
    others = [row for row in rows[len(suspects) :] if row in wrong]
    of_label = finished.out_of_fold_probabilities[others, finished.labels[others]]
    assert (np.diff(of_label) >= 0).all()
    assert all(doubt.suggested == answers[doubt.row] for doubt in doubts if "answer" in doubt.reasons)


def test_copies_with_other_labels_stand_together_and_show_each_other(finished: RunResult, tmp_path: Path) -> None:
    folder = copy_of(finished, tmp_path)
    right = np.flatnonzero(finished.out_of_fold_probabilities.argmax(axis=1) == finished.labels)
    other = next(row for row in right if finished.labels[row] != finished.labels[right[0]])
    first, second = int(right[0]), int(other)
    names = [f"train,{finished.ids[row]},{finished.classes[finished.labels[row]]}" for row in (second, first)]
    folder.duplicates.write_text(
        "part,id,label,earlier_part,earlier_id,earlier_label,difference\n" + ",".join([*names, "0.00"]) + "\n"
    )
    found = {doubt.row: doubt for doubt in doubts_of(load_result(folder.path))}
    assert found[first].copies == (second,)
    assert found[second].copies == (first,)
    assert "copy" in found[first].reasons
    assert found[first].suggested == finished.labels[second]


def test_the_images_are_those_of_the_run_in_its_order(finished: RunResult, dataset: Dataset) -> None:
    images = training_images(finished, dataset)
    assert np.array_equal(images.ids, finished.ids)
    assert np.array_equal(images.known_labels(), finished.labels)


def test_another_data_set_is_refused_with_the_command_of_the_run(finished: RunResult, dataset: Dataset) -> None:
    other = replace(dataset, train=dataset.train.take(np.arange(299)))
    with pytest.raises(InputError, match="other training images or labels") as error:
        training_images(finished, other)
    assert finished.summary.command in str(error.value)


def test_similar_images_are_the_nearest_neighbours(dataset: Dataset) -> None:
    flat = dataset.train.images.reshape(len(dataset.train), -1).astype(float)
    expected = NearestNeighbors(n_neighbors=5).fit(flat).kneighbors(flat[[17]], return_distance=False)[0]
    assert nearest(dataset.train.images, 17) == [row for row in expected if row != 17]
