"""Names that a spec cannot spell: rules that rename the original's weights, written into the spec and used by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import archc
from archc.importing import import_graph
from archc.importing.renames import rules_of
from archc.runtime.weights.renaming import WeightsError, parse_rule, rename_tensors

NAMES = st.lists(st.lists(st.sampled_from(["a", "b", "a1", "x&y", "a.b", "0", "a-b", "w/o"]), min_size=1, max_size=3), max_size=8)


@given(NAMES)
def test_rules_make_of_each_name_the_one_that_is_wanted(parts: list[list[str]]) -> None:
    theirs = list(dict.fromkeys(".".join(one) for one in parts))
    ours = [f"{re.sub('[^a-z0-9.]', '_', name)}.new" if at % 2 else name for at, name in enumerate(theirs)]
    if len(set(ours)) < len(ours):
        return
    renames = {mine: other for mine, other in zip(ours, theirs, strict=True) if mine != other}
    rules = rules_of(renames, ours)
    assert len(rules) <= len(renames)
    # as `rename` of a spec: names that the network has are left alone
    foreign = [name for name in theirs if name not in ours]
    new, _ = rename_tensors(foreign, [parse_rule(rule) for rule in rules])
    assert [new.get(name, name) for name in theirs] == ours


def test_one_rule_for_all_that_are_alike() -> None:
    renames = {f"layers.{at}.attn.add.table": f"layers.{at}.attn.table" for at in range(12)}
    assert rules_of(renames, [*renames, "layers.0.attn.qkv.weight"]) == [r"s/\.attn\.table$/.attn.add.table/"]


class Named(nn.Module):
    """A name that is the input's in a spec, and one that is a layer's and a level's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleDict({"input": nn.Conv2d(3, 4, 3), "a-b": nn.BatchNorm2d(4)})
        self.gain = nn.Parameter(torch.rand(4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stem["a-b"](self.stem["input"](x)) * self.gain


def test_weights_of_the_original_load_by_themselves(tmp_path: Path) -> None:
    module = Named().eval()
    made = import_graph(archc.capture(module, (3, 8, 8)), module)
    assert made.graph.rename
    (tmp_path / "net.yaml").write_text(made.text)
    torch.save(module.state_dict(), tmp_path / "theirs.pth")
    made.save_weights(tmp_path / "ours.safetensors")
    x = torch.randn(2, 3, 8, 8)
    for weights in ("theirs.pth", "ours.safetensors"):
        built = archc.build(tmp_path / "net.yaml", weights=tmp_path / weights).eval()
        assert torch.equal(built(x), module(x))


def test_a_spec_says_how_files_call_its_tensors(tmp_path: Path) -> None:
    text = "archc: 1\ninput: [3]\nrename: ['s/^old\\./new./']\nlayers: {new: {linear: 2}}\n"
    graph = archc.loads(text)
    assert graph.rename == ("s/^old\\./new./",)
    linear = nn.Linear(3, 2)
    for prefix in ("old", "new"):
        torch.save({f"{prefix}.{name}": one for name, one in linear.state_dict().items()}, tmp_path / "w.pth")
        assert torch.equal(archc.build(graph, weights=tmp_path / "w.pth").new.weight, linear.weight)
    torch.save({f"{prefix}.weight": linear.weight for prefix in ("old", "new")}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="one name of two"):
        archc.build(graph, weights=tmp_path / "w.pth")
    with pytest.raises(archc.SpecError, match="not a rule that renames"):
        archc.loads(text.replace("['s/^old\\./new./']", "{old: new}"))
