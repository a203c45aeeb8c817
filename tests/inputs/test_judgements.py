"""A reviewer's judgements: on the disk after each, taken back one by one, and read again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hitofude import storage
from hitofude.errors import InputError, OutOfResourcesError, RunFolderError
from hitofude.inputs import judgements as module
from hitofude.inputs.judgements import Judgement, Judgements, Verdict, owning_file
from hitofude.inputs.review import review
from hitofude.inputs.sources import Dataset

CLASSES = ("cat", "dog", 'a b, "c"')
GIVEN = {"1": "cat", "2": "dog", "x,3": "cat"}


@pytest.fixture
def begun(tmp_path: Path) -> Callable[[], Judgements]:
    """Read the same file again."""
    return lambda: Judgements(tmp_path / "reviewed.csv", CLASSES, GIVEN)


def test_each_judgement_is_read_again_by_another_process(begun: Callable[[], Judgements]) -> None:
    first = begun()
    first.judge("1", Judgement("relabel", 'a b, "c"'))
    assert begun().of("1") == Judgement("relabel", 'a b, "c"')
    first.judge("x,3", Judgement("drop"))
    assert (begun().of("x,3"), begun().of("2")) == (Judgement("drop"), None)


def test_judgements_are_taken_back_from_the_last_one_on_also_those_of_an_earlier_session(
    begun: Callable[[], Judgements],
) -> None:
    first = begun()
    for id, verdict in (("2", "keep"), ("1", "skip")):
        first.judge(id, Judgement(verdict))  # type: ignore[arg-type]
    again = begun()
    again.judge("2", Judgement("drop"))
    assert again.undo() == "2"
    assert again.of("2") == Judgement("keep")
    assert [again.undo(), again.undo(), again.undo()] == ["1", "2", None]
    assert len(begun()) == 0


@pytest.mark.parametrize(
    ("id", "verdict", "label", "named"),
    [
        ("4", "keep", "", "id"),
        ("1", "relabel", "bird", "label"),
        ("1", "relabel", "", "label"),
        ("1", "keep", "cat", "label"),
        ("1", "label", "cat", "verdict"),
        ("1", "burn", "", "verdict"),
    ],
)
def test_what_is_no_judgement_is_refused_and_not_written(
    id: str, verdict: Verdict, label: str, named: str, begun: Callable[[], Judgements]
) -> None:
    own = begun()
    with pytest.raises(InputError, match=f"^{named}: "):
        own.judge(id, Judgement(verdict, label))
    assert not own.path.exists()


def test_a_judgement_that_cannot_be_written_was_not_made(
    begun: Callable[[], Judgements], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = begun()
    own.judge("1", Judgement("drop"))

    def full(*_: object) -> None:
        raise OutOfResourcesError("full")

    monkeypatch.setattr(module, "write_rows", full)
    for act in (lambda: own.judge("2", Judgement("keep")), own.undo):
        with pytest.raises(OutOfResourcesError):
            act()
    assert (own.of("1"), own.of("2")) == (Judgement("drop"), None)
    monkeypatch.setattr(module, "write_rows", storage.write_rows)
    assert own.undo() == "1"


@pytest.mark.parametrize("line", ["9,cat,,keep", "1,dog,,keep", "1,cat,bird,relabel", "1,cat,,burn"])
def test_a_file_of_other_images_is_refused_with_its_line(line: str, begun: Callable[[], Judgements]) -> None:
    path = begun().path
    path.write_text(f"id,label,suggested,decision\n2,dog,,keep\n{line}\n")
    with pytest.raises(InputError, match="line 3: this is no judgement of these images"):
        begun()


def test_two_processes_do_not_write_into_one_file_but_into_two(tmp_path: Path) -> None:
    twice = owning_file(tmp_path / "a.csv")
    with (
        owning_file(tmp_path / "a.csv"),
        owning_file(tmp_path / "b.csv"),
        pytest.raises(RunFolderError, match="another --reviewer"),
    ):
        twice.__enter__()


def test_the_file_is_a_list_that_a_run_applies(dataset: Dataset, tmp_path: Path) -> None:
    train = dataset.train
    given = {id: train.classes[label] for id, label in zip(train.ids.tolist(), train.known_labels(), strict=True)}
    own = Judgements(tmp_path / "reviewed.csv", train.classes, given)
    own.judge(str(train.ids[5]), Judgement("drop"))
    own.judge(str(train.ids[7]), Judgement("relabel", "3"))
    own.judge(str(train.ids[9]), Judgement("keep"))
    found = review(dataset, own.path, "both")
    assert (found.dropped, found.relabelled, found.left) == (1, 1, 1)


def test_unlabelled_images_get_labels(tmp_path: Path) -> None:
    own = Judgements(tmp_path / "labels.csv", CLASSES, {"1": None, "2": None})
    own.judge("1", Judgement("label", "dog"))
    own.judge("2", Judgement("skip"))
    assert own.path.read_text() == "id,label,decision\n1,dog,label\n2,,skip\n"
    with pytest.raises(InputError, match="verdict"):
        own.judge("1", Judgement("keep"))


def test_the_rest_of_a_killed_process_is_removed_but_not_that_of_others(tmp_path: Path) -> None:
    own, others = tmp_path / ".a.csv.12.beef.tmp", tmp_path / ".b.csv.12.beef.tmp"
    for partial in (own, others):
        partial.write_text("id,la")
    with owning_file(tmp_path / "a.csv"):
        assert not own.exists()
        assert others.exists()
