"""State of the caller's process that other packages change, put back at the end of a block."""

import logging
import os
import signal
import threading
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
    """Set the level of the loggers of these names in the block."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own in zip(loggers, before, strict=True):
            logger.setLevel(own)


@contextmanager
def only_from(level: int, logger: logging.Logger) -> Iterator[None]:
    """Drop the records of a logger below a level in the block; also of one that logging does not know by its name."""

    def is_kept(record: logging.LogRecord) -> bool:
        return record.levelno >= level

    logger.addFilter(is_kept)
    try:
        yield
    finally:
        logger.removeFilter(is_kept)


@contextmanager
def signals_put_back() -> Iterator[None]:
    """Give SIGINT and SIGTERM back the handlers from before the block; outside the main thread Python allows none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
