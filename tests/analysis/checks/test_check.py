"""What `archc check` holds a network to besides its figures, what becomes of promises that are inherited, where annotations stand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings

import archc
from archc.analysis.checks.check import check
from archc.cli.main import main
from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from archc.language.loading import shipped
from archc.text.diagnostics import draw
from tests.helpers.paths import ROOT
from tests.test_laws import specs

PIX2PIX = """
input: [3, 256, 256]
blocks:
  level:
    params: {channels: list, out: int, outer: bool = false}
    layers:
      down: [{conv: {channels: "${channels[0]}", kernel: 4, stride: 2, padding: 1}}]
      sub: {when: "${len(channels) > 1}", level: {channels: "${channels[1:]}", out: "${channels[0]}"}}
      up: [relu, {conv_transpose: {channels: $out, kernel: 4, stride: 2, padding: 1}}]
      cat: CAT
layers:
  net: {level: {channels: [8, 16, 16], out: 3, outer: true}}
"""


def graph_of(text: str) -> Graph:
    model = compile_text(text)
    assert model.graph is not None, "\n".join(map(draw, model.diagnostics))
    return model.graph


def codes(text: str) -> list[tuple[str, int]]:
    return [(one.code, one.span.line) for one in check(graph_of(text))]


def test_an_output_that_is_the_input() -> None:
    """The entry that passes it on is named, with the block in which it stands; the form in the hint is the network that was meant."""
    (found,) = check(graph_of(PIX2PIX.replace("CAT", '{when: "${not outer}", from: [input, up], concat: }')))
    assert (found.code, found.span.line, found.span.text) == ("A804", 10, "[input, up]")
    assert [use.label for use in found.uses] == ['block "level"'] and "no output depends on" in found.message
    meant = graph_of(PIX2PIX.replace("CAT", '{when: "${not outer}", inline: [{from: [input, up], concat: }]}'))
    assert check(meant) == [] and list(meant.nodes[-1].output.shape) == [3, 256, 256]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("layers: [{conv: 4}]", []),
        ("layers:\n  a: {conv: 4}\n  b: {conv: 8}\n  c: {from: a, relu: }", [("A803", 4)]),
        ("layers:\n  a: {conv: 4}\n  b: {expect: {unused: 40}, conv: 8}\n  c: {from: a, relu: }", []),
        ("layers:\n  a: {conv: 4}\n  b: {expect: {unused: 41}, conv: 8}\n  c: {from: a, relu: }", [("A801", 4), ("A803", 4)]),
        ("expect: {unused: '<= 100'}\nlayers:\n  a: {conv: 4}\n  b: {conv: 8}\n  c: {from: a, relu: }", []),
        ("layers:\n  a: {conv: 4}\n  b: [{conv: 8}, relu, {conv: 2}]\n  c: {from: a, relu: }", [("A803", 4)]),
        ("layers:\n  a: {conv: 4}\n  b: relu\n  c: {from: a, relu: }", []),  # no weights
        ("layers:\n  a: {conv: 4}\n  b: {from: input, share: a}\n  c: {from: b, relu: }", []),  # the weights are used there
        ("layers:\n  a: {conv: 4}\n  b: {train_only: true, conv: 8}", []),
        ("layers:\n  a: {conv: 4}\n  b: {conv: 8}\n  h: {train_only: true, conv: 1}\n  c: {from: a, relu: }", [("A803", 5)]),
        ("layers:\n  a: {conv: 4}\n  b: {conv: 8}\noutputs: a", [("A803", 4)]),
        ("layers: [identity]", [("A804", 2)]),
        ("layers: [identity]\noutputs: input", []),
        ("layers: {a: {conv: 4}, b: {from: input, identity: }}\noutputs: {x: b, y: a}", [("A804", 3)]),
        ("layers: {a: {conv: 4}}\noutputs: {x: input, y: a}", []),
        ("layers: [{conv: 4}, {from: input, dropout: 0.5}]", [("A803", 2)]),
    ],
)
def test_weights_and_outputs_lead_somewhere(layers: str, expected: list[tuple[str, int]]) -> None:
    assert codes(f"input: [4, 8, 8]\n{layers}\n") == expected


def test_the_figure_in_the_hint_is_the_one_that_is_right() -> None:
    text = "input: [4, 8, 8]\nlayers:\n  a: {conv: 4}\n  b: {EXPECTlayers: [{conv: 8}, {conv: 2}]}\n  c: {from: a, relu: }\n"
    (found,) = check(graph_of(text.replace("EXPECT", "")))
    told = re.search(r"`(expect: .*?)` beside", found.hint or "")
    assert told is not None and check(graph_of(text.replace("EXPECT", f"{told[1]}, "))) == []


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(specs())
def test_dead_weights_are_those_whose_removal_no_output_sees(text: str) -> None:
    """By brute force: follow each layer's value forward, one layer after the other."""
    model = compile_text(text)
    assume(model.graph is not None)
    graph = model.graph
    assert graph is not None
    dead = 0
    for node in graph.nodes:
        users = [other for other in graph.nodes if (other.shared or other) is node]
        reached = {value for user in users for value in user.outputs}
        for other in graph.nodes:
            if reached.intersection(other.inputs):
                reached.update(other.outputs)
        if node.shared is None and not node.train_only and not reached.intersection(graph.outputs.values()):
            dead += sum(one.values for one in node.facts.owned if one.role != "buffer")
    found = [one for one in check(graph) if one.code in ("A803", "A804")]
    told = sum(int(number.replace(",", "")) for one in found for number in re.findall(r"([\d,]+) learned values", one.message))
    assert told == dead


