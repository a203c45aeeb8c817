"""Applying a reviewed list of label issues."""

from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.review import Remedy, apply_reviews, review
from hitofude.inputs.sources import Dataset


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "label_issues.csv"
    path.write_text("\n".join(["id,label,suggested,score", *lines]) + "\n", encoding="utf-8")
    return path


def line(dataset: Dataset, row: int, suggested: str = "0") -> str:
    train = dataset.train
    return f"{train.ids[row]},{train.classes[train.known_labels()[row]]},{suggested},0.01"


def test_listed_images_are_dropped_and_the_others_keep_their_ids(dataset: Dataset, tmp_path: Path) -> None:
    found = review(dataset, listed(tmp_path, line(dataset, 5), line(dataset, 0)), "drop").dataset
    kept = np.delete(np.arange(300), [0, 5])
    assert np.array_equal(found.train.ids, dataset.train.ids[kept])
    assert np.array_equal(found.train.images, dataset.train.images[kept])
    assert found.name == "digits-dropped"


def test_listed_images_get_their_suggested_labels_and_nothing_else_changes(dataset: Dataset, tmp_path: Path) -> None:
    found = review(dataset, listed(tmp_path, line(dataset, 7, "3")), "relabel").dataset
    expected = dataset.train.known_labels().copy()
    expected[7] = 3
    assert np.array_equal(found.train.known_labels(), expected)
    assert np.array_equal(found.train.images, dataset.train.images)
    assert found.name == "digits-relabelled"


def test_the_data_fingerprint_tells_the_reviewed_from_the_original(dataset: Dataset, tmp_path: Path) -> None:
    other = str((dataset.train.known_labels()[7] + 1) % 10)
    path = listed(tmp_path, line(dataset, 7, other))
    fingerprints = {review(dataset, path, remedy).dataset.train.fingerprint for remedy in ("drop", "relabel")}
    assert len(fingerprints | {dataset.train.fingerprint}) == 3


