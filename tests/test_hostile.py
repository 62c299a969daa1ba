"""Specs of strangers: whatever they hold, archc answers with diagnostics, soon, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from math import comb
from pathlib import Path

import pytest

from archc.analysis import structure
from archc.analysis.memory import fit
from archc.analysis.memory.timeline import Options, result, training
from archc.codegen.emit.body import Body
from archc.codegen.lowering import lower
from archc.elaborate.compiler import compile_spec, compile_text
from archc.graph.write_spec import resolve_text
from archc.text.diagnostics import draw_all
from tests.helpers.paths import ROOT

HEAD = "archc: 1\ninput: [3, 32, 32]\n"
BOMB = "\n".join(
    ["params:", "  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"] + [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
)

LONG = "params:\n  n: '${range(100000)}'\n  m: '${range(100000)}'\n"


def _doubled(form: str, first: str, parts: int = 2, times: int = 40) -> str:
    """Parameters, each made of the one before it."""
    return "params:\n" + f"  a0: {first}\n" + "".join(f"  a{i}: {form % ((i - 1,) * parts)}\n" for i in range(1, times))


# what it is called -> its text, the code that it must give
HOSTILE = {
    "brackets": ("[" * 50_000, "A103"),
    "braces": ("{a: " * 50_000, "A103"),
    "dashes": ("- " * 200_000, "A103"),
    "alias bomb": (HEAD + BOMB + "\nlayers: [relu]\n", "A104"),
    "long text": ("a: " + "x" * 5_000_000, "A108"),
    "huge repeat": (HEAD + "layers: [{repeat: 1000000000, relu: }]\n", "A601"),
    "huge repeat of nothing": (HEAD + "layers: [{repeat: 1000000000, when: false, relu: }]\n", "A603"),
    "nested repeats": (HEAD + "layers: [" + "{repeat: 1000, inline: [" * 6 + "relu" + "]}" * 6 + "]\n", "A601"),
    "empty nested repeats": (HEAD + "layers: [" + "{repeat: 1000, inline: [" * 6 + "identity" + "]}" * 6 + "]\n", "A603"),
    "doubling blocks": (
        HEAD
        + "blocks:\n"
        + "".join(f"  b{i}: {{layers: [b{i + 1}, b{i + 1}]}}\n" for i in range(40))
        + "  b40: {layers: [relu]}\nlayers: [b0]\n",
        "A601",
    ),
    "power": (HEAD + "layers: [{conv: '${9**9**9}'}]\n", "A405"),
    "power of powers": (HEAD + "layers: [{conv: '${((2**50)**50)**50}'}]\n", "A405"),
    "long range": (HEAD + "layers: [{for: {i: '${range(10**12)}'}, relu: }]\n", "A405"),
    "long list": (HEAD + "layers: [{for: {i: '${[1] * 10**9}'}, relu: }]\n", "A405"),
    "long expression": (HEAD + "layers: [{conv: '${" + "+".join(["1"] * 5000) + "}'}]\n", "A401"),
    "deep expression": (HEAD + "layers: [{conv: '${" + "(" * 190 + "1" + ")" * 190 + "}'}]\n", ""),
    "many minuses": (HEAD + "layers: [{conv: '${" + "-" * 390 + "1}'}]\n", ""),
    "long integer": (HEAD + "layers: [{conv: " + "9" * 100_000 + "}]\n", "A107"),
    "huge channels": (HEAD + "layers: [{conv: 99999999999}]\n", "A402"),
    "huge shape": ("archc: 1\ninput: [2000000000, 2000000000, 2000000000]\nlayers: [relu]\n", "A501"),
    "huge pad": (HEAD + "layers: [{pad: [2000000000, 2000000000, 2000000000, 2000000000]}, flatten, {linear: 2000000000}]\n", "A501"),
    "many bins": ("archc: 1\ninput: [3, 1000000000]\nlayers: [{adaptive_avgpool: 999999937}]\n", ""),
    "many positions": ("archc: 1\ninput: [3, 1000000007]\nlayers: [{upsample: {size: 999999937}}, {adaptive_maxpool: 99999989}]\n", ""),
    "NUL": ("archc: 1\nname: a\0b\n", "A108"),
    "exec": (HEAD + 'layers: [{conv: "${().__class__.__bases__[0]}"}]\n', "A401"),
    "lambda": (HEAD + "layers: [{conv: '${(lambda: 1)()}'}]\n", "A401"),
    "walrus": (HEAD + "layers: [{conv: '${(x := 3)}'}]\n", "A401"),
    "doubled lists": (HEAD + _doubled("'${[a%d, a%d]}'", "[1]") + "  b: '${a39 == a38}'\nlayers: [relu]\n", "A405"),
    "doubled lists of YAML": (HEAD + _doubled("[$a%d, $a%d]", "[1]") + "layers: [{conv: $a39}]\n", "A405"),
    "doubled mappings": (HEAD + _doubled("{x: $a%d, y: $a%d}", "{z: 1}") + "layers: [relu]\n", "A405"),
    "doubled texts": (HEAD + _doubled("'$a%d$a%d'", "text") + "layers: [relu]\n", "A405"),
    "added texts": (HEAD + _doubled("'${a%d + a%d}'", "text") + "layers: [relu]\n", "A405"),
    "a list of long texts": (HEAD + "params: {t: " + "t" * 5000 + ", l: '${[t] * 100000}'}\nlayers: [relu]\n", "A405"),
    "lists in lists": (HEAD + _doubled("'${[a%d]}'", "[1]", 1, 100) + "layers: [relu]\n", "A405"),
    "compared lists": (
        HEAD + LONG + "".join(f"  a{i}: '${{[n == m for x in range(99)]}}'\n" for i in range(99)) + "layers: [relu]\n",
        "A603",
    ),
    "searched lists": (HEAD + LONG + "  a: '${[x in n for x in m]}'\nlayers: [relu]\n", "A603"),
    "lists made from lists": (
        HEAD + LONG + "".join(f"  a{i}: '${{[x * 2 for x in n]}}'\n" for i in range(99)) + "layers: [relu]\n",
        "A603",
    ),
    "sums": (HEAD + LONG + "".join(f"  a{i}: '${{{' + '.join(['sum(n)'] * 40)}}}'\n" for i in range(99)) + "layers: [relu]\n", "A603"),
    "digits to round to": (HEAD + "layers: [{conv: '${round(7, -1000000000)}'}]\n", "A405"),
    "a failing block, repeated": (HEAD + "layers: [{repeat: 1000000000, basic_block: {channels: 8, stride: 0}}]\n", "A402"),
    "failing repeats in repeats": (HEAD + "layers: [" + "{repeat: 1000, inline: [" * 6 + "{conv: 0}" + "]}" * 6 + "]\n", "A603"),
    "an expression, repeated": (HEAD + "layers: [{repeat: 1000000, when: '${" + "+".join(["index"] * 60) + " < 0}', relu: }]\n", "A603"),
    "a long list, repeated": (HEAD + LONG + "layers: [{repeat: 20000, for: '${[]}', conv: $n}, {repeat: 9999, conv: $n}]\n", "A402"),
    "params handed on": (
        HEAD + "params: {" + ", ".join(f"p{i}: 1" for i in range(500)) + "}\nlayers: [{repeat: 999999, identity: }]\n",
        "A603",
    ),
    "wrong keys": (HEAD + "".join(f"k{i}: 1\n" for i in range(3000)) + "layers: [relu]\n", "A603"),
    "wrong kinds": (HEAD + f"layers: [{', '.join(f'conv{i}d' for i in range(3000))}]\n", "A603"),
    "wrong names": (
        HEAD + f"params: {{{', '.join(f'abcdefghijklmnop{i}: 1' for i in range(900))}}}\n"
        f"layers: [{', '.join(f'{{conv: $ponmlkjihgfedcba{i}}}' for i in range(900))}]\n",
        "A603",
    ),
    "patterns of init": (
        HEAD + "init: {" + ", ".join(f"'*a*a*a*{i}*': zeros" for i in range(300)) + "}\nlayers: [{repeat: 9999, conv: 3}]\n",
        "A603",
    ),
    "a family of copies, read by many": (
        HEAD + "layers: {a: {repeat: 3000, parallel: true, from: input, relu: }, b: {repeat: 300, parallel: true, from: 'a.*', add: }}\n",
        "A603",
    ),
    "more weights than layers": ("input: [100, 8]\nlayers: [{repeat: 3000, lstm: {hidden: 8, layers: 8, bidirectional: true}}]\n", "A603"),
    "python tag": (HEAD + "layers: [!!python/object/apply:os.system [id]]\n", "A105"),
}


ALONE = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from archc.elaborate.compiler import compile_text
from archc.text.diagnostics import draw_all
answers = {}
for name, text in json.load(sys.stdin).items():
    start = time.process_time()
    model = compile_text(text)
    seconds = time.process_time() - start
    answers[name] = seconds, [one.code for one in model.diagnostics], draw_all(model.diagnostics), model.graph is not None
json.dump(answers, sys.stdout)
"""


