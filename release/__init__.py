"""The checks before a release; they are no part of the package."""
