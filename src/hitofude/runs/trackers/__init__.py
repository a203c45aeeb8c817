"""Trackers of experiments, each from its own package: TensorBoard, MLflow, Weights & Biases."""
