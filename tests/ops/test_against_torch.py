"""Each case run by PyTorch: shapes, weights, MACs, what autograd keeps, and whose storage the output is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from archc.ops import OPERATORS
from archc.ops.facts import INPLACE, NEW, OWN, Kept
from archc.ops.shape import Shape
from archc.ops.tracked import Tracked, track

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

from tests.helpers.torch_form import Layer, outputs, tensors

from .cases import CASES, JOINED, Case, each_of

BATCH = 2
BY_VALUES = {"experts"}  # which read what they compute, so that `meta` will not do
BYTES = {"same": 4, "float32": 4, "int64": 8, "mask": 4}  # of a float32 network on the CPU
every_case = each_of([*CASES, *JOINED])


def made(case: Case, device: str = "cpu") -> tuple[Layer, list[Any]]:
    """The layer and its inputs: each of its own storage, made by an operation, so that a layer may overwrite it."""
    torch.manual_seed(0)
    layer = Layer(case.facts()).to(device)
    facts = case.facts()
    return layer, [given(shape, facts.taken(i), device) for i, shape in enumerate(case.inputs())]


def given(shape: Shape, dtype: str, device: str) -> Any:
    if dtype == "int64":
        return torch.zeros(shape.batched(BATCH), dtype=torch.int64, device=device)
    return torch.randn(shape.batched(BATCH), device=device, requires_grad=True).clone()


UNSTATED = ("roi_pool", "roi_align", "deform_conv")  # which keep one thing by torchvision's kernels and another without


def storage(tensor: Any) -> int:
    return int(tensor.untyped_storage()._cdata)


def test_every_operator_has_a_case() -> None:
    shipped = [name for name in OPERATORS if OPERATORS[name].module.startswith("archc.ops.") and name != "opaque"]  # which has no form
    assert [name for name in shipped if name not in {case.op for case in CASES}] == []


@every_case
def test_the_output_has_the_shape(case: Case) -> None:
    layer, inputs = made(case, "cpu" if case.op in BY_VALUES else "meta")
    assert [tuple(out.shape) for out in outputs(layer(*inputs))] == [shape.batched(BATCH) for shape in case.facts().outputs]


@every_case
def test_the_weights_have_the_names_shapes_and_roles(case: Case) -> None:
    layer, _ = made(case)
    dtypes = {"same": torch.float32, "int64": torch.int64, "bool": torch.bool}
    weights = case.facts().weights
    assert weights is not None
    assert tensors(layer) == [(w.name, tuple(w.shape), w.role == "buffer", dtypes[w.dtype]) for w in weights]
    assert all((w.role == "bias") == w.name.split("_l")[0].endswith(("bias", "bias_ih", "bias_hh")) for w in weights if w.role != "buffer")


@every_case
def test_the_macs_are_those_that_pytorch_counts(case: Case) -> None:
    """On the meta device with gradients, where attention is not one opaque kernel."""
    layer, inputs = made(case, "cpu" if case.op in BY_VALUES else "meta")
    with FlopCounterMode(display=False) as counter:
        layer(*inputs)
    assert counter.get_total_flops() == 2 * BATCH * case.facts().macs  # type: ignore[operator]


@every_case
def test_autograd_keeps_what_is_declared(case: Case) -> None:
    """The same inputs and outputs by the identity of their storage, and new tensors of the same bytes."""
    layer, inputs = made(case)
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        kept.setdefault(storage(tensor), tensor.untyped_storage())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        results = outputs(layer(*inputs))
    for owned in [*layer.parameters(), *layer.buffers()]:
        kept.pop(storage(owned), None)
    ours = [storage(tensor) for tensor in (*inputs, *results)]
    found = {key for key in kept if key in ours}
    facts = case.facts()
    keeps = facts.unfused if facts.unfused is not None and len(inputs) > 3 else facts.keeps
    if case.op in UNSTATED:
        assert keeps is None and any(one.numel() for one in results)
        return
    assert keeps is not None
    sides = {"input": inputs, "output": results}
    stated = {storage(sides[one.what][one.which]) for one in keeps if one.what != "new"}
    rest = sum(held.nbytes() for key, held in kept.items() if key not in found)
    assert found == stated
    assert rest > _new_bytes(keeps) if facts.keeps_more else rest == _new_bytes(keeps)


def test_attention_with_a_mask_is_fused_where_the_mask_needs_no_gradient() -> None:
    from archc import loads
    from archc.analysis.memory.storages import run

    layers = "{a: {from: q, layer_scale: }, b: {from: [a, k, k, m], scaled_dot_product_attention: }}"
    (_, step) = run(loads(f"{{input: {{q: [2, 6, 4], k: [2, 5, 4], m: [6, 5]}}, layers: {layers}}}")).steps
    layer = Layer(step.node.facts)
    q, k, m = (torch.randn(1, *shape) for shape in ((2, 6, 4), (2, 5, 4), (6, 5)))
    found = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: found.append(storage(one)) or one, lambda one: one):
        result = layer(q.requires_grad_(), k, k, m)
    assert "Flash" in result.grad_fn.name() and len(set(found)) == len(step.kept) == 5


def _new_bytes(keeps: Iterable[Kept]) -> int:
    made = [one for one in keeps if one.what == "new"]
    return sum(one.values * BYTES[one.dtype] * (BATCH if one.per_image else 1) for one in made)


@each_of(one for one in CASES if one.op.endswith("norm"))
def test_a_normalization_trains_from_so_many_images_on(case: Case) -> None:
    for batch in (1, 2):
        layer, inputs = Layer(case.facts()), [torch.randn(batch, *shape) for shape in case.shapes]
        if batch >= case.facts().min_batch:
            layer(*inputs)
        else:
            with pytest.raises(ValueError, match="more than 1 value per channel"):
                layer(*inputs)


@every_case
def test_the_output_is_new_or_a_view_or_in_place(case: Case) -> None:
    layer, inputs = made(case)
    if case.op == "computed":  # of which each image sees the same values
        assert [out.stride(0) for out in outputs(layer(*inputs))] == [0]
        return
    if case.facts().storage == OWN:
        assert [storage(out) for out in outputs(layer(*inputs))] == [storage(layer.own)]
        return
    versions = [one._version for one in inputs]
    shares = [storage(out) in {storage(one) for one in inputs} for out in outputs(layer(*inputs))]
    declared = case.facts().storage
    assert shares == [declared != NEW] * len(shares)
    assert [one._version for one in inputs[1:]] == versions[1:]
    assert (inputs[0]._version != versions[0]) == (declared == INPLACE)


@every_case
def test_tracked_numbers_change_nothing(case: Case) -> None:
    names = "abcd"
    shapes = [
        Shape(track(shape, [f"{names[axis]}{i}" for axis in range(len(shape))])).named(shape.axes) for i, shape in enumerate(case.inputs())
    ]
    args = {name: _tracked(name, value) for name, value in case.args.items()}
    tracked, plain = OPERATORS[case.op](*shapes, **args), case.facts()
    assert tracked == plain
    assert repr(tracked) == repr(plain)


def _tracked(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_tracked(name, one) for one in value)
    return Tracked(value, name) if isinstance(value, int) and not isinstance(value, bool) else value


def test_no_layer_hides_what_a_module_is() -> None:
    """The names that are refused for layers are those that torch.nn.Module has; others may come with newer versions."""
    from archc.elaborate.naming import _OF_MODULES

    assert {name for name in dir(torch.nn.Module()) if not name.startswith("__")} <= _OF_MODULES
