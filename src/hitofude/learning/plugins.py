"""Plugins: Python files of the user's that register networks and augmentations, and the source of each.

A plugin is one file, which may import installed packages, or a module of an installed package. Its source is part of
everything that is made with it: it is kept in the run folder, and sent to worker processes, which need not have the
file. Code is taken from the user's own call alone, never from a run folder on its own account.
"""

import hashlib
import importlib
import linecache
import re
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from hitofude.errors import RecipeError, UserError, suggest

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from hitofude.inputs.layout import ImageShape

    NetworkFactory = Callable[[ImageShape, int], nn.Module]
    Augmentation = Callable[[Tensor, torch.Generator], Tensor]

GROUP = "hitofude.plugins"
"""The entry points by which installed packages register."""
HOW_TO_LOAD = "Those of your own are loaded with --plugin FILE."
NAMES = r"[A-Za-z][A-Za-z0-9_.-]*"
CELL = "notebook_cell.py"
ALONE = (
    "A plugin's file, or its cell of a notebook, is run on its own in worker processes and by later commands: it needs "
    'all of its imports, and starts runs under `if __name__ == "__main__":` alone.'
)

Kind = Literal["network", "augmentation"]
Code = TypeVar("Code", bound=Callable[..., Any])


@dataclass(frozen=True)
class PluginSource:
    """The source of a plugin."""

    name: str
    """That of its file, such as my_network.py, or of its module in an installed package."""
    text: str
    path: str
    """Where it was read from, for messages and tracebacks."""
    module: str = ""
    """The module to import, of an installed package; empty if the text itself is run."""
    version: str = ""
    """The package's."""

    def __str__(self) -> str:
        """The name of a notebook's cell, whose path is a file of the kernel; else the path."""
        return CELL if self.name == CELL else self.path

    @property
    def sha256(self) -> str:
        return hashlib.sha256(f"{self.version}\n{self.text}".encode()).hexdigest()


@dataclass(frozen=True)
class Registered:
    """A network or an augmentation that a plugin has registered."""

    code: Callable[..., Any]
    source: PluginSource
    line: int
    is_main: bool
    """Whether the program itself registered it, or a notebook, where cells are changed and run again."""
    is_alone: bool
    """Whether the source was run on its own, as worker processes run it."""

    def __str__(self) -> str:
        return f"{self.source.path}, line {self.line}"


Registry = dict[tuple[Kind, str], Registered]

_LOCK = threading.Lock()
"""Held while the registry is read or changed, and never while code of a plugin runs."""
_registered: Registry = {}


class _OfThread(threading.local):
    """The state of this thread."""

    own: Registry | None = None
    """The registrations of a block of `using`, which go before the others."""
    loading: PluginSource | None = None
    """The source that is being run."""


_here = _OfThread()


def _visible() -> Registry:
    """Return all that is registered for this thread."""
    with _LOCK:
        return _registered | (_here.own or {})


def register_network(name: str) -> Callable[[Code], Code]:
    """Register a network by a name of its own, for `network.name`; a decorator.

    It stands before a function `(image_shape, classes) -> torch.nn.Module`, or a module class with these two arguments.
    image_shape: (C, H, W) of the images, which the network gets as (N, C, H, W) float32, 0..1; it returns (N, classes)
    logits. It draws its weights from PyTorch's generator alone, which is seeded for each member. See docs/extending.md.

    Raises RecipeError if the name cannot be used or another plugin has it, or if the source cannot be found.
    """
    return _registering("network", name)


def register_augmentation(name: str) -> Callable[[Code], Code]:
    """Register an augmentation by a name of its own, for `augment.own`; a decorator.

    It stands before a function `(batch, generator) -> batch`. batch: (N, C, H, W) float32 0..1 on the training's
    device, after hitofude's own augmentation; the result has the same shape. generator: on the CPU, seeded for each
    epoch; all that is random is drawn from it. The network sees the values as they are returned. See docs/extending.md.

    Raises as register_network does.
    """
    return _registering("augmentation", name)


