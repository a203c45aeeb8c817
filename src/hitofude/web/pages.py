"""The files of the page: read once, served by their names, so that no path of a request ever reaches the disk."""

from dataclasses import dataclass
from importlib.resources import files

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
ALIASES = {"/": "index.html", "/docs": "docs.html"}


@dataclass(frozen=True)
class PageFile:
    """A file of the page, as it is sent."""

    content: bytes
    media_type: str


def page_files() -> dict[str, PageFile]:
    """By the path of its address."""
    found = {
        f"/{entry.name}": PageFile(entry.read_bytes(), TYPES[ending])
        for entry in files("hitofude.web").joinpath("page").iterdir()
        if entry.is_file() and (ending := f".{entry.name.rpartition('.')[2]}") in TYPES
    }
    return found | {path: found[f"/{name}"] for path, name in ALIASES.items() if f"/{name}" in found}
