"""Operators of others: from a file, from an installed package; what they do not state is unknown, never zero."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import archc
from archc.cli.main import main
from archc.elaborate.compiler import compile_text
from archc.ops import OPERATORS
from archc.ops.plugins import PluginError, load_file
from archc.reference.schema import schema

HEAD = "from archc.ops import Between, Facts, Fault, Shape, Weight, Work, op\n"
SECRET = (
    HEAD
    + '''
@op
def secret(x: Shape, *, size: int = 3) -> Facts:
    """[*] -> [*]. States its shape and nothing else.

    size: of something
    """
    if size < 0:
        raise Fault("size", f"size {size} is negative", "at least 0")
    return Facts(x)


@op
def bounded(x: Shape) -> Facts:
    """[*] -> [*]. States bounds."""
    return Facts(x, weights=(), macs=Between(10, 20), work=Between(5, None))
'''
)


SILENT = (
    HEAD.replace("Facts,", "Expression, Facts,")
    + '''
@op
def silent(x: Shape) -> Facts:
    """[*] -> [*]. States its form and not what backward keeps."""
    return Facts(x, weights=(), macs=0, work=Work(special=x.values), torch=Expression("torch.tanh({0})"))
'''
)


@pytest.fixture
def forget():  # type: ignore[no-untyped-def]
    """Operators that a test registers are gone after it."""
    before, loaded = set(OPERATORS), set(sys.modules)
    yield
    for name in set(OPERATORS) - before:
        OPERATORS.remove(name)
    for name in set(sys.modules) - loaded:
        if name.startswith(("archc_plugin", "offered")):
            del sys.modules[name]


def plugin(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return str(path)


def test_memory_of_what_is_not_stated(tmp_path: Path, forget: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A lower bound in every form of output, and nothing is promised."""
    (tmp_path / "net.yaml").write_text("input: [4, 8, 8]\nlayers: [{conv: 8}, silent, {conv: 4}]\n")
    options = [str(tmp_path / "net.yaml"), "--plugin", plugin(tmp_path, SILENT)]

    def printed(*words: str, code: int = 0) -> str:
        assert main([words[0], *options, *words[1:]]) == code
        found = capsys.readouterr()
        return found.out + found.err

    why = "silent does not state what backward keeps (`keeps`)"
    text = printed("memory", "--memory", "1GiB", "--device", "cpu")
    assert f"at least   {why}" in text and "may fit" in text and re.search(r"^peak +≥[\d.]+ KiB +≥[\d,]+$", text, re.MULTILINE)
    assert re.search(r"^1 +silent .*[≥?]", text, re.MULTILINE)
    found = json.loads(printed("memory", "--format", "json"))
    assert (found["bound"], found["reasons"][0]) == ("at least", why) and found["peak_text"] == f"≥{found['peak']:,}"
    assert all(line.split(",")[3].startswith("≥") for line in printed("memory", "--format", "csv").splitlines()[1:])
    text = printed("fit", "--batch", "4", "--memory", "1GiB")
    assert "a batch of 4 needs ≥" in text and ": may fit 1.00 GiB" in text and "largest batch for 1.00 GiB is ≤" in text and why in text
    assert not re.search(r"(?<![≥≤\d,.])\b\d[\d,.]* (?:MiB|KiB)", text.partition("alternatives")[2].partition("fragments")[0])
    assert json.loads(printed("fit", "--batch", "4", "--format", "json"))["alternatives"][0]["bound"] == "at least"
    assert "no checkpointing plan: silent" in printed("fit", "--batch", "4", "--memory", "1GiB", "-o", str(tmp_path / "p.yaml"), code=2)
    assert "L121" in printed("lint")
    timeline = archc.memory(str(tmp_path / "net.yaml"), batch=4)
    assert repr(timeline).startswith("<Timeline net: a training step with sgd, batch 4, peak ≥") and why in repr(timeline)


