"""A sweep's folder.

spec.toml           the sweep's file, with all defaults
base.toml           the recipe that all others change
state.json          the recipes so far, the runs that failed, the threads of each member
runs/NNN-seed-S/    the run of each recipe with each seed, as of `hitofude run`
sweep.csv           a line for each run
sweep.json          all figures
best-recipe.toml    for `hitofude run --preset`
.lock .owner.json   while a process works here
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from hitofude.recipe import Recipe
from hitofude.runs.claim import ClaimedFolder
from hitofude.storage import read_json, validated, write_json, write_text
from hitofude.sweep.spec import Settings, SweepSpec


class State(BaseModel):
    """Everything needed to continue a sweep, beside its runs."""

    format_version: Literal[1] = 1
    recipes: list[Settings] = []
    """The settings of each recipe that differ from the base, in the order in which recipes are tried."""
    failed: dict[str, str] = {}
    """The reason of each run that failed and would fail again."""
    threads: int | None = None
    """The threads of each member, which change the results."""
    optuna: str | None = None
    """The version that proposes the recipes of a TPE search; others propose other ones."""


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
        """Own the folder inside the block, for a new sweep or for the same one that was begun here.

        Raises RunFolderError if another sweep was begun here, another process works here, or the folder holds other
        things.
        """

        def begin() -> None:
            base.save(self.base)
            write_text(self.spec, spec.to_toml())

        def compare() -> list[str]:
            changed_preset = Recipe.load(self.base).difference(base)
            return SweepSpec.load(self.spec).difference(spec) or [f"{spec.preset}: {line}" for line in changed_preset]

        claim = ClaimedFolder(self.path, "sweep", "--out", self.spec.name, (self.base.name,), owns_below=False)
        with claim.claimed(begin, compare):
            yield validated(State, read_json(self._state), self._state) if self._state.exists() else State()

    def save(self, state: State) -> None:
        write_json(self._state, state.model_dump())