@pytest.mark.timeout(0)
def test_hostile_specs_are_answered() -> None:
    """In a process that may use 1 GiB, and processor time, not a clock's, which others' work would use up: only a hang takes so long."""
    sent = json.dumps({name: text for name, (text, _) in HOSTILE.items()})
    ran = subprocess.run([sys.executable, "-c", ALONE], input=sent, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    answers = json.loads(ran.stdout)
    assert list(answers) == list(HOSTILE)
    for name, (seconds, codes, drawn, made) in answers.items():
        code = HOSTILE[name][1]
        assert seconds < 20, name
        assert (code in codes) if code else (made or codes), name
        assert len(drawn) < 100_000 and "object at 0x" not in drawn, name


def test_a_layer_in_an_expression_is_shown_as_it_was_written() -> None:
    """Never as Python would write the object; in a text it is refused."""
    for use, shown in (
        ("'${(d - 2) // 6}'", "{conv: 8} is not a number"),
        ("x$d", "{conv: 8} is not a text"),
        ("'${[d] + 1}'", "[{conv: 8}]"),
    ):
        (found,) = compile_text(HEAD + f"params: {{d: {{conv: 8}}, b: {use}}}\nlayers: [relu]\n").diagnostics
        assert shown in found.message
    (found,) = compile_text(HEAD + "params:\n  d:\n    conv:\n      channels: 8\n  b: ${d // 6}\nlayers: [relu]\n").diagnostics
    assert found.message == "{conv: {channels: 8}} is not a number"


def test_many_mistakes_are_counted_and_the_first_are_drawn() -> None:
    found = compile_text(HEAD + "".join(f"k{i}: 1\n" for i in range(3000)) + "layers: [relu]\n").diagnostics
    drawn = draw_all(found)
    assert [drawn.count(f'unknown key "k{i}"') for i in (0, 49, 50)] == [1, 1, 0]
    assert drawn.endswith("… and 451 more in <text>")


def test_copies_that_are_left_out_are_not_missed() -> None:
    """After many failing copies in a row; a name of one that was not looked at is no mistake."""
    model = compile_text(HEAD + "layers: {'a${index}': {repeat: 1000, conv: 0}, b: {from: a900, relu: }}\n")
    assert [one.code for one in model.diagnostics] == ["A402"]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"archc: 1\nname: \xff\xfe\n")
    assert [one.code for one in compile_spec(str(path)).diagnostics] == ["A701"]


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_bom_and_line_ends_do_not_matter(tmp_path: Path, change: object) -> None:
    text = HEAD + "layers:\n  - {conv: 8}\n  - cnov\n"
    path = tmp_path / "spec.yaml"
    path.write_bytes(change(text).encode())  # type: ignore[operator]
    (found,) = compile_spec(str(path)).diagnostics
    assert (found.code, found.span.line, found.span.column) == ("A301", 5, 5)


