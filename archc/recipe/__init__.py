"""How a network is trained, as data: the `train:` section of a spec, with every default filled in."""

from archc.recipe.recipe import Data, EarlyStop, Part, Recipe

__all__ = ["Data", "EarlyStop", "Part", "Recipe"]
