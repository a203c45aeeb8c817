"""Worker processes on this machine, on a Dask cluster or on a Ray cluster, and the pool that gives them tasks.

Nothing here depends on what the tasks are.
"""
