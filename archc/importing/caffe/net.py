"""What Caffe does before any layer is set up: which layers a phase has, what they are called, and what the inputs are."""

from __future__ import annotations

from archc.importing.caffe.prototxt import Message
from archc.importing.draft import Refused

# V1's layers by today's types.
_OLD = {
    "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "BNLL": "BNLL", "CONCAT": "Concat", "CONVOLUTION": "Convolution", "DATA": "Data",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "ELTWISE": "Eltwise", "EUCLIDEAN_LOSS": "EuclideanLoss", "EXP": "Exp",
    "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data", "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct", "LRN": "LRN", "MEMORY_DATA": "MemoryData", "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU",
    "SIGMOID": "Sigmoid", "SILENCE": "Silence", "SLICE": "Slice", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split", "TANH": "TanH", "WINDOW_DATA": "WindowData",
}  # fmt: skip
DATA = {"Data", "ImageData", "HDF5Data", "WindowData", "DummyData", "AnnotatedData", "Python"}


def layers_of(net: Message) -> list[tuple[str, str, Message]]:
    """Name, type and fields of each layer that a network has where it is tested. Raises Refused."""
    old = net.messages("layers")
    every = old or net.messages("layer")
    if not every:
        raise Refused(net.span, "no layer stands here", "a prototxt of a network has layer { … } for each", "A204")
    found = []
    for layer in every:
        if layer.messages("layer"):
            raise Refused(layer.span, "layers of Caffe's first format are not read", "upgrade_net_proto_text of Caffe converts it", "A202")
        if not _tested(layer):
            continue
        kind = layer.text("type")
        if not kind:
            raise Refused(layer.span, "a layer without a type", 'write type: "Convolution" or another', "A204")
        kind = _OLD.get(kind, kind) if old else kind
        found.append((layer.text("name", kind.lower()), kind, layer))
    return found


def _tested(layer: Message) -> bool:
    """Whether a layer is there in the phase TEST, where no levels or stages are asked for."""
    if rules := layer.messages("include"):
        return any(map(_met, rules))
    return not any(map(_met, layer.messages("exclude")))


def _met(rule: Message) -> bool:
    phase = rule.text("phase", "TEST") in ("TEST", "1")
    return phase and rule.whole("min_level", 0) <= 0 and not rule.literals("stage")


def labels(names: list[str]) -> dict[str, str]:
    """Names as a spec has them: `inception_3a/1x1` stands on a level, unless some layer is called as a level would be."""
    levels = {"/".join(parts[:at]) for parts in (name.split("/")[:20] for name in names) for at in range(1, len(parts))}
    mark = "_" if levels & set(names) else "."
    return {name: name.replace(".", "_").replace("/", mark).strip(".") or "layer" for name in names}


def input_sizes(shape: Message) -> list[int]:
    """The sizes of `shape { dim: 1 dim: 3 … }` without the batch."""
    sizes = shape.wholes("dim", least=1)
    if len(sizes) < 2:
        raise Refused(shape.span, "a shape without sizes beside the batch", "write dim: 1 dim: 3 dim: 224 dim: 224", "A404")
    return sizes[1:]
