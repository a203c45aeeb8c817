"""The files and displays that show the results of a run."""
