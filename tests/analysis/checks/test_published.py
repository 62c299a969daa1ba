"""`published`: verdicts on what others print, and the claims of the specs that ship."""

from __future__ import annotations

import pytest

from archc.analysis.checks.published import CUT, DIFFERS, EXACT, QUOTED, ROUNDS, compare
from archc.elaborate.compiler import compile_spec, compile_text, load_spec
from archc.text.diagnostics import Diagnostics
from tests.helpers.zoo import every_spec

HEAD = "archc: 1\ninput: [3, 8, 8]\nparams: {width: 16}\nlayers: {a: {conv: {channels: $width}}, b: [relu, {conv: 7}]}\npublished:\n"
# a: 3*16 + 16 = 64 parameters, 3*16*64 = 3072 MACs; b.1: 16*7 + 7 = 119 parameters, 7168 MACs


@pytest.mark.parametrize(
    ("claim", "ours", "verdict"),
    [
        ("parameters: 183", 183, EXACT),
        ("parameters: 0.2K", 183, ROUNDS),
        ("parameters: 0.18K", 183, ROUNDS),
        ("parameters: 0.1K", 183, CUT),
        ("parameters: 0.3K", 183, DIFFERS),
        ("parameters: 184", 183, DIFFERS),
        ("macs: '10,240'", 10240, EXACT),
        ("macs: 10.2K", 10240, ROUNDS),
        ("weights: 160", 160, EXACT),
        ("macs: 3072, of: a", 3072, EXACT),
        ("macs: 7168, of: b", 7168, EXACT),
        ("macs: 10240, of: [a, b.1]", 10240, EXACT),
        ("parameters: 183, only: conv", 183, EXACT),
        ("activations: 448, of: b, only: conv", 448, EXACT),
        ("parameters: 32, of: a, set: {width: 8}", 32, EXACT),
        ("top1: 71.5", None, QUOTED),
        ("top1_error: 28.5", None, QUOTED),
        ("parameters: 0.7KB", 732, ROUNDS),  # 183 values of 4 bytes
        ("weights: 0.6KiB", 640, ROUNDS),  # 625 by its unit of 1,024
        ("weights: 0.64KB", 640, EXACT),
        ("volumes: 1664", 3 * 64 + 16 * 64 + 7 * 64, EXACT),  # the input and both convolutions; a relu makes no volume
        ("volumes: 448, of: b", 7 * 64, EXACT),
        ("dense: 197_632, of: a", 3 * 64 * 16 * 64 + 16 * 64, EXACT),
    ],
)
def test_verdicts(claim: str, ours: int | None, verdict: str) -> None:
    model = compile_text(HEAD + f"  - {{{claim}, by: a test}}\n")
    assert model.spec is not None and not list(model.diagnostics)
    rows, wrong = compare(model.spec)
    assert not wrong and [(row.ours, row.verdict) for row in rows] == [(ours, verdict)]


@pytest.mark.parametrize("claim", ["macs: 3KB", "top1: 71MB", "dense: 1GiB", "parameters: 12 bytes", "parameters: 1Kb"])
def test_figures_that_are_none(claim: str) -> None:
    found = list(compile_text(HEAD + f"  - {{{claim}, by: a test}}\n").diagnostics)
    assert [one.code for one in found] == ["A402"]


@pytest.mark.parametrize(("claim", "code"), [("macs: 1, of: c", "A304"), ("macs: 1, set: {wide: 2}", "A307")])
def test_claims_about_nothing(claim: str, code: str) -> None:
    model = compile_text(HEAD + f"  - {{{claim}, by: a test}}\n")
    assert model.spec is not None
    _, wrong = compare(model.spec)
    assert [one.code for one in wrong] == [code]


@every_spec
def test_differences_are_explained(name: str) -> None:
    """Where a figure that ships does not come out, the spec says why; where it does, there is nothing to explain."""
    spec = load_spec(name, Diagnostics())
    assert spec is not None
    rows, wrong = compare(spec)
    assert not wrong
    for row in rows:
        assert bool(row.claim.why) or row.verdict not in (DIFFERS, CUT), (row.metric, row.printed, row.ours)
    for claim in spec.published:
        verdicts = {row.verdict for row in rows if row.claim is claim}
        assert not claim.why or verdicts & {DIFFERS, CUT}, (claim.figures, claim.why)


def test_claims_are_not_inherited_and_papers_are() -> None:
    base = compile_spec("resnet50").spec
    heir = compile_text("archc: 1\nextends: resnet50\nname: mine\nparams: {depths: [2, 2, 2, 2]}\nexpect: {}\n").spec
    assert base is not None and heir is not None
    assert heir.paper == base.paper and heir.published == []
