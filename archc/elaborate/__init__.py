"""From a document to a graph, with shapes as it goes: the one place where text, language and operators meet."""

from archc.elaborate.start import elaborate

__all__ = ["elaborate"]
