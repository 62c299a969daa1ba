"""One run of a module, written down: which functions were called on which tensors, by which modules.

The module runs under a TorchFunctionMode, which sees the functions that its author called (`F.relu`, `x.flatten(1)`) and not
what torch makes of them; the `forward` of each of its modules tells where they were called.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from archc.graph.captured import CaptureError
from archc.tracing.counting import count_macs
from archc.tracing.results import known_result
from archc.tracing.steps import Bound, Call, Constant, Layer, Ref, Rule, Rules, Unit, Unsaid, WholeNumbers, tensors_in
from archc.tracing.values import DRAWN, Unknown, Values, call_on_values, needs_values

unseen = torch._C.DisableTorchFunction  # no mode sees what is done within: asking a tensor for its shape costs a tenth then
# of torch and of archc; with the separator, as torchvision lies beside torch
OWN_FOLDERS = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent.parent}{os.sep}")


class Trace(TorchFunctionMode):
    """What one run of a model did. `batch` is the size of its first axis.

    origin: the tensors of the model, where they have no values, each with one that has them
    """

    def __init__(
        self, model: nn.Module, inputs: dict[str, Tensor], batch: int, rules: Rules, training: bool,
        origin: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.batch = batch
        self.rules, self.training = rules, training
        self.root = Unit("", type(model).__name__, None)
        self.unit = self.root
        self.quiet = 0
        self.recomputes = False
        self._within: dict[str, None] = {}
        self.in_place = False
        self.dtype = own_dtype(model)
        self.result_axis = 0
        self.result_axes: tuple[int, ...] = ()  # of each result, where they differ
        self.result_joined: int | None = None  # that of the first tensor where no rule says otherwise
        self.outputs: dict[str, Ref] = {}
        self.heads: dict[str, Ref] = {}
        self._bound: dict[int, Bound] = {}
        self._by_storage: dict[int, list[Bound]] = {}
        self._constants: dict[int, Constant] = {}
        self._zeros: set[int] = set()
        self._kept: list[Any] = []
        self._owned: dict[str, Tensor] = {}
        self._values = Values(origin)
        self._parameters = {key: name for name, one in model.named_parameters() for key in (id(one), _storage(one))}
        self.results: list[Tensor] = []
        self.constant_steps: list[Callable[[], int | None]] = []
        self.shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            self._constants[id(tensor)] = Constant((name,), own=True)
            self._owned[name] = tensor
        for name, tensor in inputs.items():
            self._bind(tensor, (name, 0))

    # What rules ask

    def live(self, value: Any) -> bool:
        """Whether a value is a tensor that depends on the inputs."""
        return isinstance(value, Tensor) and id(value) in self._bound

    def constant(self, value: Any) -> Constant:
        return self._constants.get(id(value), Constant())

    def owned(self, value: Tensor) -> Tensor | None:
        """The parameter or buffer whose values a constant has."""
        constant = self.constant(value)
        return self._owned[constant.names[0]] if constant.own or constant.moved else None

    def owner(self, name: str) -> Tensor:
        """The parameter or buffer of that name."""
        return self._owned[name]

    def knows(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the values of tensors can be worked out, since no input bears on them."""
        return self._values.knows(tensors)

    def values(self, tensor: Tensor) -> Tensor:
        """The values of a tensor that the trace `knows`."""
        with unseen(), torch.no_grad():
            return self._values.of(tensor)

    def given(self, value: Any, beside: Tensor) -> Tensor | Layer:
        """A tensor that a layer reads: of the run, or one of the model's own, the same for each image of `beside`.

        Raises Unsaid where it is neither.
        """
        if self.live(value):
            self.image(value)
            return value  # type: ignore[no-any-return]
        owned = self.owned(value) if isinstance(value, Tensor) else None
        if owned is None or not owned.dim() or value.dim() > beside.dim() or value.dtype != beside.dtype:
            raise Unsaid("it reads a tensor that is no layer's output")
        seen, rank = tuple(value.shape), beside.dim() - 1
        target = seen[1:] if len(seen) > rank and seen[0] in (1, self.images(beside)) else (*[1] * (rank - len(seen)), *seen)
        own = tuple(owned.shape)
        batch_axis = own[0] == 1 and len(own) > 1
        if len(target) != rank or owned.numel() != math.prod(target):
            raise Unsaid("it reads a part of a tensor that is no layer's output")
        args = {"shape": own[batch_axis:]} | ({"batch_axis": True} if batch_axis else {})
        layer = Layer("parameter" if isinstance(owned, nn.Parameter) else "buffer", (beside,), args, {"": owned})
        return layer if args["shape"] == target else Layer("reshape", (layer,), {"shape": list(target)})

    def batch_axis(self, tensor: Tensor) -> int:
        """The axis of the images: another than the first after `permute`."""
        bound = self._bound.get(id(tensor))
        return 0 if bound is None else bound.batch_axis

    def joined(self, tensor: Tensor) -> int:
        """How many entries of another axis the axis of the images holds for each image, as of windows that joined the batch."""
        bound = self._bound.get(id(tensor))
        return 1 if bound is None else bound.joined

    def images(self, tensor: Tensor) -> int:
        """The size of the axis of the images."""
        return self.batch * self.joined(tensor)

    def image(self, tensor: Tensor, anywhere: bool = False) -> tuple[int, ...]:
        """The shape without the batch. Raises Unsaid where the first axis is no batch, or, with `anywhere`, none is."""
        at = self.batch_axis(tensor)
        if at >= tensor.dim() or tensor.shape[at] != self.images(tensor) or (at and not anywhere):
            raise Unsaid(f"the first axis of {tuple(tensor.shape)} is not the batch")
        if tensor.dim() < 2:
            raise Unsaid("one number for each image")
        return (*tensor.shape[:at], *tensor.shape[at + 1 :])

    def is_zero(self, tensor: Tensor) -> bool:
        """Whether it was made as zeros, and was not written over."""
        return id(tensor) in self._zeros

    def axis(self, tensor: Tensor, dim: int) -> int:
        """An axis counted without the batch."""
        at, batch = dim % tensor.dim(), self.batch_axis(tensor)
        if at == batch:
            raise Unsaid("it goes along the batch")
        return at - (at > batch)

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
        return self._step(bound, forward, args, options, label=name, name=name, owned=[*module.parameters(), *module.buffers()])

    def function(self, name: str, forward: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        """A function that is one step and that no rule knows: an autograd Function."""
        return self._step(None, forward, (*args,), options, label=name, name=name)

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
                f"{_place()} runs under torch.vmap or another transform of torch.func, whose steps cannot be seen; {KEEP_WHOLE}"
            )
        if func in (torch.autograd.grad, torch.autograd.backward, Tensor.backward):
            raise CaptureError(f"{_place()} takes gradients within forward, which a run without values has not; {KEEP_WHOLE}")
        name = _name(func)
        return self._step(self.rules.get(name), func, args, kwargs, label=name, name=name)

    def _step(
        self, rule: Rule | None, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], *,
        label: str, name: str, owned: Sequence[Tensor] = (),
    ) -> Any:  # fmt: skip
        with unseen():
            tensors = list(tensors_in((args, kwargs)))
            live = [tensor for tensor in tensors if self.live(tensor)]
            if name == "embedding" and tensors[0].is_floating_point() and self.live(tensors[0]):
                source, _ = self._read(tensors[0])
                if isinstance(source, str):
                    raise WholeNumbers(source)
            before = [(tensor, tensor._version) for tensor in tensors]
            out = known_result(getattr(func, "__name__", ""), args, kwargs) if tensors else None
        if out is None:
            try:
                out = self._call(func, args, kwargs, gradients=not tensors)
            except Exception as error:
                if live or not needs_values(error):
                    raise
                out = self._answer(func, args, kwargs, tensors, error)
        else:
            self._within = {}
        with unseen():
            owned = [*owned, *(self._owned[one] for one in self._within)]
            made = list(tensors_in(out))
            changed = [tensor for tensor, version in before if tensor._version != version]
            written = [one for one in changed if self.live(one) or not made or any(one is other for other in made)]
            results = made + [one for one in written if not any(one is other for other in made)]
            if name in ZEROS or (name in MOVES and tensors and self.is_zero(tensors[0])):
                self._zeros.update(map(id, made))
            self._zeros.difference_update(map(id, changed))
            if changed or name == "data=":
                self._mark_changed(changed or tensors[:1])
            knows = name not in DRAWN and (name in FACTORIES or (not live and self._values.knows(tensors)))
            self._values.learn(func, args, kwargs, made, tensors, changed, knows)
            if not results:
                return out
            if not live:
                self._fold(func, name, args, kwargs, tensors, results, owned)
            if not live or name in FACTORIES:  # of a factory's input only the shape counts
                self._kept += results
            elif rule is not None or written or not all(self.live(one) for one in results):
                self._record(rule, func, args, kwargs, live=live, results=results, written=written, label=label, name=name, owned=owned)
        return out

    def _call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], gradients: bool) -> Any:
        """What a function returns, and nothing of what it does inside; without tensors it may be what turns gradients off and on."""
        self.quiet += 1
        self._within = {}
        try:
            if gradients:
                return func(*args, **kwargs)
            with torch.no_grad():
                return func(*args, **kwargs)
        finally:
            self.quiet -= 1

    def _answer(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], tensors: list[Tensor], error: Exception
    ) -> Any:
        """What a function says of tensors on which no input bears, by their values. Raises the error where those are not known."""
        if not self._values.knows(tensors):
            raise error
        try:
            out, _ = call_on_values(func, args, kwargs, self._values.of)
        except Unknown:
            raise error from None
        with unseen():
            return tree_map_only(Tensor, self._without_values, out)

    def _without_values(self, tensor: Tensor) -> Tensor:
        empty = tensor.to("meta")
        self._values.tell(empty, tensor)
        return empty

    def _mark_changed(self, tensors: Sequence[Tensor]) -> None:
        """A parameter that is written over, or that shares the storage of such a tensor, is no longer the model's own weight."""
        names = {self._parameters.get(_storage(one)) or self._parameters.get(id(one)) for one in tensors} - {None}
        if names:
            self._constants |= {key: Constant(one.names) for key, one in self._constants.items() if not names.isdisjoint(one.names)}

    def _record(
        self, rule: Rule | None, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], *, live: list[Tensor],
        results: list[Tensor], written: list[Tensor], label: str, name: str, owned: Sequence[Tensor],
    ) -> None:  # fmt: skip
        why, self.result_axis, self.result_axes, self.result_joined = "no operator says it", 0, (), None
        layers: Layer | list[Layer] | None = None
        if self.training and not torch.is_grad_enabled():
            why = "it runs without gradients"
        elif torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            why = "it runs under autocast"
        elif rule is not None:
            try:
                self.in_place, self.results, self.result_axis, self.result_axes = bool(written), results, 0, ()
                self.result_joined = None
                layers = rule(self, *args, **kwargs)
            except Unsaid as reason:
                why = str(reason)
            except (TypeError, ValueError, IndexError) as error:
                why = f"its arguments are not understood ({error})"
        if isinstance(layers, Layer):
            layers = [layers]
        for suffix, tensor in [pair for layer in layers or () for pair in layer.owned]:
            constant = self.constant(tensor)
            if not constant.own:
                origin = "an input" if self.live(tensor) else ", ".join(constant.names) or "nothing that the model owns"
                layers, why = None, f"its {suffix} is computed from {origin}"
                break
        if layers == [] and any(result.dtype != live[0].dtype for result in results):
            layers, why = None, "the dtype changes"
        if layers == []:  # the same tensor, seen otherwise
            if not any(result is live[0] for result in results):
                self._alias(live[0], results)
            return
        if layers is not None and written and not _writes(layers[-1]):
            layers, why = None, "it writes in place"
        if layers is not None and any(result.dtype not in (self.dtype, torch.int64) for result in results):
            layers, why = None, "the dtype is another"
        if layers is None:
            self.result_axis, self.result_axes, self.result_joined = 0, (), None
            self._opaque(func, args, kwargs, live=live, results=results, written=written, label=label, name=name, why=why, owned=owned)
            return
        count = partial(count_macs, func, args, kwargs, written)
        step: Call | None = None
        ends: list[Ref] = []
        for layer in layers:
            step = self._write(layer, ends[-1:], label)
            ends.append((step, layer.output or 0))
        assert step is not None
        if layers[0].result is not None:
            for (one, _), result in zip(ends, results, strict=True):
                assert isinstance(one, Call)
                self._close(one, [result], [], count, live)
        elif layers[-1].output is not None:
            self._bind(results[0], ends[-1], joined=self._joined(results[0], live))
        else:
            self._close(step, results, written, count, live)

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

    def _opaque(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], *, live: list[Tensor], results: list[Tensor],
        written: list[Tensor], label: str, name: str, why: str, owned: Sequence[Tensor],
    ) -> None:  # fmt: skip
        shared = {_storage(result) for result in results}
        bases = [tensor for tensor in live if _storage(tensor) in shared]
        inputs = tuple(dict.fromkeys(self._read(tensor) for tensor in (*bases, *live)))
        names = dict.fromkeys(one for tensor in (*tensors_in((args, kwargs)), *owned) for one in self.constant(tensor).names)
        step = Call("opaque", {"name": name}, inputs, None, self.unit, label.strip("_") or "step", {one: one for one in names}, why=why)
        step.view = bool(bases)
        self.unit.children.append(step)
        self._close(step, results, written, partial(count_macs, func, args, kwargs, written), live)

    def _close(
        self, step: Call, results: list[Tensor], written: list[Tensor], count: Callable[[], int | None], live: Sequence[Tensor]
    ) -> None:  # fmt: skip
        step.count, step.place = count, _place()
        step.shapes = tuple(tuple(result.shape) for result in results)
        step.dtypes = tuple(result.dtype for result in results)
        for tensor in written:
            self._overwrite(tensor, (step, next((i for i, result in enumerate(results) if result is tensor), 0)))
        for index, result in enumerate(results):
            axis = self.result_axes[index] if self.result_axes else self.result_axis
            step.joined = self._joined(result, live, axis)
            self._bind(result, (step, index), axis, step.joined)

    # Tensors and what stands for them

    def _bind(self, tensor: Tensor, ref: Ref, batch_axis: int | None = None, joined: int = 1) -> None:
        axis = self.result_axis if batch_axis is None else batch_axis
        bound = self._bound[id(tensor)] = Bound(tensor, ref, batch_axis=axis, joined=joined)
        self._by_storage.setdefault(_storage(tensor), []).append(bound)
        self._constants.pop(id(tensor), None)

    def _alias(self, tensor: Tensor, results: list[Tensor]) -> None:
        for result in results:
            self._bind(result, self._read(tensor), joined=self.joined(tensor))

    def _overwrite(self, tensor: Tensor, ref: Ref) -> None:
        """Other views of what was written over are no longer what they were."""
        for other in self._by_storage.get(_storage(tensor), ()):
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
                        dtypes=(tensor.dtype,), view=True, place=_place(), why="a part of it was written over through a view")  # fmt: skip
            self.unit.children.append(step)
            bound.ref, bound.late = (step, 0), None
        return bound.ref

    def _fold(
        self, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any], tensors: list[Tensor], made: list[Tensor],
        owned: Sequence[Tensor],
    ) -> None:  # fmt: skip
        """Of constants alone: another constant."""
        names = tuple(dict.fromkeys(one for tensor in (*tensors, *owned) for one in self.constant(tensor).names))
        if name in PRODUCTS:
            self.constant_steps.append(partial(count_macs, func, args, kwargs, ()))
        constants = [self.constant(tensor) for tensor in tensors]
        keep, least = _drawn(name, args, constants)
        moved = name in MOVES and len(constants) == 1 and (constants[0].own or constants[0].moved)
        for tensor in made:
            if not (self.constant(tensor).own and any(tensor is one for one in tensors)):
                self._constants[id(tensor)] = Constant(names, moved=moved, keep=keep, least=least)


