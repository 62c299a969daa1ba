"""What the PyTorch program of a graph looks like: classes, attributes, constructor arguments, the steps of each forward."""
