"""Names and words of strangers: whatever a spec is called and says, its source is Python that does what the graph says, and no more."""

from __future__ import annotations

import ast
import builtins
import keyword
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archc
from archc.text.diagnostics import SpecError, printable

torch = pytest.importorskip("torch")

from archc.codegen.lowering import lower
from archc.runtime.build.build import build
from tests.helpers.interpreter import interpret

from .seen import inputs_of

RELAXED = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

WORDS = sorted({
    *keyword.kwlist, *keyword.softkwlist, *dir(builtins),
    *("self", "nn", "F", "torch", "OrderedDict", "fnmatchcase", "module", "name", "parameter", "x", "y", "z", "_", "_x", "__x", "__"),
    *("Net", "Unit", "Two", "DropPath", "drop_path", "net", "unit", "two", "Module", "Sequential", "items", "keys", "append", "insert"),
    *("pop", "1x1", "0", "1", "Part", "Network", "N", "C", "H", "value__x", "self_", "None_", "forward_", "_Unit__x", "output", "N_"),
})  # fmt: skip

# Each with a name in another place. Every class has two forms or sizes, so that its constructor has parameters.
PLACES = {
    "network": """
name: "{name}"
input: [4, 8, 8]
layers: {{a: {{conv: 4}}, b: {{drop_path: 0.5}}, sum: {{from: [a, b], add: null}}}}
""",
    "block": """
input: [4, 8, 8]
blocks:
  "{name}":
    params: {{c: int}}
    layers: {{k: {{conv: $c}}, d: {{drop_path: 0.5}}, s: {{from: [k, d], add: null}}}}
layers: [{{"{name}": 4}}, {{"{name}": 5}}, {{drop_path: 0.1}}]
""",
    "layer": """
name: net
input: [4, 8, 8]
blocks:
  unit:
    params: {{c: int}}
    layers: {{"{name}": {{conv: $c}}, d: relu, s: {{from: ["{name}", d], add: null}}}}
layers:
  "{name}": {{conv: 4}}
  u: {{unit: 4}}
  s: {{from: ["{name}", u], add: null}}
  v: {{unit: 8}}
  r: {{split: 2}}
  w: {{from: r.1, conv: 4}}
  t: {{from: [w, "{name}"], add: null}}
""",
    "layer that some have": """
name: net
input: [4, 8, 8]
blocks:
  unit:
    params: {{c: int, more: bool}}
    layers: {{k: {{conv: $c}}, "{name}": {{when: $more, conv: $c}}, r: relu}}
  lone:
    params: {{c: int, more: bool}}
    layers: {{k: {{conv: $c}}, "{name}": {{when: $more, relu: }}, r: tanh}}
layers: [{{unit: {{c: 4, more: true}}}}, {{unit: {{c: 4, more: false}}}}, {{unit: {{c: 6, more: true}}}},
         {{lone: {{c: 4, more: true}}}}, {{lone: {{c: 4, more: false}}}}, {{lone: {{c: 6, more: true}}}}]
""",
    "chain": """
input: [4, 8, 8]
layers:
  a: {{layers: {{"{name}": {{conv: 4}}, r: relu}}}}
  b: {{layers: {{"{name}": {{layers: {{"{name}": {{conv: 4}}}}}}, r: relu, q: {{from: ["{name}", r], concat: null}}}}}}
""",
    "parameter": """
name: net
input: [4, 8, 8]
blocks:
  unit:
    params: {{"{name}": int}}
    layers: {{a: {{conv: "${{{name}}}"}}, r: {{repeat: 3, layers: [{{conv: "${{{name}}}"}}, {{drop_path: 0.5}}]}}}}
  two:
    params: {{"{name}": int}}
    layers: {{a: {{conv: "${{{name}}}"}}, d: {{unit: "${{{name}}}"}}, s: {{from: [a, d], add: null}}}}
layers: [{{two: 4}}, {{two: 5}}, {{unit: 6}}]
""",
    "input": """
input: {{"{name}": [4, 8, 8], other: [4, 8, 8]}}
layers:
  a: {{from: other, relu: null}}
  r: {{split: 2}}
  w: {{from: r.1, conv: 4}}
  s: {{from: [w, other, "{name}"], add: null}}
""",
    "input of a block": """
input: [4, 8, 8]
blocks:
  unit:
    inputs: ["{name}", other]
    params: {{c: int}}
    layers: {{k: {{from: "{name}", conv: $c}}, d: {{from: [k, other], concat: null}}}}
layers:
  a: {{conv: 4}}
  b: {{conv: 5}}
  u: {{from: [a, b], unit: 3}}
  v: {{from: [a, b], unit: 4}}
""",
    "output": """
input: [4, 8, 8]
layers: {{a: {{conv: 4}}, b: relu}}
outputs: {{"{name}": a, other: b}}
""",
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def does_what_the_graph_says(text: str) -> list[str]:
    """Against the graph's layers one by one; the names of the outputs."""
    graph = archc.loads(text)
    module, inputs = build(graph).eval(), inputs_of(graph)
    out, wanted = module(*inputs), interpret(graph, module.state_dict(), inputs)
    out = out if isinstance(out, dict) else dict.fromkeys(wanted, out)
    assert list(out) == list(wanted) == list(graph.outputs)
    assert all(torch.equal(out[name], wanted[name]) for name in wanted)
    assert only_classes(lower(graph).source.text)
    return list(out)


def only_classes(text: str) -> bool:
    """Whether a source is a docstring, imports of what it may import, and classes of functions."""
    head, *rest = ast.parse(text).body
    imports = [node for node in rest if isinstance(node, ast.Import | ast.ImportFrom)]
    classes = [node for node in rest if isinstance(node, ast.ClassDef)]
    inner = [node for one in classes for node in one.body]
    plain = isinstance(head, ast.Expr) and len(imports) + len(classes) == len(rest)
    return plain and all(isinstance(node, ast.FunctionDef) or _is_docstring(node) for node in inner)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@pytest.mark.parametrize("place", PLACES)
def test_names(place: str) -> None:
    """Refused as a mistake of the spec, or built and right."""
    built = []
    words = WORDS[sorted(PLACES).index(place) % 5 :: 5]  # each word in a fifth of the places
    for name in words:
        try:
            archc.loads(PLACES[place].format(name=name))
        except SpecError:
            continue
        built.append(name)
        does_what_the_graph_says(PLACES[place].format(name=name))
    assert len(built) > len(words) // 2


def test_names_of_inputs_can_be_used() -> None:
    """By name as by place."""
    module = build(archc.loads(PLACES["input"].format(name="image"))).eval()
    a, b = torch.randn(2, 1, 4, 8, 8)
    assert torch.equal(module(image=a, other=b), module(a, b))


def quoted(text: str) -> str:
    """A YAML string in which nothing but letters and digits is written as itself."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text) + '"'


NASTY = ['"""', "'''", "\\", "\n", "\r", "#", '"', "'", "\0", "\x1b[2J", "\u2028", "\ufeff", "😀", "é", "{0}", "${x}", "\\N{DASH}", "\t"]
NASTY += ["import os", "\\x22\\x22\\x22", "):\n    pass\n", ", ", "[", "(", "}", " = ", "del ", "return ", "a" * 200, " ", "%s", "\u202e"]
nasty = st.lists(st.sampled_from(NASTY) | st.characters(codec="utf-8"), max_size=12).map("".join)


@RELAXED
@given(st.lists(nasty, min_size=1, max_size=5, unique=True))
def test_outputs_have_the_names_that_were_written(names: list[str]) -> None:
    written = ", ".join(f"{quoted(name)}: {layer}" for name, layer in zip(names, "abcde", strict=False))
    text = f"input: [2, 4, 4]\nlayers: {{a: relu, b: tanh, c: sigmoid, d: silu, e: gelu}}\noutputs: {{{written}}}\n"
    assert does_what_the_graph_says(text) == names


WORDY = """
name: {name}
doc: {doc}
paper: {{title: {title}, authors: {doc}, venue: {title}, year: 2000, url: "https://example.org/{{x}}"}}
input: [2, 4, 4]
blocks: {{b: {{doc: {block}, layers: {{k: {{conv: 2}}, r: relu, s: {{from: [k, r], add: null}}}}}}}}
layers: [b, b]
"""


@RELAXED
@given(nasty, nasty, nasty, nasty)
def test_what_is_said_stays_in_docstrings(name: str, doc: str, title: str, block: str) -> None:
    """The code is that of a spec that says little; what was said is in the docstrings, with escapes and quotes made harmless."""
    said = {"name": "net" + name, "doc": "d" + doc, "title": "t" + title, "block": "b" + block}
    text = WORDY.format(**{key: quoted(word) for key, word in said.items()})
    try:
        graph = archc.loads(text)
    except SpecError:
        return
    tree = ast.parse(lower(graph).source.text)
    silent = ast.parse(lower(archc.loads(WORDY.format(name="net", doc="d", title="t", block="b"))).source.text)
    top = _squeezed(ast.get_docstring(tree, clean=False))
    assert all(_squeezed(text) in top for text in (graph.name, graph.doc, graph.paper.title))
    assert _squeezed(graph.root.children[0].doc) in _squeezed(ast.get_docstring(tree.body[2], clean=False))  # type: ignore[arg-type]
    assert _bare(tree) == _bare(silent)
    module = build(graph).eval()
    assert torch.equal(module(x := torch.randn(1, 2, 4, 4)), interpret(graph, module.state_dict(), [x])["output"])


def _squeezed(text: str | None) -> str:
    """Without what layout and docstrings change."""
    return "".join(printable(text or "").replace("\\x0a", "").replace("\\", "/").replace('"', "'").replace("/x0a", "").split())


def _bare(tree: ast.Module) -> str:
    """The code without docstrings, the last class under a name of its own."""
    last: Any = tree.body[-1]
    last.name = "Last"
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef) and _is_docstring(node.body[0]):
            del node.body[0]
    return ast.dump(tree)