def test_what_is_not_stated_is_unknown(tmp_path: Path, forget: None, capsys: pytest.CaptureFixture[str]) -> None:
    load_file(plugin(tmp_path, SECRET))
    path = tmp_path / "net.yaml"
    path.write_text("input: [3, 8, 8]\nexpect: {macs: 768}\nlayers: [{conv: 4}, {secret: 2}]\n")
    assert main(["analyze", str(path)]) == 0
    table = capsys.readouterr().out
    assert "1 secret 4x8x8 ? ? ? ? ? 1.00 KiB ≤all" in " ".join(table.split()) and "≥768" in table and "incomplete" in table
    assert main(["analyze", str(path), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    assert found["completeness"]["macs"] == "bounded" and found["bounds"]["macs"] == [768, None]
    assert found["layers"][1]["macs"] is None and found["layers"][1]["parameters"] is None
    assert main(["check", str(path)]) == 1 and "a layer states no figure" in capsys.readouterr().err


def test_bounds(tmp_path: Path, forget: None) -> None:
    from archc.analysis.cost.report import analyze

    load_file(plugin(tmp_path, SECRET))
    graph = compile_text("input: [3, 8, 8]\nlayers: [{conv: 4}, bounded, bounded]\n").graph
    assert graph is not None
    counts = analyze(graph).counts
    assert tuple(counts["macs"]) == (788, 808) and counts["flops"].high is None and counts["parameters"].exact


def test_mistakes_schema_and_docs_come_for_free(tmp_path: Path, forget: None, capsys: pytest.CaptureFixture[str]) -> None:
    load_file(plugin(tmp_path, SECRET))
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [{secret: -1}]\n").diagnostics
    assert (found.code, found.span.column, found.hint) == ("A501", 19, "at least 0")
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [{secret: {siz: 1}}]\n").diagnostics
    assert found.hint == 'did you mean "size"?'
    assert "secret" in json.dumps(schema())
    assert main(["docs", "secret"]) == 0 and "of something" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('no GPU')", "RuntimeError: no GPU"),
        ("return None", "returned no Facts"),
        ("return Facts(y)", "failed: NameError"),
        ("return 1 // 0", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_fails_is_named(tmp_path: Path, forget: None, body: str, said: str) -> None:
    load_file(plugin(tmp_path, HEAD + f'@op\ndef faulty(x: Shape) -> Facts:\n    """[*] -> [*]. Fails."""\n    {body}\n'))
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [faulty]\n").diagnostics
    assert found.code == "A705" and said in found.message
    assert found.span.source.name.endswith("mine.py") and found.uses[-1].label == "faulty"


# what a plugin states -> the field at whose line it is told, and the words
IMPOSSIBLE = [
    ("Facts(x[0])", "x[0]", "the output's shape is the int 3, not a Shape"),
    ("Facts([3, 8, 8])", "[3, 8, 8]", "the output's shape is the list [3, 8, 8], not a Shape"),
    ("Facts((3, 8, 8))", "(3, 8, 8)", "the output's shape is the tuple (3, 8, 8), not a Shape"),
    ("Facts(())", "()", "no output"),
    ("Facts(Shape((3, 0)))", "Shape((3, 0))", "an output of shape [3, 0]"),
    ("Facts(Shape((3.0, 2)))", "Shape((3.0, 2))", "an output of shape [3.0, 2]"),
    ("Facts(x, reads=2)", "2", "reads is 2 of 1 input"),
    ("Facts(x, reads=True)", "True", "reads is True"),
    ("Facts(x, macs=-1)", "-1", "macs is -1"),
    ("Facts(x, macs=1.5)", "1.5", "macs is 1.5"),
    ("Facts(x, work=3)", "3", "work is 3"),
    ("Facts(x, work=Work(multiply=0.5))", "Work(multiply=0.5)", "work is Work"),
    ("Facts(x, storage='old')", "'old'", "storage is 'old'"),
    ("Facts(Shape((1,)), storage=INPLACE)", "INPLACE", "written over an input of [3, 8, 8]"),
    ("Facts(x, weights=[Weight('w', (3,))])", "[Weight('w', (3,))]", "not a tuple of Weight"),
    ("Facts(x, weights=(Weight('w', (3,)), Weight('w', (3,))))", "(Weight('w', (3,)), Weight('w', (3,)))", "two weights called 'w'"),
    ("Facts(x, weights=(Weight('a b', (3,)),))", "(Weight('a b', (3,)),)", "a weight called 'a b'"),
    ("Facts(x, weights=(Weight('w', (3,), 'scale'),))", "(Weight('w', (3,), 'scale'),)", "the role 'scale'"),
    ("Facts(x, keeps=OUTPUT)", "OUTPUT", "keeps is a single Kept"),
    ("Facts(x, keeps=('output',))", "('output',)", "keeps is"),
    ("Facts(x, keeps=(Kept('input', 1),))", "(Kept('input', 1),)", "keeps names input 1"),
    ("Facts(x, takes='int32')", "'int32'", "takes is 'int32'"),
    ("Facts(x, dtypes=('int128',))", "('int128',)", "no dtype is called 'int128'"),
    ("Facts(x, dtypes=('int64', 'int64'))", "('int64', 'int64')", "2 dtypes for 1 output"),
    ("Facts(x, torch='torch.relu')", "'torch.relu'", "torch is 'torch.relu'"),
    ("Facts(x, torch=Expression('torch.relu({1})'))", "Expression('torch.relu({1})')", "has {1}"),
    ("Facts(x, torch=Expression('{self} * {0}'))", "Expression('{self} * {0}')", "has {self}"),
    ("Facts(x, torch=Expression('torch.relu({0}'))", "Expression('torch.relu({0}')", "is no expression"),
    ("Facts(x, torch=Expression('{0} {'))", "Expression('{0} {')", "cannot be filled in"),
    ("Facts(x, torch=Expression('{0.a.b}'))", "Expression('{0.a.b}')", "has {0.a.b}"),
    ("Facts(x, torch=Module('nn.Conv2d(3'))", "Module('nn.Conv2d(3')", "a module called 'nn.Conv2d(3'"),
    ("Facts(x, torch=Module('nn.ReLU', (object,)))", "Module('nn.ReLU', (object,))", "cannot be written"),
]


@pytest.mark.parametrize(("stated", "marked", "said"), IMPOSSIBLE)
def test_what_no_layer_can_have_is_told_at_its_line(tmp_path: Path, forget: None, stated: str, marked: str, said: str) -> None:
    names = "from archc.ops import INPLACE, OUTPUT, Expression, Kept, Module\n"
    load_file(plugin(tmp_path, names + HEAD + f'@op\ndef odd(x: Shape) -> Facts:\n    """[*] -> [*]. é"""\n    return {stated}\n'))
    model = compile_text("input: [3, 8, 8]\nlayers: [odd]\n")
    (found,) = model.diagnostics
    assert model.graph is None and found.code == "A705" and said in found.message and found.hint
    assert (found.span.line, found.span.text) == (6, marked)
    assert [str(use.span) for use in found.uses] == ["<text>:2:10"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("def f(:", "SyntaxError"),
        (HEAD + "@op\ndef conv(x: Shape) -> Facts: ...\n", "an operator called conv exists"),
        (HEAD + "@op\ndef odd(x: Shape, *, a: complex = 1) -> Facts: ...\n", "the argument a needs an annotation"),
        (HEAD + "\n1 / 0\n", "ZeroDivisionError: division by zero (line 3)"),
    ],
)
def test_a_file_that_is_no_plugin(tmp_path: Path, forget: None, text: str, said: str) -> None:
    before = set(OPERATORS)
    with pytest.raises(PluginError) as caught:
        load_file(plugin(tmp_path, text))
    assert said in str(caught.value) and set(OPERATORS) == before
    assert caught.value.found is not None and caught.value.found.span.source.name.endswith("mine.py")


def test_an_installed_package_offers_operators(tmp_path: Path, forget: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offered.py").write_text(SECRET)
    info = tmp_path / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archc.ops]\nsecret = offered:secret\nlost = offered:lost\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert compile_text("input: [3, 8, 8]\nlayers: [secret]\n").graph is not None
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [lost]\n").diagnostics
    assert found.code == "A705"


def test_a_spec_cannot_load_a_plugin(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    for line in ("plugin: evil.py", "plugins: [evil.py]", "use: [evil.py]"):
        compile_text(f"input: [3, 8, 8]\n{line}\nlayers: [evil]\n")
    assert not marker.exists()


# Verification: what is stated, beside the module

LAYER = """
from archc.ops import NEW, VIEW, Module, Expression

@op
def layer(x: Shape) -> Facts:
    \"\"\"[C, H, W] -> [4, H, W]. A convolution of 1x1.\"\"\"
    return Facts(
        Shape({out}),
        weights=({weights},),
        macs={macs},
        dtypes={dtypes},
        storage={storage},
        torch={form},
    )
"""
TRUE = {
    "out": "(4, 8, 8)",
    "weights": "Weight('weight', (4, 3, 1, 1)), Weight('bias', (4,), 'bias')",
    "macs": "768",
    "dtypes": "()",
    "storage": "NEW",
    "form": "Module('nn.Conv2d', (3, 4), {'kernel_size': 1})",
}
TANH = {"out": "(3, 8, 8)", "weights": "", "macs": "0", "form": "Expression('torch.tanh({0})')"}
LIES = [
    ({"out": "(4, 7, 8)"}, "Shape((4, 7, 8))", "states the shape [4, 7, 8]; its module gives [4, 8, 8] for each image"),
    ({"out": "(2, 4, 8, 8)"}, "Shape((2, 4, 8, 8))", "gives [4, 8, 8] for each image"),
    ({"macs": "769"}, "769", "states 769 MACs; its module has 768 by PyTorch's counter"),
    ({"macs": "Between(0, 767)"}, "Between(0, 767)", "states 0 to 767 MACs"),
    ({"weights": "Weight('weight', (4, 3, 1, 1))"}, None, "states no weight bias; its module has one of [4]"),
    ({"weights": "Weight('weight', (4, 3)), Weight('bias', (4,), 'bias')"}, None, "weight of [4, 3]; its module has [4, 3, 1, 1]"),
    ({"weights": "Weight('w', (4, 3, 1, 1)), Weight('bias', (4,), 'bias')"}, None, "has none of that name: weight, bias"),
    ({"weights": "Weight('weight', (4, 3, 1, 1)), Weight('bias', (4,), 'buffer')"}, None, "has it as the other kind"),
    ({"dtypes": "('int64',)"}, "('int64',)", "states the dtype int64; its module gives float32"),
    ({"storage": "VIEW"}, "VIEW", "states an output that is a view; its module makes a new one"),
    ({**TANH, "form": "Expression('{0}.argmax(1)')", "out": "(8, 8)"}, "Shape((8, 8))", "gives int64"),
    ({**TANH, "form": "Expression('{0}.flatten(1)')", "out": "(192,)"}, "NEW", "gives its input, or a view of it"),
    ({**TANH, "form": "Expression('{0}.sum()')"}, None, "gives [] for a batch of 2"),
    ({**TANH, "form": "Expression('torch.tnh({0})')"}, "Expression('torch.tnh({0})')", "the form of layer does not run: AttributeError"),
    ({**TANH, "form": "Expression('{0}.chunk(3, 1)')"}, None, "states 1 output; its module gives Tensor, Tensor, Tensor"),
    ({**TANH, "form": "Module('nn.NoSuch')"}, None, "does not run: AttributeError"),
]
NET = "input: [3, 8, 8]\nlayers: [layer]\n"


def written(tmp_path: Path, changes: dict[str, str]) -> None:
    text = LAYER
    for name, value in {**TRUE, **changes}.items():
        text = (
            text.replace(f"={{{name}}}", f"={value}")
            .replace(f"Shape({{{name}}})", f"Shape({value})")
            .replace(f"(({{{name}}},)", f"({value},)")
        )
        text = text.replace(f"({{{name}}},)", f"({value},)" if value else "()")
    load_file(plugin(tmp_path, HEAD + text))


@pytest.mark.parametrize("changes", [{}, TANH, {"macs": "Between(0, 768)"}, {"macs": "None"}, {**TANH, "dtypes": "('float32',)"}])
def test_a_plugin_that_tells_the_truth_is_built(tmp_path: Path, forget: None, changes: dict[str, str]) -> None:
    torch = pytest.importorskip("torch")
    import archc

    written(tmp_path, changes)
    assert archc.build(archc.loads(NET), device="cpu")(torch.zeros(2, 3, 8, 8)).shape[0] == 2


@pytest.mark.parametrize(("changes", "marked", "said"), LIES)
def test_a_lie_is_refused_with_both_sides(
    tmp_path: Path, forget: None, changes: dict[str, str], marked: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    import archc

    written(tmp_path, changes)
    with pytest.raises(archc.SpecError, match="A706") as caught:
        archc.build(archc.loads(NET), device="cpu")
    found = caught.value.diagnostics
    assert any(said in one.message for one in found), [one.message for one in found]
    assert marked is None or marked in [one.span.text for one in found]
    net = tmp_path / "net.yaml"
    net.write_text(NET)
    assert main(["build", str(net), "-o", str(tmp_path / "net.py")]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "net.py").exists()


def test_indices_take_eight_bytes(tmp_path: Path, forget: None) -> None:
    """An output of another dtype: in the table, in what a forward holds, and without a gradient."""
    import archc

    load_file(
        plugin(
            tmp_path,
            HEAD + "@op\ndef best(x: Shape) -> Facts:\n    '[C, H, W] -> [H, W]. The best channel.'\n"
            "    return Facts(Shape(x.space), weights=(), macs=0, work=Work(), keeps=(), dtypes=('int64',))\n",
        )
    )
    report = archc.analyze(archc.loads("input: [3, 8, 8]\nlayers: [{conv: 4}, best]\n"), dtype="bfloat16")
    assert report.layers[1].bytes(2) == 8 * 64 and report.memory.activations_per_image == 2 * 4 * 64 + 8 * 64


@pytest.mark.parametrize(
    "words",
    ["analyze", "check", "lint", "explain", "memory", "fit --memory 1GiB", "time --device a100-40gb", "build", "render -o {}/net.dot",
     "report -o {}/net.html", "compare", "diff net", "resolve", "schema", "docs secret"],
)  # fmt: skip
def test_every_command_loads_plugins(
    tmp_path: Path, forget: None, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = SECRET.replace("Facts(x)", 'Facts(x, weights=(), macs=0, work=Work(), keeps=(), torch=Expression("torch.tanh({0})"))')
    plugin(tmp_path, text.replace("import Between", "import Between, Expression"))
    (tmp_path / "net.yaml").write_text("input: [3, 8, 8]\nlayers: [{conv: 4}, secret]\n")
    command, *more = words.format(tmp_path).split()
    spec = [] if command == "docs" else ["net.yaml"]
    status = main(
        [command, *([more[0]] if command == "diff" else []), *spec, *(more[1:] if command == "diff" else more), "--plugin", "mine.py"]
    )
    assert status == 0, capsys.readouterr().err
