"""Graphs made faster: each pass takes a graph and gives another, with how the weights follow, and says what it did."""
