"""Docstrings as the site shows them: each parameter on a line of its own."""

import re
from collections.abc import Iterable
from typing import Any

from griffe import Class, Docstring, Extension, Function


class ParametersAsList(Extension):  # type: ignore[misc]
    """Turn `images: (N, H, W). raw: as predicted.` in a docstring into a list, and `Raises …` into a paragraph."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Rewrite the docstring of a function or a method."""
        _rewrite(func.docstring, [parameter.name.lstrip("*") for parameter in func.parameters])

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Rewrite the docstring of a class, by the parameters of its constructor."""
        init = cls.members.get("__init__")
        if isinstance(init, Function):
            names = [parameter.name.lstrip("*") for parameter in init.parameters]
            _rewrite(cls.docstring, [*names, "X", "y"])


def _rewrite(docstring: Docstring | None, names: Iterable[str]) -> None:
    if docstring is None:
        return
    begin = rf"(?:^|(?<=[.;]) |\n)({'|'.join(map(re.escape, names))}):\s"
    first, *items = re.split(begin, docstring.value.strip())
    if items:
        listed = "\n".join(f"- `{name}`: {text.strip()}" for name, text in zip(items[::2], items[1::2], strict=True))
        docstring.value = re.sub(r"(?<=\.)\s+(?=Raises? )", "\n\n", f"{first.strip()}\n\n{listed}")
