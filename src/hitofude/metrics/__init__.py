"""Metrics of labels and probabilities, in NumPy alone, so reading a run loads neither PyTorch nor SciPy."""
