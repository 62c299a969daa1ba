"""Who reads a value after a layer in place has written over it is told so; PyTorch shows that the warning is right."""

from __future__ import annotations

import warnings

import pytest

import archc

HEAD = "input: [4, 6, 6]\nlayers:\n  c: {conv: {channels: 4, kernel: 3, padding: 1}}\n"
STALE = {
    "a skip past an activation": "  r: {relu: {inplace: true}}\n  s: {from: [c, r], add: }\n",
    "a view": "  v: {permute: [0, 2, 1]}\n  r: {from: c, relu: {inplace: true}}\n  s: {from: [v, r], add: }\n",
    "an output": "  r: {relu: {inplace: true}}\noutputs: [c, r]\n",
}
FRESH = {
    "what it gives is read": "  r: {relu: {inplace: true}}\n  s: {from: [r, r], add: }\n",
    "it is read before": "  d: {sigmoid: }\n  r: {from: c, relu: {inplace: true}}\n  s: {from: [d, r], add: }\n",
    "a view of what it gives": "  r: {relu: {inplace: true}}\n  v: {permute: [0, 2, 1]}\n  s: {from: [v, r], add: }\n",
}


@pytest.mark.parametrize("name", STALE)
def test_a_reader_of_what_was_written_over_is_told(name: str) -> None:
    torch = pytest.importorskip("torch")
    text = HEAD + STALE[name]
    with pytest.warns(archc.SpecWarning, match="r writes over c, which|r writes over v, which"):
        graph = archc.loads(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = archc.build(archc.loads(text.replace("{inplace: true}", "")))
    module, x = archc.build(graph), torch.randn(2, 4, 6, 6)
    other.load_state_dict(module.state_dict())
    with torch.no_grad():
        found, meant = module(x), other(x)
    pairs = [(found[key], meant[key]) for key in found] if isinstance(found, dict) else [(found, meant)]
    assert not all(torch.equal(one, two) for one, two in pairs)  # another network, as it says


@pytest.mark.parametrize("name", FRESH)
def test_nothing_is_said_where_all_is_read_in_time(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        archc.loads(HEAD + FRESH[name])
