"""From a network back to a short spec: blocks that ship are recognised, parts that are alike become blocks, neighbours become runs."""

from archc.folding.fold import fold, is_spec_of

__all__ = ["fold", "is_spec_of"]
