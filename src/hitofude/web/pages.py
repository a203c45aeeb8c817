"""The files of the page, read once and served by name, so that no path of a request ever reaches the disk."""

from dataclasses import dataclass
from importlib.resources import files

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
ALIASES = {"/": "index.html", "/docs": "docs.html"}


@dataclass(frozen=True)
class PageFile:
    """A file of the page, ready to send."""

    content: bytes
    media_type: str


def page_files() -> dict[str, PageFile]:
    """Return the files by the path of their address."""
    found = {
        f"/{entry.name}": PageFile(entry.read_bytes(), TYPES[ending])
        for entry in files("hitofude.web").joinpath("page").iterdir()
        if entry.is_file() and (ending := entry.name.rpartition(".")[2]) in TYPES
    }
    return found | {path: found[f"/{name}"] for path, name in ALIASES.items()}
