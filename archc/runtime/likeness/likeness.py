"""Outputs and a training step of a built network and of its original, with the same weights, inputs and random numbers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from archc.graph import Graph
from archc.runtime.build.build import BuildOptions, build

BATCH, SEED = 2, 0
Run = Callable[[Mapping[str, Tensor]], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What came of a comparison. Differences are the greatest of any value; None is what was not compared, and `notes` say why.

    outputs: of evaluation; spread: the standard deviation of the original's outputs
    nudged, other: how far the outputs move with one weight changed, and with other inputs: a difference as small would not be seen
    macs: of one image, by PyTorch's counter
    trained: of the outputs of a training step; gradients, statistics: of all of them, with how many there are
    """

    outputs: float | None = None
    spread: float = 0.0
    nudged: float = 0.0
    other: float = 0.0
    macs: int | None = None
    trained: float | None = None
    gradients: tuple[float, int] = (0.0, 0)
    statistics: tuple[float, int] = (0.0, 0)
    notes: tuple[str, ...] = ()

    @property
    def alike(self) -> bool:
        """Whether outputs were compared and are as equal as two programs compute them, and the controls would have shown it."""
        close = [self.outputs or 0.0, self.trained or 0.0]
        return self.outputs is not None and max(close) <= 1e-4 * max(self.spread, 1e-12) and min(self.nudged, self.other) > self.outputs


def compare(
    graph: Graph,
    tensors: Mapping[str, Any],
    module: nn.Module | None = None,
    renames: Mapping[str, str] | None = None,
    run: Run | None = None,
) -> Likeness:
    """Builds a network with its weights, and runs it beside the original.

    tensors: the weights by the network's names, as arrays or tensors
    module: the original, which is not changed: it is copied where it is trained; renames: its names of tensors, where others
    run: in place of a module, what gives the original's outputs in evaluation
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(SEED)
        built = build(graph, BuildOptions()).eval()
        built.load_state_dict({name: torch.as_tensor(one) for name, one in tensors.items()}, strict=True)
        built.to(next((one.dtype for one in (module.parameters() if module is not None else ())), torch.float32))
        return _compared(graph, built, module, renames or {}, run)


def _compared(graph: Graph, built: nn.Module, module: nn.Module | None, renames: Mapping[str, str], run: Run | None) -> Likeness:
    original = _running(module) if run is None else run
    inputs, others = (_inputs(graph, built, seed) for seed in (SEED, SEED + 1))
    with _evaluating(module), torch.no_grad():
        ours, theirs = _outputs(built(*inputs.values())), list(map(torch.as_tensor, original(inputs)))
        if [one.shape for one in ours] != [one.shape for one in theirs]:
            told = f"outputs of shapes {_shapes(ours)} stand beside {_shapes(theirs)} of the original"
            return Likeness(outputs=float("inf"), notes=(told,))
        found: dict[str, Any] = {
            "outputs": _furthest(ours, theirs),
            "spread": max(float(one.double().std()) if one.numel() > 1 else float(one.abs().max()) for one in theirs),
            "other": _furthest(ours, _outputs(built(*others.values()))),
            "nudged": _furthest(ours, _nudged(built, inputs) or ours),
        }
        if module is not None:
            found["macs"] = _macs(module, inputs)
    if module is None:
        return Likeness(**found, notes=("training was not compared: the source has none",))
    try:
        found |= _trained(built, module, renames, inputs)
    except Exception as error:  # what the model's own code raises in training
        return Likeness(**found, notes=(f"training was not compared: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}",))
    return Likeness(**found)


def _macs(module: nn.Module, inputs: Mapping[str, Tensor]) -> int | None:
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with FlopCounterMode(display=False) as counter:
            _call(module, {name: one[:1] for name, one in inputs.items()})
    except Exception:  # the counter has faults of its own, and some models take no single image
        return None
    return int(counter.get_total_flops()) // 2


def _inputs(graph: Graph, built: nn.Module, seed: int) -> dict[str, Tensor]:
    """Random images, and indices where a layer looks them up."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next((one.dtype for one in built.parameters() if one.is_floating_point()), torch.float32)
    found = {}
    for name, value in graph.inputs.items():
        taken = [(node, node.inputs.index(value)) for node in graph.uses[value]]
        whole = [node for node, at in taken if node.facts.taken(at) == "int64"]
        shape = (BATCH, *map(int, value.shape))
        if whole:
            most = min((int(node.args["entries"]) for node in whole if "entries" in node.args), default=2)
            found[name] = torch.randint(most, shape, generator=generator)
        else:
            found[name] = torch.randn(shape, generator=generator).to(dtype)
    return found


