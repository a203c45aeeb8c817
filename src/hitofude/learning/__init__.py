"""The second wing: images become trained members and probabilities."""
