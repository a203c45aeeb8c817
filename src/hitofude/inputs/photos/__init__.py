"""Photos, scans and drawings become images in MNIST's format."""
