"""Receptive fields: which positions of the input one position of a layer depends on."""
