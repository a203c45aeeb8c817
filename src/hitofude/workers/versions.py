"""Driver and workers must run the same versions: the bits of a result depend on them."""

import platform
from importlib.metadata import version

from hitofude.errors import ClusterError
from hitofude.version import __version__
from hitofude.workers.messages import Message


def versions() -> dict[str, str]:
    """What must be the same here and where members are made."""
    return {"hitofude": __version__, "torch": version("torch")}


def check_versions(message: Message) -> None:
    """Raises ClusterError where this machine has another hitofude or PyTorch than the run."""
    here, there = versions(), message["versions"]
    if here != there:
        found = ", ".join(f"{name} {here[name]} instead of {there[name]}" for name in here if here[name] != there[name])
        raise ClusterError(f"{platform.node()} has {found}. Install the same versions there as here.")
