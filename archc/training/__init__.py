"""Training: a graph and a recipe to a run folder. torch and pytorch-ignite are imported here, and nothing imports this room early."""
