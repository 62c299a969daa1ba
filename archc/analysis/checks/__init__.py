"""A network held against its promises, its budget, published figures, and the rules of training in PyTorch."""
