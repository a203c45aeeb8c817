"""The plugins that a recipe uses."""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from hitofude.errors import ClusterError, RecipeError
from hitofude.learning.networks import NETWORKS, split_name
from hitofude.learning.plugins import PluginSource, check_alone, find_registered, load_sources, own_augmentations
from hitofude.recipe import Recipe


def network_source(name: str) -> PluginSource | None:
    """Return the source of the network of a name, with its margin or without; None for hitofude's own."""
    kind, _ = split_name(name)
    found = None if kind in NETWORKS else find_registered("network", kind)
    return None if found is None else found.source


def sources_of(recipe: Recipe) -> list[PluginSource]:
    """Return the sources that a recipe uses, in all its variants. Raises RecipeError for unknown augmentations."""
    turns = recipe.in_turn()
    found = [network_source(one.network.name) for one in turns]
    found += [own.source for one in turns for own in own_augmentations(one.augment.own)]
    return list(dict.fromkeys(source for source in found if source is not None))


def check_sources(recipe: Recipe) -> None:
    """Raise RecipeError if a source that the recipe uses does not do the same on its own."""
    for source in sources_of(recipe):
        check_alone(source)


def plugin_arguments(recipe: Recipe) -> list[str]:
    """Return the arguments of a command that load the files that a recipe uses."""
    return [word for source in sources_of(recipe) if not source.module for word in ("--plugin", source.path)]


def describe_sources(recipe: Recipe) -> dict[str, str]:
    """Return the part of a member's origin that its plugins are, whatever their files are called."""
    sources = sorted(source.sha256 for source in sources_of(recipe))
    return {"plugins_sha256": hashlib.sha256("".join(sources).encode()).hexdigest()} if sources else {}


def pack_sources(sources: Iterable[PluginSource]) -> list[dict[str, str]]:
    """Pack sources into a message to a worker process, which may lack their files."""
    return [asdict(source) for source in sources]


def load_packed(packed: Iterable[Mapping[str, str]]) -> None:
    """Run the sources of a message. Raises ClusterError, for another machine may have the packages that they need."""
    try:
        load_sources(PluginSource(**one) for one in packed)
    except RecipeError as error:
        raise ClusterError(f"{platform.node()}: {error}") from None
