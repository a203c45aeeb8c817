"""The command line: parse, call, print errors. Each command imports what it needs when it runs."""

from hitofude.cli import (
    audit,
    bench,
    card,
    completion,
    data,
    distill,
    export,
    fetch,
    import_chainer,
    next_images,
    predict,
    presets,
    review,
    run,
    serve,
    settings,
    sweep,
)
from hitofude.cli.entry import main

__all__ = [
    "audit", "bench", "card", "completion", "data", "distill", "export", "fetch", "import_chainer", "main",
    "next_images", "predict", "presets", "review", "run", "serve", "settings", "sweep",
]  # fmt: skip
