"""Good specs, mutated: whatever comes out is a graph or a diagnostic inside the text, never an exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.analysis.cost.report import analyze
from archc.elaborate.compiler import compile_text
from archc.text.diagnostics import draw
from tests.fuzz import Figures, Report, fuzz
from tests.helpers.paths import ROOT

SPECS = [path.read_text() for path in sorted((ROOT / "specs").glob("*.yaml"))]
BLOCKS = [path.read_text().replace("\n", "\n  ").replace("\n  \n", "\n\n") for path in sorted((ROOT / "archc" / "blocks").glob("*.yaml"))]
NETWORK = "layers: [{conv: 8}, {basic_block: 8}, {mbconv: 8}, {conv_bn_act: 8}, {dense_layer: 4}, {squeeze_excite: 2}]\n"
SPECS += [f"archc: 1\ninput: [3, 32, 32]\nblocks:\n  {text}\n{NETWORK}" for text in BLOCKS]
FRAGMENTS = [
    *"$}{[]:#'\"|>~!&*\t\n\0\u2028é😀",
    *("${", ": ", "- ", "&a ", "*a", "  ", "null", "-1", "0", "1e999", ".nan", "0x1F", "99999999999999999999", "true"),
    *(
        "from: input",
        "repeat: 3",
        "when: false",
        "for: {i: [1, 2]}",
        "train_only: true",
        "share: 0",
        "split: 2",
        "identity",
        "add:",
        "concat:",
    ),
    *("${input.channels}", "${index}", "$classes", "${1/0}", "expect: {macs: 3}", "inline: [relu]", "layers: [relu]", "flatten", "tokens"),
    *("extends: vgg16", "use: [a.yaml]", "input: [x, skip]", "inputs: [x, y]", "params: {a: int = 3}", "$act", "${", "}}", "{{a}}", "a:b"),
    *("${a if b else}", "${[1, 2][3]}", "${max(1,)}", "${input}", "${2 ** 99}", "${'a' * 3}", "${round_to(3, 0)}", "${x for x in y}", "=="),
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(SPECS))
    for _ in range(draw(st.integers(1, 6))):
        lines = text.splitlines(keepends=True) or [""]
        i, j = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        at = draw(st.integers(0, len(text)))
        match draw(st.integers(0, 6)):
            case 0:
                text = "".join(lines[:i] + lines[i + 1 :])
            case 1:
                text = "".join([*lines[:i], lines[j], *lines[i:]])
            case 2:
                lines[i], lines[j] = lines[j], lines[i]
                text = "".join(lines)
            case 3:
                text = text[:at] + text[at + draw(st.integers(1, 4)) :]
            case 4:
                text = text[:at] + draw(st.sampled_from(FRAGMENTS)) + text[at:]
            case 5:
                words = sorted({word for word in text.replace(":", " ").split() if word.isidentifier()}) or ["relu"]
                text = text.replace(draw(st.sampled_from(words)), draw(st.sampled_from([*words, *FRAGMENTS])), 1)
            case _:
                text = text[:at] + draw(st.text(max_size=3)) + text[at:]
    return text


def survives(text: str) -> None:
    model = compile_text(text)
    for one in model.diagnostics:
        assert 0 <= one.span.start <= one.span.end <= len(one.span.source.text), one
        assert "object at 0x" not in one.message + str(one.hint), one
        assert draw(one).startswith(("error[A", "warning[A"))
    if model.graph is None:
        assert model.diagnostics.failed
    else:
        analyze(model.graph.deployed())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_a_mutated_spec(text: str) -> None:
    survives(text)


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@settings(max_examples=20_000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_a_mutated_spec_at_length(text: str) -> None:
    survives(text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("abxyz$0129.+-*/%<>=()[]{}!&| '\"_\\\n")), max_size=60))
def test_any_expression(text: str) -> None:
    quoted = "'" + text.replace("'", "''").replace("\n", " ") + "'"
    survives("input: [3, 8, 8]\nparams: {a: 1, b: [1, 2]}\nlayers:\n  - conv: " + quoted.replace("'", "'${", 1)[:-1] + "}'\n")


@pytest.mark.timeout(0)
def test_mutants_go_through_everything_without_torch() -> None:
    """A few hundred; by hand 100,000, with `python -m tests.fuzz`. The time is against hangs alone: a busy machine is slow."""
    figures = fuzz(200, seed=13, most=20.0)
    assert figures.findings == []
    assert figures.elaborated > 10 and figures.count == 200


def test_a_finding_is_told_at_once_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, figures = Report(tmp_path, every=2), Figures(count=1)
    figures.findings.append(("analyze", "2.50 s", "input: é\ud800"))
    report(figures)
    report(figures)
    path = tmp_path / "finding1.yaml"
    assert path.read_bytes().decode("utf-8", "surrogatepass") == "input: é\ud800"
    assert capsys.readouterr().out.count(str(path)) == 1
    figures.count = 2
    report(figures)
    assert "1 findings" in capsys.readouterr().out