def test_a_folder_and_a_missing_file() -> None:
    assert [one.code for one in compile_spec(".").diagnostics] == ["A701"]
    assert [one.code for one in compile_spec("no/such/file.yaml").diagnostics] == ["A701"]
    assert [one.code for one in compile_spec("a\0b").diagnostics] == ["A701"]


@pytest.mark.parametrize("named", ["../outside.yaml", "/etc/hosts.yaml", "link.yaml", "a/../../outside.yaml"])
def test_no_path_leaves_the_folder(tmp_path: Path, named: str) -> None:
    (tmp_path / "outside.yaml").write_text(HEAD + "layers: [relu]\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    spec = inside / "spec.yaml"
    for text in (f"extends: {named}\n", HEAD + f"use: [{named}]\nlayers: [relu]\n"):
        spec.write_text(text)
        assert [one.code for one in compile_spec(str(spec)).diagnostics] == ["A702"]


def test_circles(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: c.yaml\n")
    (tmp_path / "c.yaml").write_text("extends: b.yaml\n")
    (found,) = compile_spec(str(tmp_path / "a.yaml")).diagnostics
    assert found.code == "A703"


def test_a_text_can_name_no_files() -> None:
    assert [one.code for one in compile_text("extends: spec.yaml\n").diagnostics] == ["A702"]


@pytest.mark.parametrize(
    "layers", ["[{repeat: 0, relu: }]", "[identity]", "[{layers: [{when: false, relu: }]}]", "[{train_only: true, relu: }]"]
)
@pytest.mark.parametrize("shape", ["[3, 8, 8]", "{a: [3, 8, 8], b: [4]}"])
def test_a_network_without_layers_is_resolved_and_reads_back(layers: str, shape: str) -> None:
    model = compile_text(f"archc: 1\ninput: {shape}\nlayers: {layers}\n")
    if model.graph is None or model.spec is None:
        assert model.diagnostics.failed
        return
    text = resolve_text(model.graph, model.spec, {})
    again = compile_text(text)
    assert again.graph is not None and again.spec is not None
    assert {name: (value.node, value.name) for name, value in again.graph.outputs.items() if value.node is None} == {
        name: (value.node, value.name) for name, value in model.graph.outputs.items() if value.node is None
    }
    assert [node.name for node in again.graph.nodes] == [node.name for node in model.graph.nodes]


@pytest.mark.parametrize(
    "layers",
    [
        "[{add: [{add: [relu, identity]}, identity]}]",
        "[{add: [{concat: [relu, {mul: [relu, sigmoid]}]}, {conv: 6}]}]",
        "[{add: [{mul: {p: {dropout: 0.5}, q: identity}}, identity]}]",
        "[{add: [identity, {mul: {p: [relu, relu], q: sigmoid}}, {add: {r: softmax, s: identity}}]}]",
        "[relu, {concat: [[softmax, {from: input, identity: }], relu]}, {conv: 2}]",
        "{a: relu, b: {concat: [{layers: {c: softmax, end0: {from: a, identity: }, d: {from: [input], identity: }}}, sigmoid]}}",
    ],
)
def test_branches_within_branches_are_resolved_and_read_back(layers: str) -> None:
    model = compile_text(f"archc: 1\ninput: [3, 8, 8]\nlayers: {layers}\n")
    assert model.graph is not None and model.spec is not None, draw_all(model.diagnostics)
    again = compile_text(resolve_text(model.graph, model.spec, {}))
    assert again.graph is not None, draw_all(again.diagnostics)
    mine, theirs = (
        [(node.name, node.kind, node.facts.outputs, [str(value.node and value.node.name) for value in node.inputs]) for node in graph.nodes]
        for graph in (model.graph, again.graph)
    )
    assert mine == theirs


@pytest.mark.parametrize("empty", ["params:", "blocks:"])
def test_a_key_with_nothing_behind_it_hides_no_mistake(empty: str) -> None:
    model = compile_text(HEAD + f"{empty}\nlayers: [{{conv: $a}}, unknown]\n")
    assert {"A301", "A303"} == {one.code for one in model.diagnostics}


def _counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[None]:
    """One entry for each call of a function from now on."""
    found: list[None] = []
    real = getattr(owner, name)

    def counting(*given: object, **named: object) -> object:
        found.append(None)
        return real(*given, **named)

    monkeypatch.setattr(owner, name, counting)
    return found


@pytest.mark.parametrize(
    "layers",
    [
        "[{repeat: 400, add: [identity, relu]}]",
        "{'b${i}': {for: {i: '${range(1000)}'}, parallel: true, conv: 1}, j: {from: 'b*', concat: }}",
        "[{concat: [identity, {for: {i: '${range(1000)}'}, layers: [{conv: 1}, relu]}]}]",
    ],
)
def test_names_of_values_are_looked_up_a_few_times_a_layer(layers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many other values wait for their last use: a name is given without a look at all of these."""
    graph = compile_text(HEAD + f"layers: {layers}\n").graph
    assert graph is not None
    looks = _counted(monkeypatch, Body, "_is_taken")
    lower(graph)
    assert 0 < len(looks) <= 10 * len(graph.nodes)


def test_the_batch_of_a_long_network_is_found_by_one_simulation_and_few_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compile_text("input: [1, 8, 8]\nlayers: [{repeat: 60, conv: 1}]\n").graph
    assert graph is not None
    monkeypatch.setattr(fit, "LONG", 50)
    steps, replays = _counted(monkeypatch, fit, "training"), _counted(monkeypatch, result, "replay")
    (asked,) = fit.Fitting(graph).alternatives(Options(device="cuda"), 2**26, None)
    assert asked.largest and len(steps) == 1 and 0 < len(replays) <= 8
    assert training(graph, replace(Options(device="cuda"), batch=asked.largest)).fits(2**26)


def test_lengths_of_paths_are_counted_between_what_all_paths_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part counts its own paths, and 600 parts that are alike are one power."""
    graph = compile_text(HEAD + "layers: [{conv: 3}, {repeat: 600, add: [identity, {conv: 3}]}, {conv: 3}]\n").graph
    assert graph is not None
    multiplied: list[int] = []
    real = structure._product
    monkeypatch.setattr(structure, "_product", lambda numbers: multiplied.extend(numbers) or real(numbers))
    found = structure.structure(graph)
    assert found.lengths == {2 + k: comb(600, k) for k in range(601)}
    assert len(multiplied) <= 2
