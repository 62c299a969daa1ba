"""A network beside the one that it is said to be: outputs and training, with controls that show that a difference would be seen."""

from archc.runtime.likeness.likeness import Likeness, compare

__all__ = ["Likeness", "compare"]
