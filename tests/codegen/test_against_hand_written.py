"""What archc builds against modules that were written by hand: the same tensors, outputs, statistics and gradients, bit by bit."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import archc
from archc.analysis.memory.saved import saved
from archc.analysis.memory.timeline import Options, training
from tests.analysis.memory.test_timeline import trained

from .block_references import BLOCKS
from .further_references import FURTHER
from .references import REFERENCES, Reference
from .segmentation_references import SEGMENTERS

every_reference = pytest.mark.parametrize("reference", [*REFERENCES, *FURTHER, *BLOCKS, *SEGMENTERS], ids=lambda one: one.name)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums in parallel are in no fixed order."""
    torch.set_num_threads(1)


def pair(reference: Reference) -> tuple[Any, Any]:
    """(by hand, ours) with the same random weights and statistics, none of which is zero or one throughout."""
    torch.manual_seed(0)
    theirs, ours = reference.module_factory(), archc.build(archc.loads(reference.spec_text))
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.is_floating_point() and (value.dim() == 1 or name.endswith(("token", "embedding"))):
                value.add_(0.3 * torch.randn_like(value))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


@every_reference
def test_names_and_shapes(reference: Reference) -> None:
    """In the same order as well, so that an optimizer's state, which is by number, fits too."""
    graph = archc.loads(reference.spec_text)
    declared = [(f"{node.name}.{w.name}".rstrip("."), tuple(w.shape)) for node in graph.nodes for w in node.facts.owned]
    by_hand = [(name, tuple(value.shape)) for name, value in reference.module_factory().state_dict().items()]
    built = [(name, tuple(value.shape)) for name, value in archc.build(graph).state_dict().items()]
    assert sorted(declared) == sorted(by_hand)
    assert built == by_hand


@every_reference
def test_equal_outputs_in_eval(reference: Reference) -> None:
    theirs, ours = pair(reference)
    x = torch.randn(3, *reference.input_shape)
    with torch.no_grad():
        expected, found = theirs.eval()(x.clone()), ours.eval()(x.clone())
    assert expected.std() > 1e-3
    assert torch.equal(found, expected)


@every_reference
def test_equal_gradients_and_statistics_in_training(reference: Reference) -> None:
    """After a step in train mode: outputs, gradients of parameters and input, and what batchnorm remembers."""
    theirs, ours = pair(reference)
    x = torch.randn(3, *reference.input_shape)
    results = []
    for net in (theirs, ours):
        image = x.clone().requires_grad_()
        out = net.train()(image)
        weights = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
        (out * weights).sum().backward()
        gradients = {f"gradient of {name}": value.grad for name, value in net.named_parameters()}
        results.append({"out": out.detach(), "gradient of the input": image.grad, **gradients, **dict(net.named_buffers())})
    expected, found = results
    assert set(expected) == set(found)
    assert all(value is not None and value.abs().max() > 0 for value in expected.values())
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@every_reference
def test_what_is_kept_for_backward(reference: Reference) -> None:
    """The bytes that autograd keeps of the module written by hand; of a layer that states a bound, no less."""
    module, kept = reference.module_factory().train(), dict[int, Any]()
    owned = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}

    def pack(tensor: Any) -> Any:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor.untyped_storage())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(torch.randn(3, *reference.input_shape))
    found, ours = sum(held.nbytes() for key, held in kept.items() if key not in owned), saved(archc.loads(reference.spec_text), 3)
    assert ours.total <= found if ours.unknown else ours.total == found


# whose authors keep a value under a name longer than a network needs it
HOLDING = {"bottlenecks", "pyramid", "repvgg"}


@every_reference
def test_the_peak_of_a_training_step(reference: Reference) -> None:
    """That of the module written by hand as PyTorch's profiler records it, wherever ours is said to be exact."""
    graph, options = archc.loads(reference.spec_text), Options(3)
    found = training(graph, options)
    run, real = trained(graph, options, module=reference.module_factory().train())
    if not found.bound.reasons and reference.name not in HOLDING:
        assert found.peak_bytes == run.base() + real.peak, f"{found.peak_at}, not {real.at}"
    elif found.bound.status != "about":
        assert found.peak_bytes <= run.base() + real.peak
