"""How a network is trained, as data: the `train:` section of a spec, with every default filled in."""

from archc.recipe.recipe import Data, Part, Recipe, Stop

__all__ = ["Data", "Part", "Recipe", "Stop"]
