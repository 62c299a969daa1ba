"""`train`: the recipe of a spec, read, checked against the network, and changed by files and options."""
