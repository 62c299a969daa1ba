"""The memory of training and inference: what autograd keeps, what is allocated when, and which batch fits."""
