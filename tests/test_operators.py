"""Every operator against PyTorch: shapes, weights, MACs, what backward keeps, storage. An operator without a case fails."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archc.ops import OPERATORS, Module, Shape
from archc.signature import bind
from archc.tracked import Tracked, track

C2, C1, C3 = (4, 9, 8), (4, 9), (4, 5, 6, 7)
ACT = {
    n: {}
    for n in [
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "mish",
        "sigmoid",
        "tanh",
        "hardswish",
        "hardsigmoid",
        "hardtanh",
        "softplus",
        "softsign",
        "logsigmoid",
        "tanhshrink",
        "hardshrink",
        "softshrink",
    ]
}
CASES = [
    *[
        ("conv", [x], dict(channels=6, **a))
        for x in (C1, C2, C3)
        for a in (
            dict(),
            dict(kernel=3, padding=1),
            dict(kernel=3, stride=2),
            dict(kernel=3, padding="same", bias=False),
            dict(kernel=2, padding="same"),
            dict(kernel=3, stride=2, padding="same_upper"),
            dict(kernel=3, dilation=2, padding=2),
            dict(kernel=3, groups=2, padding=1),
        )
    ],
    ("conv", [C2], dict(channels=8, kernel=3, groups="depthwise")),
    ("conv", [C2], dict(channels=8, kernel=[3, 1], stride=[1, 2], padding=[1, 0])),
    ("conv", [C2], dict(channels=8, kernel=3, padding=1, padding_mode="reflect")),
    ("conv", [C2], dict(channels=8, kernel=4, padding="same", padding_mode="circular")),
    *[
        ("conv_transpose", [x], dict(channels=6, kernel=3, **a))
        for x in (C1, C2, C3)
        for a in (dict(), dict(stride=2, padding=1, output_padding=1), dict(groups=2, dilation=2, bias=False))
    ],
    *[
        (p, [x], dict(kernel=k, **a))
        for p in ("maxpool", "avgpool")
        for x in (C1, C2, C3)
        for k, a in (
            (2, {}),
            (3, dict(stride=2, padding=1)),
            (3, dict(stride=2, ceil=True)),
            (3, dict(stride=2, padding="same_upper")),
            (2, dict(stride=2, padding=1, ceil=True)),
        )
    ],
    ("avgpool", [C2], dict(kernel=3, stride=1, padding=1, count_padding=False)),
    ("avgpool", [C2], dict(kernel=2, stride=1, padding="same", count_padding=False)),
    ("maxpool", [C2], dict(kernel=3, dilation=2)),
    *[("lppool", [x], dict(norm=2, kernel=2)) for x in (C1, C2)],
    *[(n, [x], {}) for n in ("global_avgpool", "global_maxpool") for x in (C1, C2, C3)],
    *[(n, [x], dict(size=s)) for n in ("adaptive_avgpool", "adaptive_maxpool") for x in (C1, C2, C3) for s in (1, 3)],
    *[("batchnorm", [x], a) for x in ((5,), C1, C2, C3) for a in ({}, dict(affine=False), dict(track=False))],
    *[("layernorm", [x], a) for x in ((6,), (5, 8)) for a in ({}, dict(bias=False), dict(affine=False))],
    ("layernorm", [C2], dict(axis="channels")),
    ("rmsnorm", [(5, 8)], {}),
    ("rmsnorm", [(5, 8)], dict(affine=False)),
    ("groupnorm", [C2], dict(groups=2)),
    ("groupnorm", [C1], dict(groups=4, affine=False)),
    *[("instancenorm", [x], a) for x in (C1, C2, C3) for a in ({}, dict(affine=True))],
    ("lrn", [C2], dict(size=3)),
    ("lrn", [C2], dict(size=5, alpha=1e-3, k=2.0)),
    ("linear", [(7,)], dict(features=5)),
    ("linear", [(3, 7)], dict(features=5, bias=False)),
    ("embedding", [(6,)], dict(entries=11, features=4)),
    ("matmul", [(3, 4), (4, 5)], {}),
    ("matmul", [(2, 3, 4), (2, 4, 5)], {}),
    ("attention", [(6, 8)], dict(heads=2)),
    ("attention", [(6, 8), (5, 8)], dict(heads=4)),
    ("attention", [(6, 8)], dict(heads=1, bias=False)),
    *[(n, [x], {}) for n in ACT for x in ((5,), C2)],
    *[
        (n, [C2], dict(inplace=True))
        for n in ["relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh"]
    ],
    ("prelu", [C2], dict(shared=False)),
    ("gelu", [C2], dict(approximate="tanh")),
    ("threshold", [C2], dict(threshold=0.1, value=2.0)),
    ("glu", [C2], {}),
    ("softmax", [(5,)], {}),
    ("softmax", [C2], {}),
    ("softmax", [(4, 6)], dict(axis=-1)),
    ("log_softmax", [(5,)], {}),
    ("add", [C2, C2], {}),
    ("add", [C2, C2, (4, 1, 1)], dict(broadcast=True)),
    ("mul", [C2, (4, 1, 1)], {}),
    ("mul", [C2, C2, C2], {}),
    ("average", [C2, C2, C2], {}),
    ("concat", [C2, (3, 9, 8)], {}),
    ("concat", [(5, 8), (2, 8)], {}),
    ("concat", [(5, 8), (5, 3)], dict(axis=-1)),
    ("split", [C2], dict(parts=2)),
    ("split", [(4, 6)], dict(parts=3, axis=1)),
    ("identity", [C2], {}),
    ("flatten", [C2], {}),
    ("reshape", [C2], dict(shape=[8, -1])),
    ("permute", [C2], dict(order=[1, 2, 0])),
    ("transpose", [(5, 8)], {}),
    ("transpose", [C2], dict(axes=[0, -1])),
    ("select", [(5, 8)], dict(index=0)),
    ("select", [C2], dict(index=-1, axis=1)),
    ("mean", [(5, 8)], {}),
    ("mean", [C2], dict(axis=-1)),
    ("pad", [C2], dict(sides=[1, 2, 0, 1])),
    ("pad", [C2], dict(sides=[1, -2, 0, 1], value=1.0)),
    ("pad", [C2], dict(sides=[1, 2, 3, 1], mode="reflect")),
    ("pad", [C1], dict(sides=[1, 2], mode="replicate")),
    ("pad", [C2], dict(sides=[1, 2, 3, 1], mode="circular")),
    ("crop", [C2], dict(sides=[1, 2, 0, 1])),
    ("center_crop", [C2], dict(size=4)),
    ("center_crop", [C2, (2, 5, 4)], {}),
    ("channel_shuffle", [C2], dict(groups=2)),
    ("pixel_shuffle", [C2], dict(factor=2)),
    *[("upsample", [x], dict(scale=2, mode=m)) for x in (C1, C2, C3) for m in ("nearest", "linear")],
    ("upsample", [C2], dict(size=[13, 12], mode="linear", align_corners=True)),
    ("upsample", [C2, (1, 18, 20)], {}),
    ("dropout", [C2], {}),
    ("dropout", [C2], dict(p=0.0)),
    ("dropout", [C2], dict(inplace=True)),
    *[("spatial_dropout", [x], {}) for x in (C1, C2, C3)],
    ("drop_path", [C2], dict(p=0.5)),
    ("drop_path", [(5, 8)], {}),
    ("layer_scale", [C2], {}),
    ("layer_scale", [(5, 8)], {}),
    ("tokens", [C2], {}),
    ("class_token", [(5, 8)], {}),
    ("position_embedding", [(5, 8)], {}),
]


class Layer(nn.Module):
    def __init__(self, form, weights):
        super().__init__()
        names = {"torch": torch, "nn": nn, "F": F}
        self.names = names
        if isinstance(form, Module):
            exec(form.source, names)
            self.layer = eval(form.construction(), names)
            self.text = form.call
        else:
            self.layer = nn.Parameter(eval(form.start, names)) if form.start else None
            self.text = form.text

    def forward(self, *xs):
        env = dict(self.names, me=self.layer, **{f"x{i}": x for i, x in enumerate(xs)})
        return eval(self.text.format(*[f"x{i}" for i in range(len(xs))], self="me"), env)


def make(case):
    name, shapes, args = case
    op = OPERATORS[name]
    bound, faults = bind(op.signature, args, {})
    assert not faults, faults
    shapes = [Shape(s) for s in shapes]
    facts = op(*shapes, **bound)
    return op, shapes, bound, facts


IDS = [f"{i}-{n}" for i, (n, _, _) in enumerate(CASES)]
N = 2


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_shapes_weights_macs(case):
    op, shapes, bound, facts = make(case)
    layer = Layer(facts.torch, facts.weights)
    got = [(k.removeprefix("layer").removeprefix("."), tuple(v.shape)) for k, v in layer.state_dict().items()]
    assert sorted(got) == sorted((w.name, tuple(w.shape)) for w in facts.owned)
    buffers = {k.removeprefix("layer.") for k, _ in layer.named_buffers()}
    assert buffers == {w.name for w in facts.owned if w.role == "buffer"}
    layer = layer.to("meta")
    xs = [
        torch.randint(0, 5, (N, *s), device="meta") if op.name == "embedding" else torch.randn(N, *s, device="meta", requires_grad=True) * 1
        for s in shapes
    ]
    with FlopCounterMode(display=False) as counter:
        out = layer(*xs)
    outs = out if isinstance(out, tuple) else (out,)
    assert [tuple(o.shape[1:]) for o in outs] == [tuple(s) for s in facts.outputs]
    assert counter.get_total_flops() == 2 * N * facts.macs


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_kept_and_storage(case):
    op, shapes, bound, facts = make(case)
    layer = Layer(facts.torch, facts.weights).train()
    leaves = [torch.randint(0, 5, (N, *s)) if op.name == "embedding" else torch.randn(N, *s, requires_grad=True) for s in shapes]
    xs = [x if op.name == "embedding" else x * 1 for x in leaves]
    kept = {}
    own = {t.untyped_storage()._cdata for t in itertools.chain(layer.parameters(), layer.buffers())}

    def pack(t):
        if t.untyped_storage()._cdata not in own:
            kept[t.untyped_storage()._cdata] = t.untyped_storage()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = layer(*xs)
    outs = out if isinstance(out, tuple) else (out,)
    same = outs[0].untyped_storage()._cdata == xs[0].untyped_storage()._cdata
    assert same == (facts.storage != "new"), facts.storage
    want = {}
    for i, k in enumerate(facts.keeps):
        if k.what == "new":
            size = {"same": 4, "float32": 4, "int64": 8, "mask": 4}[k.dtype] * k.values * (N if k.per_image else 1)
            want[("new", i)] = size
        else:
            t = (xs if k.what == "input" else outs)[k.which]
            want[t.untyped_storage()._cdata] = t.untyped_storage().nbytes()
    assert sum(s.nbytes() for s in kept.values()) == sum(want.values()), (sorted(s.nbytes() for s in kept.values()), sorted(want.values()))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_tracked(case):
    op, shapes, bound, facts = make(case)
    ts = [Shape(track(s, [f"a{i}{j}" for j in range(len(s))])) for i, s in enumerate(shapes)]
    args = {k: Tracked(v, k) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in bound.items()}
    again = op.function(*ts, **args)
    assert again.outputs == facts.outputs and again.macs == facts.macs and again.work == facts.work


def test_all_have_cases():
    assert set(OPERATORS) == {c[0] for c in CASES}
