"""What functions and modules of torch are among archc's operators."""

from archc.capture.rules import activations, merging, moving, weighted, windows
from archc.capture.rules.modules import is_whole, rule_of
from archc.capture.rules.registry import RULES

MODULES = (activations, merging, moving, weighted, windows)

__all__ = ["MODULES", "RULES", "is_whole", "rule_of"]
