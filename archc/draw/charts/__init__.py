"""Charts: the zoo by accuracy and cost, and curves of a training."""