def _registering(kind: Kind, name: str) -> Callable[[Code], Code]:
    def register(code: Code) -> Code:
        frame = sys._getframe(1)
        is_main, is_alone = frame.f_globals.get("__name__") == "__main__", _here.loading is not None
        new = Registered(code, _source_of(frame), frame.f_lineno, is_main, is_alone)
        if not isinstance(name, str) or not re.fullmatch(NAMES, name) or re.search(r"-margin-\d+$", name):
            raise RecipeError(f"{new}: '{name}' cannot name the {kind}. Use letters, digits and hyphens: my-{kind}")
        with _LOCK:
            registry = _registered if _here.own is None else _here.own
            old = registry.get((kind, name))
            if old is not None and not _is_again(old, new):
                raise RecipeError(f"{new}: the {kind} '{name}' is registered already, by {old}. Name one otherwise.")
            registry[kind, name] = new
        return code

    return register


def _is_again(old: Registered, new: Registered) -> bool:
    """Whether it is a new version of the same plugin."""
    is_same = old.source.name == new.source.name or old.source.text == new.source.text
    return is_same or (old.is_main and new.is_main)


def _source_of(frame: types.FrameType) -> PluginSource:
    """Return the source whose code runs in a frame: a file's text, a notebook's cell, or a package's module."""
    if _here.loading is not None:
        return _here.loading
    path, names = frame.f_code.co_filename, frame.f_globals
    linecache.checkcache(path)
    text = "".join(linecache.getlines(path, names))
    if not text:
        raise RecipeError(f"{path}: the source of this plugin cannot be found. Save it in a file, and import that.")
    is_cell = path.startswith("<") or Path(path).parent.name.startswith("ipykernel_")
    if names.get("__package__") and names["__name__"] != "__main__":
        return _source_of_module(names["__name__"], text, path)
    return PluginSource(CELL if is_cell else Path(path).name, text, path)


def _source_of_module(module: str, text: str, path: str) -> PluginSource:
    try:
        found = version(module.partition(".")[0])
    except PackageNotFoundError:
        found = ""
    return PluginSource(module, text, path, module, found)


def load_plugins(paths: Iterable[str | Path] | None) -> None:
    """Run files that register networks or augmentations, in place of earlier versions of these files.

    Raises RecipeError, with file and line, if one cannot be read, fails, or registers nothing, and within a plugin,
    which must only register.
    """
    if _here.loading is not None:
        raise RecipeError('a plugin cannot start a run. Put the call under `if __name__ == "__main__":`')
    for path in paths or ():
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"The plugin {path} cannot be read: {error}.") from None
        load_sources([PluginSource(Path(path).name, text, str(path))])


def load_sources(sources: Iterable[PluginSource]) -> None:
    """Run sources, or import their modules, unless that was done before.

    Raises RecipeError if one fails, if it registers nothing, or if an installed package has another source.
    """
    for source in sources:
        if any(one.source == source for one in _visible().values()):
            continue
        if source.module:
            _import(source)
        else:
            _run(source)
        if not any(one.source.sha256 == source.sha256 for one in _visible().values()):
            raise RecipeError(
                f"{source.path} registers nothing. Put @hitofude.register_network('my-net') before a function "
                "(image_shape, classes) -> torch.nn.Module, or @hitofude.register_augmentation('my-augmentation')."
            )


def _run(source: PluginSource) -> None:
    module = types.ModuleType(f"{Path(source.name).stem}_{source.sha256[:8]}")
    module.__file__ = source.path
    sys.modules[module.__name__] = module  # for dataclasses and the like, which look for their module
    linecache.cache[source.path] = len(source.text), None, source.text.splitlines(keepends=True), source.path
    before, _here.loading = _here.loading, source
    try:
        with explaining_plugin_errors(source):
            exec(compile(source.text, source.path, "exec"), module.__dict__)  # noqa: S102 - the user asked for it
    finally:
        _here.loading = before


