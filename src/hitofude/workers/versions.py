"""Driver and workers must run the same versions: the bits of a result depend on them."""

import platform
from importlib.metadata import version

from hitofude.errors import ClusterError
from hitofude.version import __version__
from hitofude.workers.messages import Message


def versions() -> dict[str, str]:
    return {"hitofude": __version__, "torch": version("torch")}


def check_versions(message: Message) -> None:
    """Raise ClusterError if this machine's hitofude or PyTorch differs from the driver's."""
    here, there = versions(), message["versions"]
    if here != there:
        found = ", ".join(f"{name} {here[name]} instead of {there[name]}" for name in here if here[name] != there[name])
        raise ClusterError(f"{platform.node()} has {found}. Install the same versions there as here.")
