"""The loss of a step: that of each output, weighted and added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

from archc.recipe import Recipe

HEAD = 0.3  # the weight of GoogLeNet's heads (Szegedy et al. 2014, section 5)
Loss = Callable[[Tensor, Tensor], Tensor]
Outputs = Tensor | Mapping[str, Tensor]
# All take logits [N, classes] with labels [N] or a part for each class [N, classes], and give the mean over the images.


def cross_entropy(recipe: Recipe) -> Loss:
    smoothing = float(recipe.loss.options.get("smoothing", 0.0))

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(_wide(logits), labels, label_smoothing=smoothing)

    return loss


def bce(recipe: Recipe) -> Loss:
    return lambda logits, labels: F.binary_cross_entropy_with_logits(_wide(logits), _spread(logits, labels))


def mse(recipe: Recipe) -> Loss:
    return lambda values, labels: F.mse_loss(_wide(values), _spread(values, labels))


def _wide(values: Tensor) -> Tensor:
    """Half-precision outputs in float32, where sums of exponentials do not overflow."""
    return values.float() if values.element_size() < 4 else values


def _spread(logits: Tensor, labels: Tensor) -> Tensor:
    """Labels as a part for each class."""
    wide = _wide(logits)
    return labels.to(wide.dtype) if labels.is_floating_point() else F.one_hot(labels, logits.shape[-1]).to(wide.dtype)


LOSSES: dict[str, Callable[[Recipe], Loss]] = {"cross_entropy": cross_entropy, "bce": bce, "mse": mse}


def loss_of(recipe: Recipe, main: str, heads: Sequence[str]) -> Callable[[Outputs, Tensor], Tensor]:
    """Of all that a network gives, the loss: `main` counts once, each head 0.3 and each other output 1 where the recipe has no weight."""
    loss_of_one = LOSSES[recipe.loss.name](recipe)
    weights = dict.fromkeys(heads, HEAD) | dict(recipe.heads)

    def loss(outputs: Outputs, labels: Tensor) -> Tensor:
        if isinstance(outputs, Tensor):
            return loss_of_one(outputs, labels)
        total = loss_of_one(outputs[main], labels) * weights.get(main, 1.0)
        for name, value in outputs.items():
            if name == main:
                continue
            weight = weights.get(name, 1.0)
            # also with the weight 0 it is there: processes wait for the gradient of every tensor
            total = total + (weight * loss_of_one(value, labels) if weight else 0.0 * value.sum())
        return total

    return loss
