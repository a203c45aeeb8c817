"""A person's judgements of images, one file for each reviewer, whole on the disk after each judgement.

Of training images it is a reviewed list for `hitofude run --drop-issues --relabel-issues`, of unlabelled ones the
labels of a folder of `hitofude next`. The lines are in the order in which the images were judged last.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Literal

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.review import DECISION
from hitofude.storage import PARTIAL_FILES, owning, write_rows

Verdict = Literal["keep", "relabel", "drop", "skip", "label"]
OF_TRAINING: tuple[Verdict, ...] = ("keep", "relabel", "drop", "skip")
OF_UNLABELLED: tuple[Verdict, ...] = ("label", "drop", "skip")
WITH_LABEL = ("relabel", "label")


@dataclass(frozen=True)
class Judgement:
    """A verdict on an image. label: the one chosen, if the verdict has one, else empty."""

    verdict: Verdict
    label: str = ""


class Judgements:
    """One reviewer's judgements, used by one thread at a time."""

    def __init__(self, path: Path, classes: Sequence[str], given: Mapping[str, str | None]) -> None:
        """Read the file, if there is one.

        given: the images' labels by id, None for unlabelled images. Raises InputError if the file is of other images.
        """
        self.path, self._classes, self._given = path, frozenset(classes), given
        self.are_of_training = all(label is not None for label in given.values())
        self._judged: dict[str, Judgement] = self._read() if path.exists() else {}
        self._undo: list[tuple[str, Judgement | None]] = [(id, None) for id in self._judged]

    def __len__(self) -> int:
        return len(self._judged)

    def of(self, id: str) -> Judgement | None:
        """Return the judgement of an image, None if there is none."""
        return self._judged.get(id)

    def counts(self) -> Counter[Verdict]:
        """Return how often each verdict was given."""
        return Counter(one.verdict for one in self._judged.values())

    def judge(self, id: str, judgement: Judgement) -> None:
        """Judge an image, perhaps anew, and write the file.

        Raises InputError for an unknown image, verdict or label; OutOfResourcesError or RunFolderError if the file
        cannot be written, and then nothing is judged.
        """
        self._check(id, judgement)
        before = self._judged.get(id)
        self._write({other: one for other, one in self._judged.items() if other != id} | {id: judgement})
        self._undo.append((id, before))

    def undo(self) -> str | None:
        """Take the last judgement back, and write the file; return its image's id, None if there is none.

        Those of an earlier session are taken back, too, from the last line up. Raises as `judge` does.
        """
        if not self._undo:
            return None
        id, before = self._undo[-1]
        others = {other: one for other, one in self._judged.items() if other != id}
        self._write(others if before is None else others | {id: before})
        self._undo.pop()
        return id

    def _check(self, id: str, judgement: Judgement) -> None:
        if id not in self._given:
            raise InputError("id: there is no such image in this review.")
        if judgement.verdict not in (OF_TRAINING if self.are_of_training else OF_UNLABELLED):
            raise InputError("verdict: expected one of those that GET api/review lists.")
        if judgement.verdict in WITH_LABEL and judgement.label not in self._classes:
            raise InputError("label: this is no class of the run. GET api/review lists them.")
        if judgement.verdict not in WITH_LABEL and judgement.label:
            raise InputError("label: this verdict has none.")

    def _write(self, judged: dict[str, Judgement]) -> None:
        """Write the lines, and then know them: a judgement that is not on the disk was not made."""
        if self.are_of_training:
            header = ["id", "label", "suggested", DECISION]
            lines = [[id, self._given[id], one.label, one.verdict] for id, one in judged.items()]
        else:
            header = ["id", "label", DECISION]
            lines = [[id, one.label, one.verdict] for id, one in judged.items()]
        write_rows(self.path, [header, *lines])
        self._judged = judged

    def _read(self) -> dict[str, Judgement]:
        found = dict[str, Judgement]()
        for number, (id, given, one) in read_judgements(self.path, of_training=self.are_of_training):
            try:
                self._check(id, one)
            except InputError:
                given = None
            if id in found or given is None or (self.are_of_training and given != self._given[id]):
                raise InputError(
                    f"{self.path}, line {number}: this is no judgement of these images. Name another --reviewer, or "
                    "another file with --out."
                )
            found[id] = one
        return found


def read_judgements(path: Path, *, of_training: bool) -> Iterator[tuple[int, tuple[str, str | None, Judgement]]]:
    """Yield of each line its number, id, given label and judgement. Raise InputError if a column is missing."""
    table = read_text_table(path)
    columns = ["id", "label", "suggested" if of_training else "label", DECISION]
    for number, (id, given, chosen, verdict) in table.columns(columns):
        yield number, (id, given, Judgement(verdict, chosen))  # type: ignore[arg-type]


@contextmanager
def owning_file(path: Path) -> Iterator[None]:
    """Own a reviewer's file within the block, without the rest of a killed process.

    Raises RunFolderError if another process has it.
    """
    with owning(path.parent, name=f".{path.name}.lock") as is_ours:
        if not is_ours:
            raise RunFolderError(
                f"{path} is in use: another `hitofude review` writes into it. End that one, or name another --reviewer."
            )
        for partial in path.parent.glob(f".{escape(path.name)}.{PARTIAL_FILES.removeprefix('.')}"):
            partial.unlink(missing_ok=True)
        yield