@pytest.mark.parametrize(
    ("lines", "remedy", "message"),
    [
        (["9999,1,2,0.1"], "drop", "line 2: there is no training image with the id '9999'"),
        (["first", "first"], "drop", "line 3: duplicate id '1', after line 2"),
        (["1,nine,2,0.1"], "drop", "line 2: image '1' has the label '.', not 'nine'"),
        (["first to ten"], "relabel", "line 2: 'ten' is not one of the classes"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_with_its_line(
    lines: list[str], remedy: Remedy, message: str, dataset: Dataset, tmp_path: Path
) -> None:
    known = {"first": line(dataset, 0), "first to ten": line(dataset, 0, "ten")}
    with pytest.raises(InputError, match=message):
        review(dataset, listed(tmp_path, *(known.get(text, text) for text in lines)), remedy)


@pytest.mark.parametrize("spelled", [("{}.0", "{}.0", "{}.0"), ("000{}", "0{}", "0{}")])
def test_a_list_that_a_spreadsheet_respelled_is_the_same_list(
    spelled: tuple[str, str, str], dataset: Dataset, tmp_path: Path
) -> None:
    plain = line(dataset, 7, "3").split(",")
    respelled = [pattern.format(text) for pattern, text in zip(spelled, plain, strict=False)]
    found = review(dataset, listed(tmp_path, ",".join([*respelled, "0.1"])), "relabel").dataset
    assert found.train.known_labels()[7] == 3


def test_a_list_of_everything_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none would be left"):
        review(dataset, listed(tmp_path, *(line(dataset, row) for row in range(300))), "drop")


def test_only_labels_that_are_probably_wrong_are_changed_and_the_others_counted(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "label_issues.csv"
    lines = [f"{line(dataset, row, '3')},{wrong}" for row, wrong in ((7, 0.9), (8, 0.5), (9, 0.499))]
    path.write_text("\n".join(["id,label,suggested,score,probability_wrong", *lines]))
    found = review(dataset, path, "relabel")
    assert (found.applied, found.left) == (2, 1)
    assert found.expected_right == pytest.approx(0.6)
    assert found.dataset.train.known_labels()[[7, 8]].tolist() == [3, 3]
    assert found.dataset.train.known_labels()[9] == dataset.train.known_labels()[9]
    assert "--issues-from 0 acts on all" in found.describe(path)
    everything = review(dataset, path, "drop", 0)
    assert (len(everything.dataset.train), everything.left) == (297, 0)
    with pytest.raises(InputError, match="nothing would change"):
        review(dataset, path, "drop", 0.95)


@pytest.mark.parametrize("wrong", ["1.5", "", "high"])
def test_a_probability_that_is_none_is_refused_with_its_line(wrong: str, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "label_issues.csv"
    path.write_text(f"id,label,probability_wrong\n{line(dataset, 7).rsplit(',', 2)[0]},{wrong}\n")
    with pytest.raises(InputError, match=f"line 2: probability_wrong is '{wrong}'"):
        review(dataset, path, "drop")


def decided(dataset: Dataset, folder: Path, *decisions: tuple[int, str, str]) -> Path:
    """A reviewed list: of each row its decision and its suggested label."""
    path = folder / "reviewed.csv"
    lines = [f"{line(dataset, row, suggested).rsplit(',', 1)[0]},{decision}" for row, decision, suggested in decisions]
    path.write_text("\n".join(["id,label,suggested,decision", *lines]) + "\n", encoding="utf-8")
    return path


def test_each_remedy_acts_on_the_lines_that_a_person_decided_so(dataset: Dataset, tmp_path: Path) -> None:
    path = decided(
        dataset, tmp_path, (3, "drop", ""), (7, "relabel", "3"), (8, "Keep", ""), (9, "skip", ""), (10, "", "")
    )
    dropped, relabelled, both = (review(dataset, path, remedy) for remedy in ("drop", "relabel", "both"))
    assert (dropped.dropped, dropped.relabelled, dropped.left) == (1, 0, 4)
    assert (relabelled.dropped, relabelled.relabelled) == (0, 1)
    assert (both.dropped, both.relabelled, both.left, both.dataset.name) == (1, 1, 3, "digits-reviewed")
    assert len(both.dataset.train) == 299
    assert both.dataset.train.known_labels()[both.dataset.train.ids == dataset.train.ids[7]] == 3
    assert "3 left as they are, as decided" in both.describe(path)


def test_a_file_that_both_options_name_is_applied_once_and_one_review_after_another(
    dataset: Dataset, tmp_path: Path
) -> None:
    first = decided(dataset, tmp_path, (3, "drop", ""), (7, "relabel", "3")).rename(tmp_path / "first.csv")
    again = tmp_path / "again.csv"
    again.write_text(f"id,label,suggested,decision\n{dataset.train.ids[7]},3,5,relabel\n")
    found = apply_reviews(dataset, [first], [first, again])
    assert [(path, one.dropped, one.relabelled) for path, one in found] == [(first, 1, 1), (again, 0, 1)]
    last = found[-1][1].dataset
    assert last.name == "digits-reviewed-relabelled"
    assert last.train.known_labels()[last.train.ids == dataset.train.ids[7]] == 5


@pytest.mark.parametrize(
    ("decisions", "remedy", "message"),
    [
        ([(3, "perhaps", "")], "drop", "line 2: the decision is 'perhaps', expected keep, relabel, drop, skip"),
        ([(3, "keep", "")], "both", "no line has the decision drop or relabel, so nothing would change"),
        ([(3, "relabel", "ten")], "relabel", "line 2: 'ten' is not one of the classes"),
    ],
)
def test_decisions_that_cannot_be_followed_are_refused(
    decisions: list[tuple[int, str, str]], remedy: Remedy, message: str, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        review(dataset, decided(dataset, tmp_path, *decisions), remedy)


def test_a_list_without_decisions_is_not_for_both_remedies(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Name it with one of them"):
        review(dataset, listed(tmp_path, line(dataset, 7, "3")), "both")
