"""The version of this package, for everyone who writes it down. It imports nothing of the package.

It is set by the repository's newest tag when the package is built or installed.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hitofude")
except PackageNotFoundError:  # the source is in the path, and was never installed
    __version__ = "0+unknown"
