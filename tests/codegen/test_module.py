"""What people do with a module: pickle and copy it, read its tracebacks, let go of it."""

from __future__ import annotations

import ast
import copy
import gc
import inspect
import pickle
import subprocess
import sys
import traceback
import weakref
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.codegen.lowering import lower
from archc.graph import Graph

torch = pytest.importorskip("torch")

from torch import nn

from archc.runtime.build.build import build, make_module
from archc.runtime.build.module import class_of, source_of

from .seen import inputs_of, randomize

TEXTS = {
    "listed": "input: [3, 8, 8]\nlayers: [{concat: [[relu], [{conv: 4}]]}, {conv: 5}]\n",
    "shared": """
input: [4, 8, 8]
layers:
  a: {layers: {conv: {conv: {channels: 4, kernel: 3, padding: 1}}, act: relu}}
  b: batchnorm
  again: {share: a}
  token: {conv: 2}
""",
    "several": """
input: {image: [3, 8, 8], depth: [1, 8, 8]}
layers:
  left: {from: image, conv: 4}
  right: {from: depth, conv: 4}
  sum: {from: [left, right, left], add: null}
  aux: {train_only: true, layers: [relu, {conv: 2}]}
  out: {from: sum, conv: 3}
outputs: {features: sum, logits: out}
""",
    "skipped": """
input: [1, 30, 30]
layers:
  enc: {conv: {channels: 4, kernel: 3}}
  pool: {maxpool: 2}
  down: {conv: {channels: 8, kernel: 3}}
  up: {conv_transpose: {channels: 4, kernel: 2, stride: 2}}
  skip: {from: [enc, up], center_crop: }
  cat: {from: [skip, up], concat: }
  out: {conv: 2}
""",
    "dropping": "input: [4, 8, 8]\nlayers: {a: {conv: 4}, b: {drop_path: 0.5}, sum: {from: [a, b], add: null}, c: {dropout: 0.5}}\n",
}
SHIPPED: dict[str, dict[str, Any]] = {
    "resnet18": {"input": [3, 32, 32], "classes": 10, "depths": [1, 1, 1, 1]},
    "googlenet": {"input": [3, 32, 32], "classes": 10},
    "mobilenet_v2": {"input": [3, 32, 32], "classes": 10, "width": 0.25},
    "bit_resnet50x1": {"input": [3, 32, 32], "classes": 10, "depths": [1, 1, 1, 1]},
    "vit_b16": {"input": [3, 32, 32], "classes": 10, "dim": 64, "depth": 2, "heads": 2},
}
NAMES = [*SHIPPED, *TEXTS]
every_network = pytest.mark.parametrize("name", NAMES)

READER = """
import pickle, sys, torch
torch.set_num_threads(1)
folder = sys.argv[1]
for name in sys.argv[2:]:
    inputs, expected, mixed = torch.load(f"{folder}/{name}.expected")
    module = pickle.load(open(f"{folder}/{name}.pickle", "rb"))
    saved = torch.load(f"{folder}/{name}.pt", weights_only=False)
    under = torch.load(f"{folder}/{name}.autocast", weights_only=False)
    with torch.no_grad():
        for one, wanted in ((module, expected), (saved, expected), (under, mixed)):
            out = one(*inputs)
            out = list(out.values()) if isinstance(out, dict) else [out]
            assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(out, wanted, strict=True)), name
    assert type(module) is type(saved) is not type(under)
unwanted = [name for name in sys.modules if name.startswith(("archc.graph", "archc.elaborate", "archc.codegen.emit", "yaml"))]
assert not unwanted, unwanted
"""

ALONE = """
import sys
sys.modules["archc"] = None
import importlib.util, torch
torch.set_num_threads(1)
folder = sys.argv[1]
for name, kind in (one.split("=") for one in sys.argv[2:]):
    spec = importlib.util.spec_from_file_location(name, f"{folder}/{name}.py")
    read = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(read)
    inputs, expected, _ = torch.load(f"{folder}/{name}.expected")
    module = getattr(read, kind)()
    module.load_state_dict(torch.load(f"{folder}/{name}.weights"), strict=True)
    with torch.no_grad():
        out = module.eval()(*inputs)
    out = list(out.values()) if isinstance(out, dict) else [out]
    assert all(torch.equal(a, b) for a, b in zip(out, expected, strict=True)), name
assert not [name for name in sys.modules if name.startswith("archc.")]
"""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums in parallel are in no fixed order."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@cache
def graph_of(name: str) -> Graph:
    return archc.load(name, **SHIPPED[name]) if name in SHIPPED else archc.loads(TEXTS[name])


def module_of(name: str) -> nn.Module:
    """Random weights and statistics, in eval mode."""
    return randomize(build(graph_of(name))).eval()


def values(out: Any) -> list[torch.Tensor]:
    return list(out.values()) if isinstance(out, dict) else [out]


def equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and all(map(torch.equal, values(a), values(b)))


def step(module: nn.Module, inputs: list[torch.Tensor]) -> None:
    """Gradients of the sum of all that comes out, the same random numbers each time."""
    torch.manual_seed(7)
    sum(one.square().mean() for one in values(module(*inputs))).backward()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each network as a pickle, a file of torch.save, one under autocast, its source and weights, and what it gives."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("networks")
    for name in NAMES:
        module, inputs = module_of(name), inputs_of(graph_of(name))
        under = make_module(lower(graph_of(name)).source, autocast="bfloat16").eval()
        under.load_state_dict(module.state_dict())
        with torch.no_grad():
            torch.save((inputs, values(module(*inputs)), values(under(*inputs))), place / f"{name}.expected")
        (place / f"{name}.pickle").write_bytes(pickle.dumps(module))
        torch.save(module, place / f"{name}.pt")
        torch.save(under, place / f"{name}.autocast")
        torch.save(module.state_dict(), place / f"{name}.weights")
        (place / f"{name}.py").write_text(source_of(module), encoding="utf-8")
    return place


