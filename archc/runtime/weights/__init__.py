"""Files of weights: read without running anything, matched by name, written whole or not at all."""
