"""Commands that measure the claims of speed and accuracy."""