def specs_in(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def test_the_variant_that_the_readme_makes_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "`extends: resnet50` and a few `params` make a variant" in (ROOT / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    specs_in(tmp_path, mine="extends: resnet50\nparams: {depths: [2, 2, 2, 2]}\n")
    assert main(["check", "mine.yaml", "--format", "github"]) == 0
    (line,) = capsys.readouterr().out.strip().split("\n")
    assert line.startswith("::notice file=mine.yaml,line=1,col=10,title=A801::promises of resnet50 ")
    told = re.search(r"expect: \{.*?\}", line)
    assert told is not None
    specs_in(tmp_path, mine=f"extends: resnet50\nparams: {{depths: [2, 2, 2, 2]}}\n{told[0]}\n")
    assert main(["check", "mine.yaml", "--format", "github"]) == 0 and capsys.readouterr().out.strip() == ""


@pytest.mark.parametrize(
    ("heir", "severities"),
    [
        ("name: other", ["error"]),  # the base does not keep what it promises, and nothing was changed
        ("params: {width: 8}", ["note"]),
        ("params: {width: 8, rate: 0.5}", ["note"]),
        ("params: {rate: 0.5}", []),  # changes no figure that was promised
        ("input: [3, 16, 16]\nparams: {width: 5}", ["note"]),
        ("params: {width: 8}\nexpect: {parameters: 3}", ["error", "note"]),
        ("params: {width: 8}\nexpect: null", []),
        ("params: {width: 8}\nexpect: {parameters: null}", ["note"]),
    ],
)
def test_inherited_promises(tmp_path: Path, heir: str, severities: list[str]) -> None:
    width = 4 if heir == "name: other" else 5
    base = f"""
    input: [3, 8, 8]
    params: {{width: {width}, rate: 0.1}}
    expect: {{parameters: 20, shape: [5, 8, 8]}}
    layers: {{conv: {{conv: $width, expect: {{channels: 5}}}}, drop: {{dropout: $rate}}}}
    """
    specs_in(tmp_path, base=base, heir=f"extends: base.yaml\n{heir}\n", again="extends: heir.yaml\ndoc: The same.\n")
    found = archc.check(archc.load(tmp_path / "heir.yaml"))
    assert sorted({one.severity for one in found}) == severities, "\n".join(map(draw, found))
    notes = [one for one in found if one.severity == "note"]
    assert all(one.span.source.name.endswith("heir.yaml") and one.span.line == 1 for one in notes)
    assert [one.severity for one in archc.check(archc.load(tmp_path / "again.yaml"))] == [one.severity for one in found]


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b0", "googlenet", "inception_v4"])
def test_a_variant_for_other_classes_or_images_is_good(tmp_path: Path, name: str) -> None:
    specs_in(tmp_path, classes=f"extends: {name}\nparams: {{classes: 10}}\n", image=f"extends: {name}\ninput: [3, 331, 331]\n")
    for heir in ("classes", "image"):
        assert {one.severity for one in archc.check(archc.load(tmp_path / f"{heir}.yaml"))} == {"note"}


def test_annotations_stand_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """At a block's use, at an `extends`, at a `use`: never in what is installed. Where nothing leads there, at no file."""
    installed = tmp_path / "venv" / "lib" / "site-packages" / "given"
    installed.mkdir(parents=True)
    specs_in(installed, base="input: [3, 8, 8]\nexpect: {macs: 1}\nlayers: [{conv: 4}]\n", blocks="unit: {layers: [{conv: 0}]}\n")
    (tmp_path / ".git").mkdir()
    specs_in(
        tmp_path,
        a="extends: venv/lib/site-packages/given/base.yaml\n",
        b="use: venv/lib/site-packages/given/blocks.yaml\ninput: [3, 8, 8]\nlayers: [unit]\n",
        c="input: [3, 4, 4]\nlayers:\n  - {conv_bn_act: {channels: 8, kernel: 9, padding: 0}}\n",
    )
    monkeypatch.chdir(tmp_path)
    places = {"a": (1, 10), "b": (3, 10), "c": (3, 6)}
    for name, (line, column) in places.items():
        assert main(["check", f"{name}.yaml", "--format", "github"]) > 0
        out = capsys.readouterr().out
        assert out.startswith(f"::error file={name}.yaml,line={line},col={column},title=A") and ", at " in out
        main(["check", f"{name}.yaml", "--format", "sarif"])
        (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == f"{name}.yaml"
    main(["check", "resnet50", "--set", "classes=10", "--format", "github"])
    assert capsys.readouterr().out.startswith("::error title=A801::")
    main(["check", "resnet50", "--set", "classes=10", "--format", "sarif"])
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"][0]["locations"] == []


def test_another_name_shows_what_was_published_of_its_original(capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for name in ("resnext50", "resnext50_32x4d"):
        assert main(["explain", name, "--paper"]) == 0
        rows.append(capsys.readouterr().out)
    assert rows[0] == rows[1] and "25,028,904" in rows[0]
    for heir in ("params: {classes: 10}", "train: {epochs: 1}", "published: []"):
        spec = compile_text(f"extends: resnet50\n{heir}\n").spec
        assert spec is not None and spec.published == []
    spec = compile_text("extends: resnet50\nname: mine\nbudget: {macs: 5G}\n").spec
    assert spec is not None and spec.published


def test_an_heir_that_changes_nothing_is_good_and_warns_of_nothing() -> None:
    for path in shipped()[::8]:
        model = compile_text(f"extends: {path.stem}\n")
        assert model.graph is not None and not list(model.diagnostics) and check(model.graph) == []
