"""Numbers that remember the operations on sizes that are open, and the formulas that these operations amount to."""
