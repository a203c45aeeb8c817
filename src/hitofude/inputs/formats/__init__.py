"""One module for each file format; each reads files as RawImages."""
