"""Outputs and a training step of a built network and of its original, with the same weights, inputs and random numbers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from archc.graph import Graph
from archc.runtime.build.build import BuildOptions, build

BATCH, SEED = 2, 0
CLOSE = 1e-4  # of the spread of outputs, or of the greatest gradient: what sums in another order may differ by
Run = Callable[[Mapping[str, Tensor]], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What came of a comparison. Differences are the greatest of any value; None is what was not compared, and `notes` say why.

    outputs: of evaluation; spread: the standard deviation of the original's outputs
    nudged, other: how far the outputs move with one weight changed, and with other inputs: a difference as small would not be seen
    macs: of one image, by PyTorch's counter
    trained: of the outputs of a training step; gradients, statistics: of all of them, with how many there are
    steepest, kept: the greatest value of the original's gradients, and of its statistics
    """

    outputs: float | None = None
    spread: float = 0.0
    nudged: float = 0.0
    other: float = 0.0
    macs: int | None = None
    trained: float | None = None
    gradients: tuple[float, int] = (0.0, 0)
    statistics: tuple[float, int] = (0.0, 0)
    steepest: float = 0.0
    kept: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def alike(self) -> bool:
        """Whether all that was compared, outputs at least, is as equal as two programs compute it, and the controls would have shown it."""
        if self.outputs is None or min(self.nudged, self.other) <= self.outputs:
            return False
        held = [(self.outputs, self.spread), (self.trained or 0.0, self.spread)]
        held += [(self.gradients[0], self.steepest), (self.statistics[0], self.kept)]
        return all(apart <= CLOSE * max(scale, 1e-12) for apart, scale in held)


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
        built = _with_weights(graph, {name: torch.as_tensor(one) for name, one in tensors.items()}).eval()
        built.to(next((one.dtype for one in (module.parameters() if module is not None else ())), torch.float32))
        return _compared(graph, built, module, renames or {}, run)


def _with_weights(graph: Graph, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The built network, whose parameters are these very tensors: they are in memory once, and nothing is drawn to be replaced."""
    built = build(graph, BuildOptions(device="meta"))
    if any(name not in tensors for name, _ in built.named_buffers()):  # constants, which are in no state_dict
        built = build(graph)
        built.load_state_dict(tensors, strict=True)
        return built
    learned = {name for name, _ in built.named_parameters()}
    built.load_state_dict({name: one if name in learned else one.clone() for name, one in tensors.items()}, strict=True, assign=True)
    return built


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
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it does not know the CPU's own attention
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


def _greatest(tensors: Iterable[Tensor]) -> float:
    """The greatest finite value of any, without its sign."""
    finite = (one.detach().double()[one.detach().isfinite()] for one in tensors)
    return max((float(one.abs().max()) for one in finite if one.numel()), default=0.0)


def _nudged(built: nn.Module, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """The outputs with the weights of one of the first layers changed a little."""
    tensors: list[Tensor] = [*list(built.parameters())[:4], *built.buffers()]
    if not tensors:
        return []
    weight = max(tensors[:4], key=lambda one: one.dim())
    before = weight.data  # which the original may have, too: it is not written to
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(SEED)).to(weight.dtype)
    weight.data = before + noise * (float(before.float().abs().mean()) or 1.0) / 10
    try:
        return _outputs(built(*inputs.values()))
    finally:
        weight.data = before


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
        "steepest": _greatest(b for _, b in gradients),
        "kept": _greatest(b for _, b in statistics),
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
