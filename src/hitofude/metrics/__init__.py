"""Figures of labels and probabilities, in NumPy alone: reading a run loads no PyTorch."""
