"""Predicting with a finished run: arrays, files, photos, and any number of files in bulk."""
