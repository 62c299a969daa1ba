"""What a network costs: folds over the graph. Nothing here writes on it."""
