"""One run of a module, written down: which functions were called on which tensors, by which modules.

The module runs under a TorchFunctionMode, which sees the functions that its author called (`F.relu`, `x.flatten(1)`) and not
what torch makes of them; the `forward` of each of its modules tells where they were called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from archc.graph.captured import CaptureError
from archc.tracing.counting import count_macs
from archc.tracing.functions import FACTORIES, MOVES, PRODUCTS, ZEROS, drawn, name_of
from archc.tracing.place import place
from archc.tracing.recipes import standardized
from archc.tracing.results import known_result
from archc.tracing.steps import Call, Constant, Invocation, Layer, Ref, Rule, Rules, Unit, Unsaid, WholeNumbers, tensors_in
from archc.tracing.tensors import Tensors, storage_of, unseen
from archc.tracing.values import DRAWN, Unknown, call_on_values, needs_values

COMPUTED = ("linear", "conv")  # operators that say how their weights are computed
KEEP_WHOLE = "keep the class of the module that does so as one layer: leaves=[…], or --leaf"


class Trace(Tensors, TorchFunctionMode):
    """What one run of a model did.

    results: of the function whose rule is asked
    in_place: whether that function writes over a tensor that it is given
    """

    def __init__(
        self, model: nn.Module, inputs: dict[str, Tensor], batch: int, rules: Rules, training: bool,
        origin: Sequence[tuple[Tensor, Tensor]] = (), shared: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        super().__init__(model, inputs, batch, origin, shared)
        self.rules, self.training = rules, training
        self.root = Unit("", type(model).__name__, None)
        self.unit = self.root
        self.quiet = 0
        self.recomputes = False
        self.outputs: dict[str, Ref] = {}
        self.heads: dict[str, Ref] = {}
        self.constant_steps: list[Callable[[], int | None]] = []
        self._within: dict[str, None] = {}
        self._kept: list[Any] = []
        self.results: list[Tensor] = []
        self.in_place = False
        self.result_axis = 0
        self.result_axes: tuple[int, ...] = ()  # of each result, where they differ
        self.result_joined: int | None = None  # that of the first tensor where no rule says otherwise

    # What a run tells

    def run(self, call: Callable[[], Any]) -> Any:
        with torch.enable_grad(), self:  # each step runs without gradients: what else does so was written that way
            return call()

    def enter(self, path: str, module: nn.Module) -> Unit:
        unit = Unit(path, type(module).__name__, self.unit)
        self.unit.children.append(unit)
        self.unit = unit
        return unit

    def leave(self) -> None:
        assert self.unit.parent is not None
        self.unit = self.unit.parent

    def whole(self, rule: Rule | None, module: nn.Module, forward: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        """A module that is one step: an operator by a rule of its own, or opaque."""
        bound = (lambda trace, *a, **k: rule(trace, module, *a, **k)) if rule is not None else None
        name = type(module).__name__
        return self._step(bound, Invocation(forward, args, options, name, name, (*module.parameters(), *module.buffers())))

    def function(self, name: str, forward: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        """A function that is one step and that no rule knows: an autograd Function."""
        return self._step(None, Invocation(forward, (*args,), options, name, name))

    def uses(self, module: nn.Module) -> None:
        """A module that is called within a step: the step uses its weights."""
        owned = (*module.parameters(recurse=False), *module.buffers(recurse=False))
        self._within |= dict.fromkeys(name for tensor in owned for name in self.constant(tensor).names)

    def returned(self, name: str, value: Tensor) -> None:
        """An output of the model."""
        ref = self._read(value) if self.live(value) else None
        if ref is not None and self.joined(value) > 1:
            ref = self._write(Layer("leave_batch", (value,)), (), "leave_batch"), 0
        if ref is not None:
            self.outputs[name] = ref

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.quiet:
            return func(*args, **kwargs)
        if torch._C._functorch.peek_interpreter_stack() is not None:
            raise CaptureError(
                f"{place()} runs under torch.vmap or another transform of torch.func, whose steps cannot be seen; {KEEP_WHOLE}"
            )
        if func in (torch.autograd.grad, torch.autograd.backward, Tensor.backward):
            raise CaptureError(f"{place()} takes gradients within forward, which a run without values has not; {KEEP_WHOLE}")
        name = name_of(func)
        return self._step(self.rules.get(name), Invocation(func, args, kwargs, name))

    def _step(self, rule: Rule | None, called: Invocation) -> Any:
        name = called.name
        with unseen():
            tensors = list(tensors_in((called.args, called.kwargs)))
            if name in PRODUCTS and not any(self.live(tensor) for tensor in tensors):
                self._repeat(tensors[0])
            live = [tensor for tensor in tensors if self.live(tensor)]
            if name in ("to", "type_as") and not self.live(tensors[0]):  # which ask another tensor for its dtype alone
                live = []
            if name == "embedding" and tensors[0].is_floating_point() and self.live(tensors[0]):
                source, _ = self._read(tensors[0])
                if isinstance(source, str):
                    raise WholeNumbers(source)
            before = [(tensor, tensor._version) for tensor in tensors]
            out = known_result(getattr(called.func, "__name__", ""), called.args, called.kwargs) if tensors else None
        if out is None:
            try:
                out = self._call(called, gradients=not tensors)
            except Exception as error:
                if live or not needs_values(error):
                    raise
                out = self._answer(called, tensors, error)
        else:
            self._within = {}
        with unseen():
            made = list(tensors_in(out))
            changed = [tensor for tensor, version in before if tensor._version != version]
            written = [one for one in changed if self.live(one) or not made or any(one is other for other in made)]
            results = made + [one for one in written if not any(one is other for other in made)]
            self._learn(called, tensors, made, changed, depends=bool(live))
            if not results:
                return out
            if not live or name in FACTORIES:
                self._recipes.note(called, made, changed)
            if not live:
                self._fold(called, tensors, results)
            if live and not written and all(not one.numel() for one in results):  # of no values nothing depends
                self._kept += results
                return out
            if not live or name in FACTORIES:  # of a factory's input only the shape counts
                self._kept += results
            elif rule is not None or written or not all(self.live(one) for one in results):
                self._record(rule, called, live=live, results=results, written=written)
        return out

    def _repeat(self, tensor: Tensor) -> None:
        """A parameter that is stretched over the images before a product is there for each of them, and so is the product."""
        owned = self._recipes.over_the_batch(tensor)
        if owned is None or not self.constant(owned).own or owned.dim() < 2 or owned.shape[0] != 1 or owned.shape[1:] != tensor.shape[1:]:
            return
        kind = "parameter" if isinstance(owned, nn.Parameter) else "buffer"
        step = Call(kind, {"shape": tuple(owned.shape[1:]), "batch_axis": True}, ((next(iter(self.shapes)), 0),), None, self.unit, kind)
        step.weights = {"": self.constant(owned).names[0]}
        self.unit.children.append(step)
        self._bind(tensor, (step, 0))

    def _call(self, called: Invocation, gradients: bool) -> Any:
        """What a function returns, and nothing of what it does inside; without tensors it may be what turns gradients off and on."""
        self.quiet += 1
        self._within = {}
        try:
            if gradients:
                return called.func(*called.args, **called.kwargs)
            with torch.no_grad():
                return called.func(*called.args, **called.kwargs)
        finally:
            self.quiet -= 1

    def _learn(self, called: Invocation, given: list[Tensor], made: list[Tensor], changed: list[Tensor], depends: bool) -> None:
        """What follows for tensors on which no input bears.

        depends: whether the results depend on an input
        """
        name = called.name
        if name in ZEROS or (name in MOVES and given and self.is_zero(given[0])):
            self._zeros.update(map(id, made))
        self._zeros.difference_update(map(id, changed))
        if changed or name == "data=":
            self._mark_changed(changed or given[:1])
        knows = name not in DRAWN and (name in FACTORIES or (not depends and self._values.knows(given)))
        self._values.learn(called, made=made, given=given, written=changed, knows=knows)

    def _answer(self, called: Invocation, tensors: list[Tensor], error: Exception) -> Any:
        """What a function says of tensors on which no input bears, by their values. Raises the error where those are not known."""
        if not self._values.knows(tensors):
            raise error
        try:
            out, _ = call_on_values(called, self._values.of)
        except Unknown:
            raise error from None
        with unseen():
            return tree_map_only(Tensor, self._without_values, out)

    def _without_values(self, tensor: Tensor) -> Tensor:
        empty = tensor.to("meta")
        self._values.tell(empty, tensor)
        return empty

    def _record(
        self, rule: Rule | None, called: Invocation, *, live: list[Tensor], results: list[Tensor], written: list[Tensor]
    ) -> None:  # fmt: skip
        """Writes down a step, as the layers of its rule or as one that is opaque."""
        self.results, self.in_place = results, bool(written)
        self.result_axis, self.result_axes, self.result_joined = 0, (), None
        try:
            layers = self._layers(rule, called, live[0])
        except Unsaid as reason:
            self._opaque(called, str(reason), live=live, results=results, written=written)
            return
        if not layers:  # the same tensor, seen otherwise
            if not any(result is live[0] for result in results):
                self._alias(live[0], results)
            return
        count = partial(count_macs, called.func, called.args, called.kwargs, written)
        step: Call | None = None
        ends: list[Ref] = []
        for layer in layers:
            step = self._write(layer, ends[-1:], called.label or called.name)
            ends.append((step, layer.output or 0))
        assert step is not None
        if layers[0].result is not None:
            for (one, _), result in zip(ends, results, strict=True):
                assert isinstance(one, Call)
                self._close(one, [result], [], count, live)
        elif layers[-1].output is not None:
            self._bind(results[0], ends[-1], self.result_axis, self._joined(results[0], live))
        else:
            self._close(step, results, written, count, live)

    def _layers(self, rule: Rule | None, called: Invocation, first: Tensor) -> list[Layer]:
        """The layers that a rule says a function is. Raises Unsaid where no rule says it, or what it says is not all.

        first: the first tensor that the function is given
        """
        if self.training and not torch.is_grad_enabled():
            raise Unsaid("it runs without gradients")
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            raise Unsaid("it runs under autocast")
        if rule is None:
            raise Unsaid("no operator says it")
        try:
            said = rule(self, *called.args, **called.kwargs)
        except (TypeError, ValueError, IndexError) as error:
            raise Unsaid(f"its arguments are not understood ({error})") from error
        layers = [self._with_computed(layer) for layer in ([said] if isinstance(said, Layer) else said)]
        for suffix, tensor in [pair for layer in layers for pair in layer.owned]:
            constant = self.constant(tensor)
            if not constant.own:
                origin = "an input" if self.live(tensor) else ", ".join(constant.names) or "nothing that the model owns"
                raise Unsaid(f"its {suffix} is computed from {origin}")
        if not layers and any(result.dtype != first.dtype for result in self.results):
            raise Unsaid("the dtype changes")
        if layers and self.in_place and not layers[-1].args.get("inplace"):
            raise Unsaid("it writes in place")
        if layers and any(result.dtype not in (self.dtype, torch.int64) for result in self.results):
            raise Unsaid("the dtype is another")
        return layers

    def _with_computed(self, layer: Layer) -> Layer:
        """A layer by a weight that is computed from others, or that is not learned, as one that has those."""
        found = {} if layer.kind not in COMPUTED or layer.args.get("parametrize") else dict(layer.weights)
        apart = {suffix: one for suffix, one in found.items() if not self.constant(one).own or not isinstance(one, nn.Parameter)}
        if not apart or any(self.live(one) for one in apart.values()):
            return layer
        if layer.kind == "conv" and [*apart] == ["weight"]:
            told, tensors = self.recipe(apart["weight"], tuple(apart["weight"].shape))
            if (eps := standardized(told)) is not None:
                (filters,) = tensors.values()
                return replace(layer, args=layer.args | {"standardize": eps}, weights=layer.weights | {"weight": filters})
        recipes, weights = [], {suffix: one for suffix, one in layer.weights.items() if suffix not in apart}
        for suffix, one in apart.items():
            told, tensors = self.recipe(one, tuple(one.shape))
            recipes.append([suffix, told["weights"], told["buffers"], told["steps"]])
            weights |= {f"{suffix}_of.{label}": tensor for label, tensor in tensors.items()}
        return replace(layer, args=layer.args | {"parametrize": "computed", "computed": recipes}, weights=weights)

    def _joined(self, result: Tensor, live: Sequence[Tensor], axis: int = 0) -> int:
        """What the batch axis of a result holds: as a rule says, or as that of the first tensor that has such an axis."""
        if self.result_joined is not None:
            return self.result_joined
        found = (self.joined(tensor) for tensor in live)
        size = result.shape[axis] if axis < result.dim() else 0
        return next((count for count in found if count > 1 and size == self.batch * count), 1)

    def _write(self, layer: Layer, before: Sequence[Ref], label: str) -> Call:
        """The step of a layer, after those of layers that it is given."""
        given = ((self._write(x, before, x.kind), 0) if isinstance(x, Layer) else self._read(x) for x in layer.inputs)
        inputs = tuple(given) if layer.inputs else tuple(before)
        step = Call(layer.kind, layer.args, inputs, None, self.unit, layer.label or label)
        step.weights = {suffix: self.constant(tensor).names[0] for suffix, tensor in layer.weights.items()}
        self.unit.children.append(step)
        return step

    def _opaque(self, called: Invocation, why: str, *, live: list[Tensor], results: list[Tensor], written: list[Tensor]) -> None:
        self.result_axis, self.result_axes, self.result_joined = 0, (), None
        shared = {storage_of(result) for result in results}
        bases = [tensor for tensor in live if storage_of(tensor) in shared]
        inputs = tuple(dict.fromkeys(self._read(tensor) for tensor in (*bases, *live)))
        names = dict.fromkeys(self._names(called, tensors_in((called.args, called.kwargs))))
        label = (called.label or called.name).strip("_") or "step"
        step = Call("opaque", {"name": called.name}, inputs, None, self.unit, label=label, weights={one: one for one in names}, why=why)
        step.view = bool(bases)
        self.unit.children.append(step)
        self._close(step, results, written, partial(count_macs, called.func, called.args, called.kwargs, written), live)

    def _names(self, called: Invocation, given: Iterable[Tensor]) -> Iterator[str]:
        """The parameters and buffers that a function uses: those it is given, and those of modules called within it."""
        for tensor in (*given, *called.owned, *(self._owned[name] for name in self._within)):
            yield from self.constant(tensor).names

    def _close(
        self, step: Call, results: list[Tensor], written: list[Tensor], count: Callable[[], int | None], live: Sequence[Tensor]
    ) -> None:  # fmt: skip
        step.count, step.place = count, place()
        step.shapes = tuple(tuple(result.shape) for result in results)
        step.dtypes = tuple(result.dtype for result in results)
        for tensor in written:
            self._overwrite(tensor, (step, next((i for i, result in enumerate(results) if result is tensor), 0)))
        for index, result in enumerate(results):
            axis = self.result_axes[index] if self.result_axes else self.result_axis
            step.joined = self._joined(result, live, axis)
            self._bind(result, (step, index), axis, step.joined)

    def _alias(self, tensor: Tensor, results: list[Tensor]) -> None:
        for result in results:
            self._bind(result, self._read(tensor), self.result_axis, self.joined(tensor))

    def _overwrite(self, tensor: Tensor, ref: Ref) -> None:
        """Other views of what was written over are no longer what they were."""
        for other in self._by_storage.get(storage_of(tensor), ()):
            if _same_view(other.tensor, tensor):
                other.ref, other.late = ref, None
            else:
                other.late = ref

    def _read(self, tensor: Tensor) -> Ref:
        bound = self._bound.get(id(tensor))
        if bound is None:
            raise Unsaid("a tensor that is made of no input")
        if bound.late is not None:
            step = Call("opaque", {"name": "write"}, (bound.ref, bound.late), (tuple(tensor.shape),), self.unit, "write",
                        dtypes=(tensor.dtype,), view=True, place=place(), why="a part of it was written over through a view")  # fmt: skip
            self.unit.children.append(step)
            bound.ref, bound.late = (step, 0), None
        return bound.ref

    def _fold(self, called: Invocation, tensors: list[Tensor], made: list[Tensor]) -> None:
        """Of constants alone: another constant."""
        name = called.name
        names = tuple(dict.fromkeys(self._names(called, tensors)))
        if name in PRODUCTS:
            self.constant_steps.append(partial(count_macs, called.func, called.args, called.kwargs, ()))
        constants = [self.constant(tensor) for tensor in tensors]
        keep, least = drawn(name, called.args, constants)
        moved = name in MOVES and len(constants) == 1 and (constants[0].own or constants[0].moved)
        for tensor in made:
            if not (self.constant(tensor).own and any(tensor is one for one in tensors)):
                self._constants[id(tensor)] = Constant(names, moved=moved, keep=keep, least=least)


def _same_view(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and one.stride() == other.stride() and one.storage_offset() == other.storage_offset())
