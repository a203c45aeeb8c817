"""Several reviewers: how far they agree, where they differ, and what they share."""

from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.inputs.judgements import read_judgements
from hitofude.runs.agreement import compare_reviewers

HEADER = "id,label,suggested,decision"


def reviewed(folder: Path, name: str, *lines: str, header: str = HEADER) -> Path:
    path = folder / f"{name}.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def anna(tmp_path: Path) -> Path:
    return reviewed(tmp_path, "anna", "1,a,,keep", "2,a,b,relabel", "3,a,,drop", "4,b,,keep", "5,b,,skip", "6,b,,drop")


@pytest.fixture
def ben(tmp_path: Path) -> Path:
    return reviewed(tmp_path, "ben", "4,b,,keep", "1,a,,keep", "2,a,c,relabel", "3,a,,drop", "5,b,,keep")


def test_kappa_is_that_of_the_textbook_formula(anna: Path, ben: Path) -> None:
    agreement = compare_reviewers([anna, ben])
    (pair,) = agreement.pairs
    assert (pair.both, pair.agreed) == (4, 3)
    by_chance = (2 / 4) * (2 / 4) + (1 / 4) * (1 / 4)  # both keep, both drop
    assert pair.kappa == pytest.approx((3 / 4 - by_chance) / (1 - by_chance))
    assert "3 of 4 judged alike, Cohen's kappa 0.64" in agreement.describe()


def test_images_are_named_on_which_reviewers_differ(anna: Path, ben: Path) -> None:
    agreement = compare_reviewers([anna, ben])
    assert agreement.differing == ["2"]
    assert "  2  anna: relabelled b, ben: relabelled c" in agreement.describe()


def test_the_shared_judgements_are_a_reviewers_file(anna: Path, ben: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.csv"
    assert compare_reviewers([anna, ben]).write_shared(path) == 3
    shared = {id: one.verdict for _, (id, _, one) in read_judgements(path, of_training=True)}
    assert shared == {"1": "keep", "3": "drop", "4": "keep"}


def test_three_reviewers_are_compared_in_pairs_and_share_what_all_say(anna: Path, ben: Path, tmp_path: Path) -> None:
    carl = reviewed(tmp_path, "carl", "1,a,,drop", "4,b,,keep")
    agreement = compare_reviewers([anna, ben, carl])
    assert len(agreement.pairs) == 3
    assert list(agreement.shared) == ["4"]
    assert set(agreement.differing) == {"1", "2"}


def test_kappa_is_not_defined_if_all_verdicts_are_the_same(tmp_path: Path) -> None:
    files = [reviewed(tmp_path, name, "1,a,,keep", "2,a,,keep") for name in ("anna", "ben")]
    agreement = compare_reviewers(files)
    assert agreement.pairs[0].kappa is None
    assert agreement.describe().endswith("2 of 2 judged alike\nno image is judged differently")


def test_labels_of_new_images_are_compared_too(tmp_path: Path) -> None:
    header = "id,label,decision"
    anna = reviewed(tmp_path, "anna", "1,a,label", "2,b,label", header=header)
    ben = reviewed(tmp_path, "ben", "1,a,label", "2,a,label", header=header)
    agreement = compare_reviewers([anna, ben])
    assert "  2  anna: labelled b, ben: labelled a" in agreement.describe()
    assert agreement.write_shared(tmp_path / "both.csv") == 1
    assert (tmp_path / "both.csv").read_text() == "id,label,decision\n1,a,label\n"
    with pytest.raises(InputError, match="files of one kind"):
        compare_reviewers([anna, reviewed(tmp_path, "other", "1,a,,keep")])


def test_files_that_cannot_be_compared_are_refused(anna: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two reviewers or more"):
        compare_reviewers([anna])
    with pytest.raises(InputError, match=r"line 2: image '1' has the label 'b', but 'a' in an earlier"):
        compare_reviewers([anna, reviewed(tmp_path, "of another run", "1,b,,keep")])
