"""A run, from its plan to its result: the folder, the flow, the figures, and what is done with finished runs."""
