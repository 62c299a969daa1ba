"""A model of Keras as its configuration lists it: layers, and for each time that one is applied, what it is applied to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from archc.elaborate.state import MOST_LAYERS
from archc.importing.document import Part
from archc.importing.draft import Refused
from archc.importing.keras import activations, shaping, weighted
from archc.importing.keras.values import Held, Layer, Reading, Stored
from archc.text.source import Span
from archc.text.suggest import did_you_mean

DEEPEST = 12
MODELS = ("Functional", "Sequential", "Model")
_AXES = ("1D", "2D", "3D")
UNARY: dict[str, Callable[[Layer, Held], Held]] = {
    **{f"Conv{axes}": weighted.conv for axes in _AXES},
    **{f"Conv{axes}Transpose": weighted.conv_transpose for axes in _AXES},
    **{f"{kind}Conv{axes}": function for axes in _AXES[:2]
       for kind, function in (("Depthwise", weighted.depthwise_conv), ("Separable", weighted.separable_conv))},
    **{f"{kind}Pooling{axes}": shaping.pooling for axes in _AXES for kind in ("Max", "Average")},
    **{f"Global{kind}Pooling{axes}": shaping.global_pooling for axes in _AXES for kind in ("Max", "Average")},
    **{f"ZeroPadding{axes}": shaping.padded for axes in _AXES},
    **{f"Cropping{axes}": shaping.cropped for axes in _AXES},
    **{f"UpSampling{axes}": shaping.upsampling for axes in _AXES},
    **{f"SpatialDropout{axes}": shaping.spatial_dropout for axes in _AXES},
    **dict.fromkeys(("Identity", "ActivityRegularization", "GaussianNoise", "GaussianDropout", "RandomFlip", "RandomRotation",
                     "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"), shaping.passed),
    "Dense": weighted.dense, "Embedding": weighted.embedding, "BatchNormalization": weighted.batchnorm,
    "LayerNormalization": weighted.layernorm, "GroupNormalization": weighted.groupnorm, "PReLU": weighted.prelu,
    "Activation": activations.activation, "ReLU": activations.relu, "LeakyReLU": activations.leaky_relu, "ELU": activations.elu,
    "Softmax": activations.softmax, "Flatten": shaping.flatten, "Reshape": shaping.reshape, "Permute": shaping.permute,
    "Dropout": shaping.dropout, "Rescaling": shaping.rescaling,
}  # fmt: skip
MERGES: dict[str, Callable[[Layer, list[Held]], Held]] = {
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), shaping.merged),
    "Concatenate": shaping.concatenate,
}
_CODE = {
    "Lambda": "holds Python code, which is not run",
    "TFOpLambda": "calls a function of TensorFlow by its name, which is not run",
    "TorchModuleWrapper": "holds a pickled module, which is not opened",
}
_WHY = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "Bidirectional"), "has biases and gates in another order and number than archc's layer"),
    "MultiHeadAttention": "keeps a projection for each head, which archc joins",
    "TimeDistributed": "applies a layer at each step",
}

Ref = tuple[str, int, int]  # a layer, which time it is applied, which of its outputs


@dataclass(frozen=True, slots=True)
class _Call:
    """A layer, applied once."""

    name: str
    index: int
    entry: Part
    takes: tuple[Ref, ...]


@dataclass(slots=True)
class Walk:
    """A model as far as it is read. `made` has what was applied."""

    reading: Reading
    path: tuple[str, ...]
    label: str
    depth: int
    calls: int = 0
    made: dict[tuple[str, int], tuple[Held, ...]] = field(default_factory=dict)

    def model(self, entry: Part, helds: Sequence[Held] | None) -> tuple[Held, ...]:
        """The outputs of a model for inputs; at the top there are none, and it says what it takes."""
        if self.depth > DEEPEST:
            raise Refused(entry.place("class_name"), f"more than {DEEPEST} models in one another", None, "A103")
        config = entry.need("config")
        if entry.get_text("class_name", "") == "Sequential" or config.is_list:
            return self.sequential(config, helds)
        return self.functional(config, helds)

    def sequential(self, config: Part, helds: Sequence[Held] | None) -> tuple[Held, ...]:
        layers = config.items() if config.is_list else config.need("layers").items()
        held = helds[0] if helds else None
        for entry in layers:
            name, inner = _name(entry), entry.need("config")
            if entry.get_text("class_name", "") == "InputLayer":
                held = held or self.input(inner, "input")
                continue
            if held is None:
                own = None if config.is_list else config
                held = self.input(inner if inner.get("batch_input_shape", "batch_shape") else own or inner, "input")
            (held, *_) = self.applied(entry, name, [held])
        if held is None:
            raise Refused(config.place("layers"), "no layer stands here", None, "A204")
        return (held,)

    def functional(self, config: Part, helds: Sequence[Held] | None) -> tuple[Held, ...]:
        ins, outs = _refs(config.need("input_layers")), _refs(config.need("output_layers"))
        if helds is not None and len(helds) != len(ins):
            raise Refused(config.place("name"), f"a model of {len(ins)} inputs is given {len(helds)}", None, "A502")
        given = {ref[0]: helds[at] if helds is not None else None for at, ref in enumerate(ins)}
        for call in self.order(list(self.listed(config))):
            if call.entry.get_text("class_name", "") == "InputLayer":
                held = given.get(call.name)
                wanted = "input" if len(ins) == 1 else call.name
                self.made[call.name, call.index] = (held or self.input(call.entry.need("config"), wanted),)
                continue
            self.reading.draft.again, before = self.reading.draft.again or call.index > 0, self.reading.draft.again
            found = self.applied(call.entry, call.name, [self.value(call.entry, ref) for ref in call.takes])
            self.reading.draft.again = before
            self.made[call.name, call.index] = found
        for name, index, part in outs:
            if (name, index) not in self.made or part >= len(self.made[name, index]):
                raise Refused(config.place("output_layers"), f"{name[:60]} is no layer that was applied", None, "A304")
        return tuple(self.made[name, index][part] for name, index, part in outs)

    def listed(self, config: Part) -> Iterator[_Call]:
        """Every time that a layer is applied, layer by layer."""
        for entry in config.need("layers").items():
            name = _name(entry)
            nodes = entry.get("inbound_nodes")
            if not (found := nodes.items() if nodes is not None else []):
                yield _Call(name, 0, entry, ())
            for index, node in enumerate(found):
                yield _Call(name, index, entry, tuple(_taken(node)))

    def order(self, calls: list[_Call]) -> Iterator[_Call]:
        """Calls as they are listed; one that takes what comes later, right after that."""
        if len(calls) > MOST_LAYERS:
            raise Refused(calls[0].entry.place("name"), f"more than {MOST_LAYERS:,} layers", None, "A601")
        known = {(call.name, call.index) for call in calls}
        waiting: dict[tuple[str, int], list[_Call]] = {}
        left: dict[int, int] = {}
        done: set[tuple[str, int]] = set()
        for one in calls:
            if lost := next((ref for ref in one.takes if (ref[0], ref[1]) not in known or ref[2] > 1_000), None):
                raise Refused(one.entry.place("inbound_nodes"), f"{one.name[:60]} takes {lost[0][:60]}, which is not there", None, "A304")
            missing = {(ref[0], ref[1]) for ref in one.takes} - done
            left[id(one)] = len(missing)
            for key in missing:
                waiting.setdefault(key, []).append(one)
            ready = [one] if not missing else []
            while ready:
                call = ready.pop()
                yield call
                done.add((call.name, call.index))
                for other in waiting.pop((call.name, call.index), ()):
                    left[id(other)] -= 1
                    ready += [other] if not left[id(other)] else []
        if waiting:
            stuck = next(iter(waiting.values()))[0]
            raise Refused(stuck.entry.place("inbound_nodes"), f"{stuck.name[:60]} waits for itself", "a network has no circle", "A304")

    def value(self, entry: Part, ref: Ref) -> Held:
        """What a layer that was applied gave."""
        made = self.made[ref[0], ref[1]]
        if ref[2] >= len(made):
            raise Refused(
                entry.place("inbound_nodes"), f"{ref[0][:60]} has {len(made)} outputs, and number {ref[2]} is taken", None, "A304"
            )
        return made[ref[2]]

    def input(self, config: Part, name: str) -> Held:
        """An input, whose shape has the batch first, and the channels last."""
        part = config.get("batch_shape", "batch_input_shape", "build_input_shape")
        if part is None:
            raise Refused(
                config.place("name"),
                "a model without the shape of its input",
                "build it before it is saved: keras.Input((224, 224, 3))",
                "A204",
            )
        sizes = part.items()[1:]
        if any(size.is_null for size in sizes):
            raise Refused(part.span, "an input whose size is open", "save the model with one size: keras.Input((224, 224, 3))", "A404")
        shape = [size.whole(1) for size in sizes]
        first = len(shape) > 2 and not self.reading.channels_first
        draft = self.reading.draft
        wanted = name if name == "input" else draft.free_input(name)
        return Held(draft.input([shape[-1], *shape[:-1]] if first else shape or [1], part.span, wanted), first)

    def applied(self, entry: Part, name: str, helds: list[Held]) -> tuple[Held, ...]:
        """The outputs of a layer, or of a model within."""
        kind = entry.need("class_name").text()
        label = f"{self.label}.{name.replace('.', '_')}" if self.label else name.replace(".", "_")
        span = entry.place("class_name")
        own = entry.get("registered_name")
        if own is not None and isinstance(own.value, str) and ">" in own.value and not own.value.startswith("keras"):
            raise Refused(
                own.span, f"{own.value[:60]} is a class of one's own, whose code is not in the file", "write its layers by hand", "A301"
            )
        if kind in MODELS:
            inner = Walk(self.reading, (*self.path, name), label, self.depth + 1)
            return inner.model(entry, helds)
        layer = Layer(self.reading, kind, entry.need("config"), (*self.path, name), label.replace("/", "."), span)
        if kind in MERGES and len(helds) > 1:
            return (MERGES[kind](layer, helds),)
        if kind not in UNARY:
            raise _refuse(kind, span)
        if len(helds) != 1:
            raise Refused(span, f"{kind} takes 1 input, but is given {len(helds)}", None, "A502")
        held = UNARY[kind](layer, helds[0])
        if layer.tensors and not self.reading.draft.again:
            self.reading.stored.append(Stored(layer.path, tuple(layer.tensors), span))
        return (held,)


def _refuse(kind: str, span: Span) -> Refused:
    if kind in _CODE:
        return Refused(span, f"a layer {kind} {_CODE[kind]}", "write its operator into the spec by hand", "A301")
    if kind in _WHY:
        return Refused(span, f"{kind} is not read: it {_WHY[kind]}", "write it into the spec by hand", "A301")
    return Refused(span, f"{kind[:60]} is not read", did_you_mean(kind, (*UNARY, *MERGES)) or "archc has no operator for it", "A301")


def _name(entry: Part) -> str:
    named = entry.get("name") or entry.need("config").get("name")
    return named.text() if named is not None else entry.need("class_name").text().lower()


def _refs(part: Part) -> list[Ref]:
    """`["a", 0, 0]`, or a list of such."""
    found = part.items() if part.is_list else [one for _, one in part.entries()]
    if found and isinstance(found[0].value, str):
        return [_ref(part)]
    return [_ref(one) for one in found]


def _ref(part: Part) -> Ref:
    found = part.items()
    if len(found) < 3:
        raise part.wrong("a name with two numbers")
    return found[0].text(), found[1].whole(), found[2].whole()


def _taken(node: Part) -> Iterator[Ref]:
    """What a layer is applied to: tensors in the arguments, and nothing else that would matter."""
    if node.is_list:  # Keras 2: [["name", 0, 0, {}], …]
        found = node.items()
        for one in [node] if found and isinstance(found[0].value, str) else found:
            if len(one.items()) > 3 and one.items()[3].is_mapping and set(one.items()[3].keys()) - {"training", "mask"}:
                raise Refused(one.span, "a layer that is called with further arguments is not read", None, "A303")
            yield _ref(one)
        return
    todo = [*reversed(node.need("args").items())]
    if (kwargs := node.get("kwargs")) is not None:
        todo += [one for key, one in kwargs.entries() if key not in ("mask", "training")]
    while todo:
        part = todo.pop()
        if part.is_list:
            todo += reversed(part.items())
        elif part.is_mapping and part.get_text("class_name", "") == "__keras_tensor__":
            yield _ref(part.need("config").need("keras_history"))
        elif not part.is_null:
            raise Refused(part.span, "a layer that is called with further arguments is not read", None, "A303")
