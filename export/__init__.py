"""From `model.keras` to SavedModel, TFLite and ONNX files, each proven equal to it."""
