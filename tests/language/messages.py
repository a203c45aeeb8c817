"""The messages of the source: the texts that `say`, `say_of`, `say_count`, `line` and `note` are called with."""

import ast
from functools import cache
from pathlib import Path

from jinja2 import Environment, nodes

import hitofude
from hitofude.language.translation import message_of_count
from hitofude.metrics.scores import NAMES
from hitofude.outputs.display import lines, notebook
from hitofude.recipe import preset_names
from hitofude.runs.preset_costs import purpose_of

SOURCE = Path(hitofude.__file__).parent
TEMPLATE = SOURCE / "outputs" / "html_report" / "report.html"
PLACE = {"say": 0, "_say": 0, "note": 0, "line": 0, "say_of": 2, "say_count": 1, "count": 1, "counted": 1}
"""The argument that is the message, by function; of `say_of` the one for several things."""
BY_VALUE = {*lines.COLUMNS, *notebook.COLUMNS}
"""Messages that are looked up by a variable, besides the terms."""
TERMS = {
    *NAMES.values(), "light", "dark", "light on dark", "dark on light", "easier", "harder", "the folder itself",
    "this machine", "nothing changed", "the Dask cluster of this machine", "the Ray cluster of this machine",
}  # fmt: skip
"""The values of notes that are translated themselves."""


def messages() -> dict[str, set[str]]:
    """Return the messages by the table of the catalogue that they belong to."""
    found: dict[str, set[str]] = {"messages": BY_VALUE - TERMS, "labels": set(), "notes": set(), "counts": set()}
    tables = {"line": "labels", "note": "notes", "say_count": "counts", "count": "counts"}
    for function, message in (*_calls_in_code(), *_calls_in_template()):
        if function != "counted":
            text = message_of_count(message) if function in ("say_count", "count") else " ".join(message.split())
            found[tables.get(function, "messages")].add(text)
    found["messages"] -= TERMS
    return found | {"terms": TERMS, "purposes": {purpose_of(name) for name in preset_names()}}


def counts_in_notes() -> set[str]:
    """Return the counts that notes may hold: those that are written in English."""
    return {message_of_count(noun) for function, noun in _calls_in_code() if function == "counted"}


@cache
def _calls_in_code() -> list[tuple[str, str]]:
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACE:
                arguments = node.args[PLACE[node.func.id] :]
                if arguments and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
                    found.append((node.func.id, arguments[0].value))
    return found


def _calls_in_template() -> list[tuple[str, str]]:
    found = []
    template = Environment(autoescape=True).parse(TEMPLATE.read_text(encoding="utf-8"))
    for node in template.find_all(nodes.Call):
        if isinstance(node.node, nodes.Name) and node.node.name in PLACE:
            argument = node.args[PLACE[node.node.name]]
            if isinstance(argument, nodes.Const):
                found.append((node.node.name, argument.value))
    return found
