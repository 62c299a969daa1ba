"""A module as a file for other programs: ONNX and torch.export."""
