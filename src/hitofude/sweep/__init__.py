"""Many recipes, each with the same seeds, beside each other: which is the best, and by how much more than chance."""
