"""A program as PyTorch source text. No torch here: the text is all."""