def test_a_fresh_process_reads_it(folder: Path) -> None:
    """It gives the same to the last bit, and the compiler is not even imported."""
    subprocess.run([sys.executable, "-c", READER, str(folder), *NAMES], check=True)


def test_the_source_needs_torch_alone(folder: Path) -> None:
    named = [f"{name}={type(build(graph_of(name), 'meta')).__name__}" for name in NAMES]
    subprocess.run([sys.executable, "-I", "-c", ALONE, str(folder), *named], check=True, cwd=folder)


def test_autocast_computes_in_its_dtype(folder: Path) -> None:
    _, full, mixed = torch.load(folder / "resnet18.expected")
    assert full[0].dtype == torch.float32 and mixed[0].dtype == torch.bfloat16
    assert 0 < (full[0] - mixed[0]).abs().max() < 0.1 * full[0].abs().max()


@every_network
def test_a_pickle_holds_the_source_once(folder: Path, name: str) -> None:
    """Beside weights and source there are some 1.5 KB for each submodule, most of them PyTorch's own dictionaries."""
    module, data = module_of(name), (folder / f"{name}.pickle").read_bytes()
    source, parts = source_of(module).encode(), len(list(module.modules()))
    assert data.count(source) == 1
    assert len(data) < sum(one.nbytes for one in module.state_dict().values()) + len(source) + 3000 * (parts + 1)


@every_network
def test_copies(name: str) -> None:
    """A deep copy has weights and hooks of its own; what is done to it stays with it."""
    module, inputs = module_of(name), inputs_of(graph_of(name))
    calls: list[object] = []
    module.register_forward_hook(lambda own, args, out: calls.append(own))
    twin = copy.deepcopy(module)
    assert type(twin) is type(module) and list(twin.state_dict()) == list(module.state_dict())
    assert {one.data_ptr() for one in twin.state_dict().values()}.isdisjoint(one.data_ptr() for one in module.state_dict().values())
    with torch.no_grad():
        before = module(*inputs)
        assert equal(twin(*inputs), before)
        assert calls == [module, twin]
        for one in twin.parameters():
            one.zero_()
        assert equal(module(*inputs), before)


def test_compiled_and_converted_modules_are_pickled() -> None:
    module = module_of("listed").double()
    module.compile(backend="eager")
    inputs = [one.double() for one in inputs_of(graph_of("listed"))]
    assert equal(pickle.loads(pickle.dumps(module))(*inputs), module(*inputs))
    assert equal(copy.deepcopy(module)(*inputs), module(*inputs))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol: int) -> None:
    module, inputs = module_of("shared"), inputs_of(graph_of("shared"))
    assert equal(pickle.loads(pickle.dumps(module, protocol))(*inputs), module(*inputs))


def test_a_mistake_shows_the_line() -> None:
    for name, inputs, line in (
        ("resnet18", [torch.randn(2, 4, 32, 32)], "x = self.conv1(x)  # [64, 16, 16]"),
        ("several", [torch.randn(2, 3, 8, 8), torch.randn(2, 2, 8, 8)], "right = self.right(depth)  # [4, 8, 8]"),
    ):
        with pytest.raises(RuntimeError) as caught:
            module_of(name)(*inputs)
        text = "".join(traceback.format_exception(caught.value))
        assert f", in forward\n    {line}\n" in text, text


@every_network
def test_sources_of_classes_are_found(name: str) -> None:
    whole = source_of(module := module_of(name))
    own = {type(one) for one in module.modules() if type(one).__module__.startswith("archc_")}
    assert own and all(one.__doc__ and inspect.getsource(one) in whole for one in own)
    assert all(ast.parse(inspect.getsource(one)).body[0].name == one.__name__ for one in own)  # type: ignore[attr-defined]
    assert inspect.getsource(type(module).forward).strip() in whole


def test_a_module_of_another_kind_has_no_source() -> None:
    with pytest.raises(ValueError, match="Linear was not built by archc"):
        source_of(nn.Linear(1, 1))


def test_broken_source_leaves_nothing() -> None:
    before = {name for name in sys.modules if name.startswith("archc_")}
    with pytest.raises(ZeroDivisionError):
        class_of("1 / 0", "Nothing")
    assert {name for name in sys.modules if name.startswith("archc_")} == before


def test_networks_of_one_name_live_side_by_side() -> None:
    text = "name: net\ninput: [3, 8, 8]\nlayers: [{{conv: {}}}]\n"
    a, b, again = (build(archc.loads(text.format(channels))) for channels in (4, 5, 4))
    assert type(a).__name__ == type(b).__name__ == "Net" and type(a) is not type(b) and type(a) is type(again)
    assert pickle.loads(pickle.dumps((a, b)))[1][0].out_channels == 5
    assert not isinstance(a, type(b))


def test_modules_are_freed() -> None:
    gone = [weakref.ref(make_module(lower(graph_of("dropping")).source, autocast=autocast)) for autocast in ("", "bfloat16")]
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_layers_under_autocast_may_have_any_name() -> None:
    names = ("autocast_dtype", "_under_bfloat16", "autocast")
    layers = ", ".join(f"{name}: {{conv: 3}}" for name in names)
    module = make_module(lower(archc.loads(f"input: [3, 8, 8]\nlayers: {{{layers}}}\n")).source, autocast="bfloat16")
    x = torch.randn(1, 3, 8, 8)
    assert [name for name, _ in module.named_children()] == list(names)
    assert module(x=x).dtype == torch.bfloat16 and equal(pickle.loads(pickle.dumps(module))(x), module(x))