def _import(source: PluginSource) -> None:
    with explaining_plugin_errors(source):
        module = importlib.import_module(source.module)
    text = Path(module.__file__ or "").read_text(encoding="utf-8")
    found = _source_of_module(source.module, text, str(module.__file__))
    if found.sha256 != source.sha256:
        raise RecipeError(
            f"{source.module} {found.version} here differs from {source.version} there. Install the same."
        )


def check_alone(source: PluginSource) -> None:
    """Run a source on its own, as worker processes and later commands do, unless that was done before.

    Raises RecipeError if it fails, or does not register the same then.
    """
    here = {key for key, one in _visible().items() if one.source == source and not one.is_alone}
    if not here or source.module:
        return
    with using([]):
        try:
            _run(source)
        except RecipeError as error:
            raise RecipeError(f"{error}\n{ALONE}") from None
        there = {key: one for key, one in _visible().items() if one.source == source and one.is_alone}
    if missing := sorted(here - there.keys()):
        raise RecipeError(f"{source.path} does not register '{missing[0][1]}' if it is run on its own.\n{ALONE}")
    with _LOCK:
        _registered.update(there)


@cache
def _load_packages() -> None:
    """Import the modules of installed packages that registered for it, for all threads."""
    before, _here.own = _here.own, None
    try:
        for point in entry_points(group=GROUP):
            place = f"the entry point '{point.name}' ({point.value})"
            with explaining_plugin_errors(PluginSource(point.value, "", place)):
                point.load()
    finally:
        _here.own = before


def registered_here(kind: Kind, name: str) -> Registered | None:
    """Return the network or augmentation of a name, without a look at installed packages."""
    return _visible().get((kind, name))


def find_registered(kind: Kind, name: str) -> Registered | None:
    """Return the network or augmentation of a name, from the plugins here and then from installed packages."""
    found = registered_here(kind, name)
    if found is None:
        _load_packages()
    return found or registered_here(kind, name)


def registered_names(kind: Kind) -> list[str]:
    """Return the names of all networks or augmentations from plugins."""
    _load_packages()
    return sorted(name for of, name in _visible() if of == kind)


def own_augmentations(names: Sequence[str] | None) -> list[Registered]:
    """Return the augmentations of these names. Raises RecipeError for an unknown one."""
    found = []
    for name in names or ():
        one = find_registered("augmentation", name)
        if one is None:
            known = registered_names("augmentation")
            nearest = suggest(name, known) if known else ""
            raise RecipeError(f"augment.own: there is no augmentation '{name}'.{nearest} {HOW_TO_LOAD}")
        found.append(one)
    return found


@contextmanager
def using(sources: Iterable[PluginSource]) -> Iterator[None]:
    """Use these sources in the block and this thread, whatever versions of them are registered."""
    before = _here.own
    _here.own = dict(before or {})
    try:
        load_sources(sources)
        yield
    finally:
        _here.own = before


@contextmanager
def explaining_plugin_errors(*sources: PluginSource) -> Iterator[None]:
    """Turn errors in the code of plugins into RecipeError with the file and line.

    sources: those that run in the block, besides all that have registered. Errors elsewhere pass.
    """
    try:
        yield
    except UserError as error:
        place = _place_of(error, sources) if sources else None
        if place is None:
            raise
        raise type(error)(f"{place}: {error}" if not str(error).startswith(place) else str(error)) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            raise
        place = _place_of(error, sources)
        if place is None:
            raise
        text = str(error).strip().partition("\n")[0]
        raise RecipeError(f"{place}: {type(error).__name__}: {text}") from error


def _place_of(error: BaseException, sources: Sequence[PluginSource]) -> str | None:
    """Return the last line of a plugin that an error passed through: `my_network.py, line 7, in forward`."""
    paths = {source.path for source in sources} | {one.source.path for one in _visible().values()}
    if isinstance(error, SyntaxError) and error.filename in paths:
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in paths]
    if frames:
        within = "" if frames[-1].name.startswith("<") else f", in {frames[-1].name}"
        return f"{frames[-1].filename}, line {frames[-1].lineno}{within}"
    return sources[0].path if sources else None
