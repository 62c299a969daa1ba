"""A network as one page: figures, derivations, memory and bounds as data, and a page that shows them without a server."""

from archc.html.data import DEVICE, MOST_BATCH, NUMBERS, TrainingChoice, report

__all__ = ["DEVICE", "MOST_BATCH", "NUMBERS", "TrainingChoice", "report"]
