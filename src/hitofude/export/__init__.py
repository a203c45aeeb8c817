"""Taking a run's networks out: one ONNX file, and a page that needs no server."""
