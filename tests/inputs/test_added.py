"""Labelled images beside those of a source."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.added import add_images
from hitofude.inputs.judgements import Judgement, Judgements
from hitofude.inputs.scale import PixelScale
from hitofude.inputs.sources import Dataset, open_source, sample
from hitofude.inputs.to_label import FORMAT_VERSION, ChosenImages, ToLabel, ToLabelDescription
from tests.conftest import write_csv


@pytest.fixture
def chosen(tmp_path: Path) -> ToLabel:
    """Five images of hitofude next, without labels."""
    others = sample().train.take(np.arange(1000, 1005))
    probabilities = np.full((5, 10), 0.1, dtype=np.float32)
    folder = ToLabel(tmp_path / "to-label")
    description = ToLabelDescription(
        FORMAT_VERSION, "runs/x", "pool.csv", others.classes, PixelScale(0, 255), "hitofude run"
    )
    folder.write(ChosenImages(others.images, others.ids, probabilities, np.linspace(1, 0, 5)), description)
    return folder


def label(folder: ToLabel, reviewer: str | None, labels: dict[int, Judgement]) -> None:
    found = folder.load_images()
    given: dict[str, str | None] = dict.fromkeys(found.ids.tolist())
    own = Judgements(folder.labels(reviewer), folder.load_description().classes, given)
    for row, judgement in labels.items():
        own.judge(str(found.ids[row]), judgement)


def test_labelled_images_are_added_and_the_others_are_not(dataset: Dataset, chosen: ToLabel) -> None:
    label(chosen, None, {0: Judgement("label", "7"), 1: Judgement("skip"), 3: Judgement("label", "2")})
    found = add_images(dataset, chosen.path)
    added = chosen.load_images()
    assert found.name == "digits-plus-2"
    assert len(found.train) == 302
    assert found.train.ids[-2:].tolist() == [f"to-label/{id}" for id in added.ids[[0, 3]]]
    assert found.train.known_labels()[-2:].tolist() == [7, 2]
    assert np.array_equal(found.train.images[-2:], added.images[[0, 3]])
    assert np.array_equal(found.train.images[:300], dataset.train.images)
    assert "2 labelled images of" in found.reading[-1]


def test_labels_on_which_reviewers_differ_are_left_out(dataset: Dataset, chosen: ToLabel) -> None:
    label(chosen, "anna", {0: Judgement("label", "7"), 1: Judgement("label", "1"), 2: Judgement("label", "4")})
    label(chosen, "ben", {0: Judgement("label", "7"), 1: Judgement("label", "2"), 2: Judgement("drop")})
    assert add_images(dataset, chosen.path).train.known_labels()[300:].tolist() == [7]


def test_images_that_nobody_labelled_say_how_to(dataset: Dataset, chosen: ToLabel) -> None:
    with pytest.raises(InputError, match=f"no image in it is labelled yet. Label them: hitofude review {chosen.path}"):
        add_images(dataset, chosen.path)


def test_images_of_another_scale_or_size_are_refused(dataset: Dataset, chosen: ToLabel) -> None:
    label(chosen, None, {0: Judgement("label", "7")})
    with pytest.raises(InputError, match=r"on the scale 0\.\.255 of the run runs/x, but those to be added to are on 0"):
        add_images(replace(dataset, scale=PixelScale(0, 16)), chosen.path)
    small = replace(dataset, train=replace(dataset.train, images=dataset.train.images[:, :, :20, :20]))
    with pytest.raises(InputError, match=r"its images are \(1, 28, 28\), but those of the source \(1, 20, 20\)"):
        add_images(small, chosen.path)


def test_any_file_of_the_same_kind_is_added(dataset: Dataset, tmp_path: Path) -> None:
    others = sample().train.take(np.arange(1000, 1020))
    found = add_images(dataset, write_csv(tmp_path / "more.csv", others))
    assert np.array_equal(found.train.images[300:], others.images)
    assert np.array_equal(found.train.known_labels()[300:], others.known_labels())
    assert found.train.ids[-1] == "more.csv/20"


def test_corrected_drawings_are_added_from_their_folder(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "corrections" / "4").mkdir(parents=True)
    Image.fromarray(dataset.train.images[3, 0]).save(tmp_path / "corrections" / "4" / "a.png")
    found = add_images(dataset, tmp_path / "corrections")
    assert np.array_equal(found.train.images[300], dataset.train.images[3])
    assert found.train.known_labels()[300] == 4


def test_numbers_are_brought_to_the_scale_of_the_source(tmp_path: Path) -> None:
    images = sample().train
    arrays = (images.images[:50, 0] / 255).astype(np.float32), np.asarray(images.classes)[images.known_labels()[:50]]
    np.savez(tmp_path / "more.npz", images=(images.images[60:70, 0] / 255).astype(np.float32), labels=arrays[1][:10])
    found = add_images(open_source(arrays), tmp_path / "more.npz")
    assert np.array_equal(found.train.images[50:], images.images[60:70])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda images: replace(images, classes=("x", *images.classes[1:])), "have no label 'x'. Known: 0, 1"),
        (lambda images: replace(images, images=images.images[:, :, :20, :20]), "28"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_their_line(
    change: Callable[..., object], complaint: str, dataset: Dataset, tmp_path: Path
) -> None:
    images = change(sample().train.take(np.arange(1000, 1020)))
    with pytest.raises(InputError, match=complaint):
        add_images(dataset, write_csv(tmp_path / "more.csv", images))  # type: ignore[arg-type]


def test_the_same_path_is_not_added_twice_nor_beside_given_folds(dataset: Dataset, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "more.csv", sample().train.take(np.arange(1000, 1020)))
    with pytest.raises(InputError, match="Add each path once"):
        add_images(add_images(dataset, path), path)
    folds = np.array(["a", "b"] * 150)
    with pytest.raises(InputError, match="--folds says"):
        add_images(replace(dataset, train=replace(dataset.train, folds=folds)), path)


def test_each_added_image_is_a_group_of_its_own_and_has_the_mean_weight(dataset: Dataset, tmp_path: Path) -> None:
    train = replace(dataset.train, groups=np.array(["a", "b"] * 150), weights=np.linspace(1, 3, 300))
    path = write_csv(tmp_path / "more.csv", sample().train.take(np.arange(1000, 1003)))
    found = add_images(replace(dataset, train=train), path).train
    assert found.groups is not None
    assert found.weights is not None
    assert len(set(found.groups[300:])) == 3
    assert found.weights[300:] == pytest.approx([2, 2, 2])


def test_a_folder_is_chosen_once(chosen: ToLabel) -> None:
    with pytest.raises(RunFolderError, match="images that were chosen before"):
        chosen.check_is_new()
    with pytest.raises(RunFolderError, match="is not empty"):
        chosen.write(chosen.load_images(), chosen.load_description())


def test_a_damaged_folder_is_refused(chosen: ToLabel) -> None:
    arrays = dict(np.load(chosen.images))
    np.savez(chosen.images, **(arrays | {"ids": arrays["ids"][:2]}))
    with pytest.raises(RunFolderError, match="is damaged"):
        chosen.load_images()
