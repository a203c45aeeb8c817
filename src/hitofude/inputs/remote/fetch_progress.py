"""What is shown while files are fetched: a bar on a terminal, nothing elsewhere."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hitofude.inputs.remote.download import RemoteFile
from hitofude.inputs.remote.mirror import Report

logger = logging.getLogger(__name__)


@contextmanager
def showing_progress() -> Iterator[Callable[[RemoteFile], Report]]:
    """Within it, each file that is begun gets a bar of its own on the standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("fetching {task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=4,
        transient=True,
        expand=True,
        disable=not console.is_terminal or console.is_dumb_terminal,
    ) as progress:

        def begin(file: RemoteFile) -> Report:
            logger.info("fetching %s, %s bytes", file.name, f"{file.size:,}")
            task = progress.add_task(file.name, total=file.size)
            return lambda done: progress.update(task, completed=done)

        yield begin
