"""The version of this package, for everyone who writes it down. It imports nothing."""

__version__ = "0.1.0"
