"""A sweep's folder.

spec.toml           what is done, every key of it
base.toml           the recipe that all start from
state.json          the recipes that were asked for, the runs that failed, the threads of each member
runs/NNN-seed-S/    the run of each recipe with each seed, as `hitofude run` makes it
sweep.csv           a line a run
sweep.json          the table and the comparisons
best-recipe.toml    for `hitofude run --preset`
.lock               held while a process works here
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hitofude.errors import RunFolderError
from hitofude.recipe import Recipe
from hitofude.storage import PARTIAL_FILES, owning, read_json, write_json, write_text
from hitofude.sweep.spec import Settings, SweepSpec

FORMAT_VERSION = 1
SECONDS_FOR_A_DYING_OWNER = 2


@dataclass
class State:
    """What a sweep must know to go on where it was left."""

    asked: list[Settings] = field(default_factory=list)
    """What differs from the base in each recipe, in the order in which they were asked for."""
    failed: dict[str, str] = field(default_factory=dict)
    """Runs that failed and would fail again, each with its reason."""
    threads: int | None = None
    """Of each member; they are part of a result."""


class SweepFolder:
    """Names and state of a sweep's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "spec.toml"
        self.base = path / "base.toml"
        self.runs = path / "runs"
        self.table = path / "sweep.csv"
        self.figures = path / "sweep.json"
        self.best = path / "best-recipe.toml"
        self._state = path / "state.json"

    @contextmanager
    def claimed(self, spec: SweepSpec, base: Recipe) -> Iterator[State]:
        """Within it, this process alone works here: on a new sweep, or on the same one that was begun here.

        Raises RunFolderError when another sweep was begun here, when another process works here, or when the folder
        holds something else.
        """
        self._check_holds_nothing_else()
        with owning(self.path, wait=SECONDS_FOR_A_DYING_OWNER) as is_ours:
            if not is_ours:
                raise RunFolderError(
                    f"Another process works on the sweep in {self.path}. Wait for it to end, or name another folder "
                    "with --out."
                )
            for partial in self.path.glob(PARTIAL_FILES):
                partial.unlink(missing_ok=True)
            if self.spec.exists():
                self._check_same(spec, base)
            else:
                base.save(self.base)
                write_text(self.spec, spec.to_toml())
            yield self._load()

    def save(self, state: State) -> None:
        write_json(self._state, {"format_version": FORMAT_VERSION} | asdict(state))

    def _load(self) -> State:
        if not self._state.exists():
            return State()
        content = read_json(self._state)
        if not isinstance(content, dict) or content.pop("format_version", None) != FORMAT_VERSION:
            raise RunFolderError(f"{self._state} was written by another version of hitofude. Name another folder.")
        try:
            return TypeAdapter(State).validate_python(content)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise RunFolderError(f"{self._state} is damaged at {place}. Restore it, or name another folder.") from None

    def _check_same(self, spec: SweepSpec, base: Recipe) -> None:
        differences = _differences(SweepSpec.load(self.spec), spec, Recipe.load(self.base), base)
        if differences:
            listed = "\n  ".join(differences)
            raise RunFolderError(
                f"{self.path} holds another sweep (there → here):\n  {listed}\n"
                "Use what it was begun with to continue it, or another folder with --out."
            )

    def _check_holds_nothing_else(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file. Name a new or empty folder with --out.")
        if self.spec.exists() or not self.path.exists():
            return
        visible = {entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")}
        if others := sorted(visible - {self.base.name}):
            raise RunFolderError(
                f"{self.path} is no sweep's folder: it holds {', '.join(others[:3])}. Name a new or empty one with "
                "--out."
            )


def _differences(begun: SweepSpec, spec: SweepSpec, begun_from: Recipe, base: Recipe) -> Sequence[str]:
    """Of the keys; where these are the same, of a preset's own settings, which may have been changed in its file."""
    return begun.difference(spec) or [f"{spec.preset}: {line}" for line in begun_from.difference(base)]
