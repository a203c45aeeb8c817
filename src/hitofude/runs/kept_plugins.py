"""The plugins in a run folder: their sources, to compare with those of a later call.

    plugins/my_network.py    the source as it was when the run began
    plugins.json             the file, name and checksum of each source

Nothing here runs a source. Whoever may write to a run folder could put any code there, so it is run only if the user
names it with --plugin; a plugin that is loaded is used if its source is that of the run.
"""

from dataclasses import asdict, dataclass
from difflib import unified_diff

from hitofude.errors import RunFolderError
from hitofude.learning.plugins import PluginSource
from hitofude.learning.recipe_plugins import network_source, sources_of
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder
from hitofude.storage import read_json, validated, write_json, write_text

FORMAT_VERSION = 1


@dataclass(frozen=True)
class KeptPlugin:
    """The description of a source in a run folder."""

    file: str
    """In the folder `plugins`."""
    name: str
    sha256: str
    networks: tuple[str, ...] = ()
    """The networks of the run that it has registered."""
    module: str = ""
    version: str = ""


@dataclass(frozen=True)
class KeptPlugins:
    """The content of plugins.json."""

    format_version: int
    plugins: tuple[KeptPlugin, ...]


def keep_plugins(folder: RunFolder, recipe: Recipe) -> None:
    """Write the sources that a recipe uses; nothing if it uses none."""
    sources = sources_of(recipe)
    if not sources:
        return
    names = sorted({one.network.name for one in recipe.in_turn()})
    kept = list[KeptPlugin]()
    for source in sources:
        stem = source.name.removesuffix(".py")
        file = f"{stem}.py" if f"{stem}.py" not in [one.file for one in kept] else f"{stem}-{source.sha256[:8]}.py"
        of = tuple(name for name in names if network_source(name) == source)
        write_text(folder.plugins / file, source.text)
        kept.append(KeptPlugin(file, source.name, source.sha256, of, source.module, source.version))
    write_json(folder.plugin_list, asdict(KeptPlugins(FORMAT_VERSION, tuple(kept))))


def kept_plugins(folder: RunFolder) -> tuple[KeptPlugin, ...]:
    """Read which plugins a run uses. Raises RunFolderError if the list is damaged or of a newer version."""
    if not folder.plugin_list.exists():
        return ()
    content = validated(KeptPlugins, read_json(folder.plugin_list), folder.plugin_list)
    if content.format_version > FORMAT_VERSION:
        raise RunFolderError(f"{folder.plugin_list} was written by a newer hitofude: pip install -U hitofude.")
    return content.plugins


def plugin_differences(folder: RunFolder, recipe: Recipe) -> list[str]:
    """Describe how the sources that a recipe uses differ from those that the folder's run was begun with."""
    kept, here = kept_plugins(folder), sources_of(recipe)
    ours, theirs = {one.sha256 for one in here}, {one.sha256 for one in kept}
    gone = [one for one in kept if one.sha256 not in ours]
    found = list[str]()
    for source in [one for one in here if one.sha256 not in theirs]:
        before = next((one for one in gone if one.name == source.name), None)
        if before is None:
            found.append(f"plugin {source.name}: not used → {source.path}")
        else:
            gone.remove(before)
            found += _describe_change(folder, before, source)
    return found + [f"plugin {one.name}: {folder.plugins / one.file} → not used" for one in gone]


def check_plugins(folder: RunFolder) -> None:
    """Raise RunFolderError if a network of the run was registered by a plugin that is not loaded, or has changed."""
    for kept in kept_plugins(folder):
        for name in kept.networks:
            source, copy = network_source(name), folder.plugins / kept.file
            if source is None:
                remedy = f"Install {kept.module} {kept.version}, and" if kept.module else f"If you trust {copy},"
                option = "" if kept.module else f" with --plugin {copy}"
                raise RunFolderError(
                    f"{folder.path} needs the network '{name}' of the plugin {kept.name}, which is not loaded: code in "
                    f"a run folder is not run unasked. {remedy} run the same command again{option}."
                )
            if source.sha256 != kept.sha256:
                listed = "\n  ".join(_describe_change(folder, kept, source))
                raise RunFolderError(f"{folder.path} was trained with another plugin (there → here):\n  {listed}")


def _describe_change(folder: RunFolder, kept: KeptPlugin, source: PluginSource) -> list[str]:
    """Return the differing lines of a source, and the option that takes the run's own."""
    copy = folder.plugins / kept.file
    lines = [f"plugin {kept.name}: its source has changed"]
    if kept.version != source.version:
        lines.append(f"version {kept.version} → {source.version}")
    try:
        before = copy.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return [*lines, f"{copy} cannot be read"]
    changes = unified_diff(before.splitlines(), source.text.splitlines(), str(copy), source.path, lineterm="", n=2)
    lines += [line.rstrip() for line in changes]
    return lines if kept.module else [*lines, f"With the run's own: --plugin {copy}"]


def sources_of_run(folder: RunFolder) -> list[PluginSource]:
    """Return the loaded sources of the run's networks, to send to worker processes. Raises as check_plugins does."""
    check_plugins(folder)
    found = [network_source(name) for kept in kept_plugins(folder) for name in kept.networks]
    return list(dict.fromkeys(source for source in found if source is not None))