def _running(module: nn.Module | None) -> Run:
    assert module is not None

    def run(inputs: Mapping[str, Tensor]) -> list[Tensor]:
        return _outputs(_call(module, inputs))

    return run


def _call(module: nn.Module, inputs: Mapping[str, Tensor]) -> Any:
    """By position; by name where `forward` has the names in another order."""
    from inspect import signature

    names = [one.name for one in signature(module.forward).parameters.values()]
    if len(inputs) > 1 and all(name in names for name in inputs):
        return module(**inputs)
    return module(*inputs.values())


class _evaluating:
    """A module in evaluation, which comes back to the modes that its parts had."""

    def __init__(self, module: nn.Module | None) -> None:
        self.modes = [(one, one.training) for one in module.modules()] if module is not None else []

    def __enter__(self) -> None:
        for one, _ in self.modes:
            one.training = False

    def __exit__(self, *error: object) -> None:
        for one, training in self.modes:
            one.training = training


def _outputs(made: Any) -> list[Tensor]:
    plain = made.to_tuple() if hasattr(made, "to_tuple") else made  # as transformers' models give them
    return [leaf for leaf in pytree.tree_leaves(plain) if isinstance(leaf, Tensor)]


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(str(list(one.shape)) for one in tensors)


def _furthest(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The greatest difference; what is not finite must be the same."""
    found = 0.0
    for a, b in zip(ours, theirs, strict=True):
        a, b = a.detach().double(), b.detach().double()
        if not torch.equal(a.isfinite(), b.isfinite()):
            return float("inf")
        rest = a.isfinite()
        found = max(found, float((a - b)[rest].abs().max()) if bool(rest.any()) else 0.0)
    return found


def _nudged(built: nn.Module, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """The outputs with the weights of one of the first layers changed a little."""
    tensors: list[Tensor] = [*list(built.parameters())[:4], *built.buffers()]
    if not tensors:
        return []
    weight = max(tensors[:4], key=lambda one: one.dim())
    before = weight.detach().clone()
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(SEED)).to(weight.dtype)
    weight += noise * (float(before.float().abs().mean()) or 1.0) / 10
    try:
        return _outputs(built(*inputs.values()))
    finally:
        weight.copy_(before)


def _trained(built: nn.Module, module: nn.Module, renames: Mapping[str, str], inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    """A step in training mode of both with the same random numbers: outputs, gradients, statistics."""
    other = copy.deepcopy(module).train()
    built.train()
    frozen = {name for name, one in other.named_parameters() if not one.requires_grad}
    ours, theirs = _step(built, inputs), _step(other, inputs)
    pairs = [(ours[at], theirs[at]) for at in range(min(len(ours), len(theirs)))]
    if [a.shape for a, _ in pairs] != [b.shape for _, b in pairs] or len(ours) != len(theirs):  # heads stand in another order
        pairs = list(zip(sorted(ours, key=_order), sorted(theirs, key=_order), strict=True))
    known = dict(other.named_parameters(remove_duplicate=False))
    gradients = []
    for name, one in built.named_parameters():
        twin = known.get(renames.get(name, name))
        if twin is not None and renames.get(name, name) not in frozen:
            gradients.append((_or_zero(one), _or_zero(twin).reshape(one.shape)))
    held = dict(other.named_buffers())
    statistics = [(one, held[renames.get(name, name)]) for name, one in built.named_buffers() if renames.get(name, name) in held]
    return {
        "trained": _furthest(*map(list, zip(*pairs, strict=True))),
        "gradients": (_furthest([a for a, _ in gradients], [b for _, b in gradients]), len(gradients)),
        "statistics": (_furthest([a for a, _ in statistics], [b for _, b in statistics]), len(statistics)),
    }


def _step(module: nn.Module, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    torch.manual_seed(SEED)
    outputs = _outputs(_call(module, inputs))
    weighed = [one.double() * torch.linspace(-1, 1, one.numel(), dtype=torch.float64).reshape(one.shape) for one in outputs]
    loss = sum(one.sum() for one in weighed if one.requires_grad)
    if isinstance(loss, Tensor):
        torch.autograd.backward(loss)
    return outputs


def _order(tensor: Tensor) -> tuple[object, ...]:
    return tuple(tensor.shape), float(tensor.detach().double().sum())


def _or_zero(parameter: nn.Parameter) -> Tensor:
    return parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
