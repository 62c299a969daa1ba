"""What machines can do at most: memory, bandwidth and peak arithmetic of accelerators, as data."""
