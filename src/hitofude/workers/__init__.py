"""Where work is done: in processes here, or on the workers of a Dask or a Ray cluster. It knows nothing of the work."""
