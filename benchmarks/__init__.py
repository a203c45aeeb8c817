"""What is claimed of speed and accuracy, as commands that measure it."""
