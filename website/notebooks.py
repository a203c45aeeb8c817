"""Notebooks as pages: their cells, with the outputs of a run that are kept in website/outputs.

`python website/notebooks.py` runs the tutorial, which trains for some minutes, and renews its outputs. With the
competition's files, `HITOFUDE_INPUT=FOLDER python website/notebooks.py kaggle` renews those of the other notebook.
"""

import base64
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUTPUTS = ROOT / "website" / "outputs"
WITHOUT_OUTPUTS = "*These are the cells alone. Open `notebooks/{name}` of the repository in Jupyter to run them.*"
COLOURS = 16
"""Of a kept picture: black, grey and the lines of a plot."""

Output = tuple[str, str]
"""A kind, which is image/png, text/html or text/plain, and the content."""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook, and the outputs of a code cell."""

    kind: str  # "code", "markdown"
    source: str
    outputs: tuple[Output, ...] = ()


def notebook_page(path: Path) -> str:
    """Return a notebook as Markdown, with the kept outputs if they are those of the same code."""
    cells = read_cells(path)
    kept = kept_outputs(path)
    if [source for source, _ in kept] == [cell.source for cell in cells if cell.kind == "code"]:
        outputs = iter(kept)
        return _page(Cell("code", *next(outputs)) if cell.kind == "code" else cell for cell in cells)
    title, _, rest = _page(cells).partition("\n")
    return f"{title}\n\n{WITHOUT_OUTPUTS.format(name=path.name)}\n{rest}"


def read_cells(path: Path) -> list[Cell]:
    """Return the cells of a notebook with their outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [
        Cell(cell["cell_type"], "".join(cell["source"]), shown_outputs(cell.get("outputs", ())))
        for cell in cells
        if "".join(cell["source"])
    ]


def kept_outputs(path: Path) -> list[tuple[str, tuple[Output, ...]]]:
    """Return the code of each cell that was run and its outputs; a translation has those of the original."""
    kept = OUTPUTS / f"{path.name.partition('.')[0]}.json"
    if not kept.exists():
        return []
    cells = json.loads(kept.read_text(encoding="utf-8"))
    return [(cell["source"], tuple((kind, content) for kind, content in cell["outputs"])) for cell in cells]


def shown_outputs(outputs: Iterable[dict[str, Any]]) -> tuple[Output, ...]:
    """Return what a page shows of a code cell's outputs, in Jupyter's format; lines printed in turn are one output."""
    shown = list[Output]()
    for output in outputs:
        data = output.get("data", {})
        kind = next((kind for kind in ("image/png", "text/html") if kind in data), "text/plain")
        content = "".join(output.get("text", data.get(kind, "")))
        if kind == "text/plain" and shown and shown[-1][0] == kind:
            shown[-1] = kind, shown[-1][1] + content
        elif content:
            shown.append((kind, content))
    return tuple(shown)


def _page(cells: Iterable[Cell]) -> str:
    return "\n\n".join(part for cell in cells for part in _parts(cell)) + "\n"


def _parts(cell: Cell) -> list[str]:
    if cell.kind == "markdown":
        return [cell.source]
    return [f"```python\n{cell.source}\n```", *(_show(*output) for output in cell.outputs)]


def _show(kind: str, content: str) -> str:
    if kind == "image/png":
        image = "".join(content.split())
        return f'<div class="output"><img alt="The output of the cell above" src="data:image/png;base64,{image}"></div>'
    if kind == "text/html":
        without_links = re.sub(r"</?a\b[^>]*>", "", content)  # to files of the run, not of the site
        return f'<div class="output">{" ".join(line.strip() for line in without_links.splitlines())}</div>'
    return f"```\n{content.rstrip()}\n```"


def _smaller(picture: str) -> str:
    """Return a PNG in base64 with few colours, in a fraction of its bytes."""
    from PIL import Image

    small = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def main(names: Sequence[str]) -> None:
    """Run notebooks with the Python that runs this, each in a folder of its own, and keep their outputs."""
    import nbformat
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = str(ROOT / "src")
    OUTPUTS.mkdir(exist_ok=True)
    for name in names:
        book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(book, timeout=None, resources={"metadata": {"path": folder}}).execute()
        cells = [
            {
                "source": cell["source"],
                "outputs": [
                    (kind, _smaller(content) if kind == "image/png" else content)
                    for kind, content in shown_outputs(cell["outputs"])
                ],
            }
            for cell in book.cells
            if cell["cell_type"] == "code"
        ]
        text = json.dumps(cells, ensure_ascii=False, indent=1)
        (OUTPUTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or ["tutorial"])