KEEP_WHOLE = "keep the class of the module that does so as one layer: leaves=[…], or --leaf"

# Functions whose result takes the shape of a tensor and none of its values.
FACTORIES = {"new_empty", "new_zeros", "new_ones", "new_full", "new_tensor", "empty_like", "zeros_like", "ones_like", "full_like",
             "rand_like", "randn_like"}  # fmt: skip

# Functions that make zeros.
ZEROS = {"zeros", "new_zeros", "zeros_like"}

# Functions with multiply-accumulates, which may be done on weights alone.
PRODUCTS = {"linear", "conv1d", "conv2d", "conv3d", "matmul", "bmm", "mm", "addmm", "einsum", "baddbmm"}

# Functions that leave the values of a tensor as they are.
MOVES = {"expand", "expand_as", "view", "view_as", "reshape", "unsqueeze", "squeeze", "to", "type_as", "contiguous", "clone", "detach",
         "unflatten", "flatten", "repeat", "float"}  # fmt: skip


def own_dtype(model: nn.Module) -> torch.dtype:
    """That of the parameters; torch's default where there are none."""
    return next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.get_default_dtype())


def _drawn(name: str, args: Sequence[Any], constants: Sequence[Constant]) -> tuple[float | None, float | None]:
    """What is known of random constants: `keep` of ones and zeros, `least` of numbers from an even range of one."""
    keep = next((one.keep for one in constants if one.keep is not None), None)
    least = next((one.least for one in constants if one.least is not None), None)
    if name == "bernoulli" and len(args) > 1 and isinstance(args[1], float):
        return args[1], None
    if name == "rand":
        return None, 0.0
    if least is not None and name in ("add", "radd", "iadd") and len(constants) == 1:
        return None, least + next((one for one in args if isinstance(one, int | float)), 0.0)
    if least is not None and name == "floor":
        return (least if 0 < least < 1 else None), None
    return keep, least if name in MOVES else None


def _name(func: Any) -> str:
    """`add` of torch.add, Tensor.add_, Tensor.__iadd__ and Tensor.__radd__; the name of a property."""
    name = getattr(func, "__name__", "") or type(func).__name__
    if name in ("__get__", "__set__"):
        return f"{getattr(func.__self__, '__name__', '')}{'=' * (name == '__set__')}"
    return name.split(".")[0].strip("_") if name not in ("__setitem__",) else "setitem"


def _writes(layer: Layer) -> bool:
    return bool(layer.args.get("inplace"))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _same_view(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and one.stride() == other.stride() and one.storage_offset() == other.storage_offset())


def _place() -> str:
    """The file and line of the nearest code that is not torch's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(OWN_FOLDERS) and not file.startswith("<"):
            return f"{_short(file)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@lru_cache(maxsize=1024)
def _short(file: str) -> str:
    """A file below the working folder or an installed package, without what stands before."""
    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        return path.relative_to(Path.cwd()).as_posix()
    parts = path.parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts:
            return "/".join(parts[parts.index(folder) + 1 :])
    return path.name
