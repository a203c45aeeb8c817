"""One module for each file format: each turns files into RawImages."""
