"""From a graph to PyTorch source: passes, layout of the text, notes at its head."""
