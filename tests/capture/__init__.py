"""Graphs of PyTorch modules, against the modules themselves."""
