"""A graph as a module of PyTorch, on a device and in a dtype."""
