"""The files of a page, read once, so that no path of a request ever reaches the disk."""

from importlib.resources import files

from fastapi.responses import Response

FOR_READING = ["GET", "HEAD"]
PAGE_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
PAGE_ALIASES = {"/": "index.html", "/docs": "docs.html"}


def page_files(folder: str = "page") -> dict[str, Response]:
    """Return the answers with the files of hitofude/web/FOLDER, by path."""
    found = {
        f"/{entry.name}": Response(entry.read_bytes(), media_type=PAGE_TYPES[ending])
        for entry in files("hitofude.web").joinpath(folder).iterdir()
        if entry.is_file() and (ending := entry.name.rpartition(".")[2]) in PAGE_TYPES
    }
    aliases = {path: found[f"/{name}"] for path, name in PAGE_ALIASES.items() if f"/{name}" in found}
    return found | aliases
