"""The third wing: probabilities become files that people read."""
