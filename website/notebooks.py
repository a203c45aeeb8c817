"""Notebooks as pages: their cells, and their outputs if the notebook was run.

`python website/notebooks.py` runs the tutorial, which trains for some minutes, into build/notebooks, where the site
finds it; HITOFUDE_DEBUG=1 trains less.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXECUTED = ROOT / "build" / "notebooks"
WITHOUT_OUTPUTS = (
    "*These are the cells alone. Open `notebooks/{name}` of the repository in Jupyter to run them{or_here}.*"
)
OR_HERE = ", or see the outputs here after `make docs NOTEBOOKS=1`"


def notebook_page(path: Path) -> str:
    """Return a notebook as Markdown, with the outputs of build/notebooks if they are those of the same cells."""
    cells, executed = _cells(path), _cells(EXECUTED / path.name)
    if [cell["source"] for cell in executed] == [cell["source"] for cell in cells]:
        return _page(executed)
    note = WITHOUT_OUTPUTS.format(name=path.name, or_here=OR_HERE if path.stem == "tutorial" else "")
    title, _, rest = _page(cells).partition("\n")
    return f"{title}\n\n{note}\n{rest}"


def _cells(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in cells]


def _page(cells: list[dict[str, Any]]) -> str:
    return "\n\n".join(part for cell in cells for part in _parts(cell)) + "\n"


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    if cell["cell_type"] == "markdown":
        yield cell["source"]
    elif cell["source"]:
        yield f"```python\n{cell['source']}\n```"
        for output in cell["outputs"]:
            yield from _shown(output)


def _shown(output: dict[str, Any]) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        image = "".join("".join(data["image/png"]).split())
        yield f'<div class="output"><img alt="The output of the cell above" src="data:image/png;base64,{image}"></div>'
    elif "text/html" in data:
        without_links = re.sub(r"</?a\b[^>]*>", "", "".join(data["text/html"]))  # to files of the run, not of the site
        lines = without_links.splitlines()
        yield f'<div class="output">{" ".join(line.strip() for line in lines)}</div>'
    else:
        text = "".join(output.get("text", data.get("text/plain", "")))
        if text:
            yield f"```\n{text.rstrip()}\n```"


def main() -> None:
    """Run the tutorial with the Python that runs this, in a folder of its own."""
    import nbformat
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = str(ROOT / "src")
    book = nbformat.read(ROOT / "notebooks" / "tutorial.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(book, timeout=None, resources={"metadata": {"path": folder}}).execute()
    EXECUTED.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, EXECUTED / "tutorial.ipynb")  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
