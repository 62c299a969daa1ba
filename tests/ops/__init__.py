"""Every operator against PyTorch and against brute force; the cases are data."""
