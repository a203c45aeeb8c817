"""Photos, scans and drawings become images as MNIST was made."""
