"""What each layer costs, as bars, a treemap, and memory over time."""
