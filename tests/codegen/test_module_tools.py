"""torch.compile, torch.export, torch.jit.trace and torch.jit.script give what the module gives."""

from __future__ import annotations

import copy
import shutil
from typing import Any

import pytest

import archc

torch = pytest.importorskip("torch")

from torch import nn

from archc.codegen.lowering import lower
from archc.runtime.build.build import build, make_module
from tests.helpers.zoo import SPECS

from .seen import inputs_of, randomize
from .test_module import NAMES, TEXTS, equal, every_network, graph_of, module_of, step, values

# Deployed networks that PyTorch cannot script, each with its reason: there are none. Networks with heads cannot be scripted
# before `deployed`: their forward gives a tensor in eval mode, and a dict in training.
UNSCRIPTED: dict[str, str] = {}
# The compiler takes long over deep ones: what is special in them (heads, branches, shared weights) is in the small networks too.
DEEP = ("googlenet", "mobilenet_v2", "bit_resnet50x1")


def deep(name: str) -> Any:
    return [pytest.mark.heavy] if name in DEEP else []


@pytest.fixture(autouse=True)
def _alone() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", [pytest.param(name, marks=deep(name)) for name in NAMES])
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_compiled_without_a_break(name: str, train: bool) -> None:
    """Outputs, gradients and statistics, bit by bit: the backend runs the operators that the compiler saw."""
    plain, inputs = module_of(name).train(train), inputs_of(graph_of(name))
    twin = copy.deepcopy(plain)
    compiled = torch.compile(twin, backend="eager", fullgraph=True)
    torch.manual_seed(1)
    expected = plain(*inputs)
    torch.manual_seed(1)
    assert equal(compiled(*inputs), expected)
    step(plain, inputs)
    step(compiled, inputs)
    pairs = [(a.grad, b.grad) for a, b in zip(plain.parameters(), twin.parameters(), strict=True)]
    assert all(a is b if a is None else torch.equal(a, b) for a, b in pairs) and any(a is not None for a, _ in pairs)
    assert all(map(torch.equal, plain.state_dict().values(), twin.state_dict().values()))


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="the default backend needs a C++ compiler")
def test_compiled_to_code() -> None:
    """Within 1e-5 of the largest output: fused kernels sum in another order."""
    plain, inputs = module_of("several"), inputs_of(graph_of("several"))
    with torch.no_grad():
        pairs = zip(values(torch.compile(plain)(*inputs)), values(plain(*inputs)), strict=True)
    assert all((a - b).abs().max() <= 1e-5 * b.abs().max() for a, b in pairs)


def test_autocast_is_compiled_and_exported() -> None:
    under = make_module(lower(graph_of("several")).source, autocast="bfloat16").eval()
    inputs = tuple(inputs_of(graph_of("several")))
    with torch.no_grad():
        expected = under(*inputs)
        assert equal(torch.compile(under, backend="eager", fullgraph=True)(*inputs), expected)
        assert equal(torch.export.export(under, inputs).module()(*inputs), expected)
    assert all(one.dtype == torch.bfloat16 for one in values(expected))


@pytest.mark.parametrize(
    ("name", "strict"),
    [
        pytest.param(name, strict, marks=deep(name))
        for name in NAMES
        for strict in (False, True)
        if not strict or name in TEXTS or name == "resnet18"
    ],
)
def test_exported(name: str, strict: bool) -> None:
    module, inputs = module_of(name), tuple(inputs_of(graph_of(name)))
    program = torch.export.export(module, inputs, strict=strict)
    assert set(program.state_dict) == set(module.state_dict())
    assert equal(program.module()(*inputs), module(*inputs))  # with gradients, as traced: without, attention takes another kernel


@every_network
def test_traced(name: str) -> None:
    """For other inputs than it was traced with. A dict may be traced where one asks for it."""
    module, inputs = module_of(name), tuple(inputs_of(graph_of(name)))
    with torch.no_grad():
        traced = torch.jit.trace(module, inputs, strict=False)
        others = [torch.randn_like(one) for one in inputs]
        assert equal(traced(*others), module(*others))


@every_network
def test_scripted(name: str) -> None:
    """In eval and train mode."""
    module, inputs = randomize(build(graph_of(name).deployed())), inputs_of(graph_of(name))
    scripted = torch.jit.script(copy.deepcopy(module))
    for train in (False, True):
        torch.manual_seed(2)
        expected = module.train(train)(*inputs)
        torch.manual_seed(2)
        assert equal(scripted.train(train)(*inputs), expected)


def scripts(name: str) -> None:
    module = build(archc.load(name).deployed(), "meta").eval()
    if name in UNSCRIPTED:
        with pytest.raises((RuntimeError, torch.jit.frontend.NotSupportedError)):
            torch.jit.script(module)
    else:
        torch.jit.script(module)


@pytest.mark.parametrize("name", ["alexnet_grouped", "zfnet", "efficientnet_b0", "densenet_40_12", "autoencoder"])
def test_scripts(name: str) -> None:
    """Local response normalization, stochastic depth, sums and concatenations, transposed convolutions."""
    scripts(name)


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SPECS)
def test_every_spec_scripts(name: str) -> None:
    scripts(name)


def test_heads_are_scripted_once_they_are_gone() -> None:
    module: Any = build(graph_of("googlenet"), "meta")
    assert isinstance(module, nn.Module)
    with pytest.raises(RuntimeError):
        torch.jit.script(module)
