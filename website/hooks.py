"""Hooks of MkDocs: pages that are made when the site is built, and links that work here and in the repository."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from notebooks import notebook_page
from reference import commands_page, python_page, settings_page

ROOT = Path(__file__).parents[1]
COPIES = {
    "overview.md": "README.md",
    "ja/overview.md": "README.ja.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
"""Pages that are files of the repository's root."""
NOTEBOOKS = {
    "notebooks/tutorial.md": "notebooks/tutorial.ipynb",
    "notebooks/kaggle.md": "notebooks/kaggle.ipynb",
    "ja/tutorial.md": "notebooks/tutorial.ja.ipynb",
}
MADE = {"commands.md": commands_page, "settings.md": settings_page, "api.md": python_page}
PAGE_OF = {file: page for page, file in (COPIES | NOTEBOOKS).items()}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])")
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
WORKER = "https://unpkg.com/iframe-worker/shim"
"""The script from another host that Material's plugin "offline" would have pages load."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    made = {page: _read(file) for page, file in COPIES.items()}
    made |= {page: notebook_page(ROOT / file) for page, file in NOTEBOOKS.items()}
    made |= {page: make() for page, make in MADE.items()}
    made |= {f"assets/{name}": _read(f"website/{name}") for name in ("site.css", "iframe-worker.js")}
    pages = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    pages |= {COPIES[page]: made[page] for page in COPIES}
    for file in sorted({target for page, text in pages.items() for target in _sources_linked(page, text)}):
        made[f"source/{file}.md"] = _source_page(file)
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    for file in files:
        if file.src_uri.startswith("source/"):
            file.inclusion = file.inclusion.NOT_IN_NAV
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links to files of the repository into links to their pages, and the diagram into its drawing."""
    markdown = re.sub(r"^```mermaid\n.*?^```$", lambda _: _diagram(), markdown, flags=re.MULTILINE | re.DOTALL)
    place = page.file.src_uri
    file = (COPIES | NOTEBOOKS).get(place, f"docs/{place}")

    def turn(found: re.Match[str]) -> str:
        return posixpath.relpath(_page_of(_target(file, found[1])), posixpath.dirname(place) or ".")

    parts = CODE.split(markdown)
    return "".join(part if part.startswith("`") else LINK.sub(turn, part) for part in parts)


def on_post_template(output: str, template_name: str, **_: Any) -> str:
    """Load the worker of the search from the site, in the page that says that there is no such page."""
    return output.replace(WORKER, "/assets/iframe-worker.js") if template_name == "404.html" else output


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Load the worker of the search from the site, and state the language of Japanese pages."""
    output = output.replace(WORKER, get_relative_url("assets/iframe-worker.js", page.url))
    return output.replace('<html lang="en"', '<html lang="ja"', 1) if page.file.src_uri.startswith("ja/") else output


def _read(file: str | Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _target(file: str, link: str) -> str:
    """Return the path in the repository of a link in a file of it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), link))


def _page_of(target: str) -> str:
    """Return the path in the site of a file of the repository."""
    if target in PAGE_OF:
        return PAGE_OF[target]
    return f"source/{target}.md" if _is_source(target) else target.removeprefix("docs/")


def _is_source(target: str) -> bool:
    """Whether a file of the repository, or a folder, is shown as a page of its source."""
    path = ROOT / target
    return path.is_dir() or (path.is_file() and path.suffix not in (".md", ".png", ".svg"))


def _sources_linked(file: str, text: str) -> set[str]:
    prose = "".join(part for part in CODE.split(text) if not part.startswith("`"))
    targets = {_target(file, link) for link in LINK.findall(prose)} - set(PAGE_OF)
    return {target for target in targets if _is_source(target)}


def _source_page(target: str) -> str:
    path = ROOT / target
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    shown = [f"## {one.name}\n\n````{LANGUAGES.get(one.suffix, '')}\n{_read(one)}````" for one in files]
    return "\n\n".join([f"# {target}", *shown]) + "\n"


def _diagram() -> str:
    """Return the drawing of the diagram in docs/architecture.md, which website/draw_diagram.py made."""
    return f'<div class="diagram">\n{_read("website/architecture.svg")}\n</div>'
