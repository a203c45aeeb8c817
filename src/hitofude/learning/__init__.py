"""Learning: from images to trained members and their probabilities."""
