"""What runs: modules, weights and files of PyTorch. The first floor where torch is imported."""
