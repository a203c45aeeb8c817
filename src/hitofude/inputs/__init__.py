"""The first wing: files become images."""
