"""State of the caller's process that other packages change, put back at the end of a block."""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def environment_put_back() -> Iterator[None]:
    """Give every environment variable back the value that it had before the block."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextmanager
def loggers_at(level: int, names: Iterable[str]) -> Iterator[None]:
    """Set the level of these loggers in the block."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own in zip(loggers, before, strict=True):
            logger.setLevel(own)
