"""What functions and modules of torch are among archc's operators."""

from archc.tracing.rules import activations, arithmetic, indexing, merging, moving, patches, recurrent, reducing, weighted, windows
from archc.tracing.rules.modules import check_leaves, is_whole, rule_of
from archc.tracing.rules.registry import RULES

MODULES = (activations, arithmetic, indexing, merging, moving, patches, recurrent, reducing, weighted, windows)

__all__ = ["MODULES", "RULES", "check_leaves", "is_whole", "rule_of"]
