"""Weights that are computed from others before each use: a length apart from a direction, a largest singular value of 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from archc.ops.computed import METHODS, check_steps, owned_tensors, told
from archc.ops.facts import Facts, Kept, Module, Weight, new
from archc.ops.shape import product
from archc.signature import Fault, one_of, shown

Parametrization = Annotated[str, one_of("none", "weight_norm", "spectral_norm", "computed")]
_FROM = "parametrizations.weight."


def parametrized(facts: Facts, how: str, axis: int = 0, recipes: Any = ()) -> Facts:
    """A layer whose first tensor, its weight, is computed from others. That is work for a batch, and not counted.

    The tensors go by the names of torch.nn.utils.parametrizations, behind the bias. The weight that comes out is kept for backward,
    once for all images; so are its lengths (Salimans & Kingma, 2016), or the singular vectors and value (Miyato et al., 2018).

    axis: of the weight, each entry of which has a singular vector's value
    recipes: of tensors that are computed in another way, by their names
    """
    if bool(recipes) != (how == "computed"):
        raise Fault("computed", "`computed` and `parametrize: computed` go together", "write both, or none")
    if how == "none":
        return facts
    if how == "computed":
        return _by_recipes(facts, recipes)
    weight, *others = facts.owned
    form = facts.torch
    assert isinstance(form, Module)
    computed = new(weight.values, per_image=False)
    # a product of matrices needs the weight for the gradient of its input alone
    kept = computed._replace(wanted_by=(0,)) if form.name == "nn.Linear" else computed
    made = _lengths(weight) if how == "weight_norm" else _singular(weight, axis)
    name = f"{'Weight' if how == 'weight_norm' else 'Spectral'}Norm{form.name.removeprefix('nn.')}"
    return replace(
        facts,
        weights=(*others, *made),
        keeps=(*(facts.keeps or ()), *_beside(weight, how, axis), kept),
        torch=form._replace(name=name, source=_SOURCE.format(name=name, base=form.name, how=how, text=_TEXTS[how])),
    )


def _lengths(weight: Weight) -> tuple[Weight, ...]:
    """Of each entry of the first axis, then the directions."""
    lengths = (weight.shape[0], *(1,) * (len(weight.shape) - 1))
    return Weight(f"{_FROM}original0", lengths), Weight(f"{_FROM}original1", weight.shape)


def _singular(weight: Weight, axis: int) -> tuple[Weight, ...]:
    rows = weight.shape[axis]
    vectors = (("_u", rows), ("_v", weight.values // rows))
    return Weight(f"{_FROM}original", weight.shape), *(Weight(f"{_FROM}0.{name}", (size,), "buffer") for name, size in vectors)


def _beside(weight: Weight, how: str, axis: int) -> tuple[Kept, ...]:
    if how == "weight_norm":
        return (new(weight.shape[0], per_image=False),)
    rows = weight.shape[axis]
    return (new(rows + product(weight.shape) // rows + 1, per_image=False),)


def _by_recipes(facts: Facts, recipes: tuple[Any, ...]) -> Facts:
    """A layer some of whose tensors are computed by steps of their own, which start from others."""
    form, own = facts.torch, {weight.name: weight for weight in facts.owned}
    assert isinstance(form, Module)
    for recipe in recipes:
        if len(recipe) != 4 or recipe[0] not in own or not all(isinstance(one, tuple) for one in recipe[1:]):
            hint = f"a tensor, weights, buffers and steps: [{next(iter(own))}, [], [], []]"
            raise Fault("computed", f"{shown(recipe)} says no tensor of the layer", hint)
    computed = {recipe[0] for recipe in recipes}
    weights, made = [weight for name, weight in own.items() if name not in computed], []
    for name, learned, buffers, steps in recipes:
        owned = owned_tensors(learned, buffers)
        check_steps(steps, {weight.name for weight in owned})
        made.append((name, told(owned), steps, tuple(map(int, own[name].shape))))
        weights += [weight._replace(name=f"{name}_of.{weight.name}") for weight in owned]
    kept = (new(own["weight"].values, per_image=False)._replace(wanted_by=(0,)),) if "weight" in computed else ()
    name = f"Computed{form.name.removeprefix('nn.')}"
    applied = "F.linear(x, weight, bias)" if form.name == "nn.Linear" else "self._conv_forward(x, weight, bias)"
    return replace(
        facts,
        weights=tuple(weights),
        keeps=(*(facts.keeps or ()), *kept),
        keeps_more=True,
        torch=form._replace(
            name=name,
            options={**form.options, "recipes": tuple(made)},
            source=_COMPUTED.format(name=name, base=form.name, applied=applied) + METHODS,
        ),
    )


_COMPUTED = '''
class {name}({base}):
    """{base}, of whose tensors some are computed before each use, by functions of torch one after the other."""

    def __init__(self, *args, recipes, **options):
        super().__init__(*args, **options)
        self.recipes = recipes
        for name, tensors, _, _ in recipes:
            delattr(self, name)
            setattr(self, name + "_of", self.hold(nn.Module(), tensors))

    def forward(self, x):
        made = {{
            name: self.compute(getattr(self, name + "_of"), steps, x).reshape(shape) for name, _, steps, shape in self.recipes
        }}
        weight, bias = (made[name] if name in made else getattr(self, name) for name in ("weight", "bias"))
        return {applied}
'''
_TEXTS = {
    "weight_norm": "whose weight is learned as directions and their lengths",
    "spectral_norm": "whose weight is divided by its largest singular value",
}
_SOURCE = '''
class {name}({base}):
    """{base}, {text}."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        nn.utils.parametrizations.{how}(self)
'''
