"""The rules of `init` in the source: every tensor begins as its last rule says, and as PyTorch has it without one."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

import archc

torch = pytest.importorskip("torch")

SPEC = """
input: [3, 32, 32]
init:
{rules}
layers:
  c: {{conv: 64}}
  b: {{repeat: 3, layers: {{c: {{conv: {{channels: 64, bias: false}}}}, n: batchnorm}}}}
  s: {{conv: {{channels: 64, kernel: 3, standardize: 0.001, padding: 1}}}}
  t: tokens
  token: class_token
  att: {{attention: 2}}
  e: {{select: 0}}
  h: {{linear: 128}}
  fc: {{linear: 10}}
"""


def module_of(*rules: str) -> torch.nn.Module:
    return archc.build(archc.loads(SPEC.format(rules="\n".join(f"  {rule}" for rule in rules))))


def test_constants_by_operator_and_pattern() -> None:
    rules = ["conv: 1", "linear.bias: 2", "batchnorm: 3", '"b.*.c.weight": 4', "fc.bias: 5", '"b.1.n.*": 6', "class_token: 7",
             "attention.out_proj.weight: 8"]  # fmt: skip
    wanted = {"c.weight": 1, "s.weight": 1, "h.bias": 2, "b.*.n.weight": 3, "b.*.c.weight": 4, "fc.bias": 5, "b.1.n.weight": 6,
              "b.1.n.bias": 6, "token": 7, "att.out_proj.weight": 8}  # fmt: skip
    module = module_of(*rules)
    plain = {"b.*.n.bias": 0.0}
    checked = 0
    for name, tensor in module.named_parameters():
        values = [value for pattern, value in (plain | wanted).items() if fnmatchcase(name, pattern)]
        if values:
            assert (tensor == values[-1]).all(), name
            checked += 1
        else:
            assert tensor.std() > 0 or name.startswith("att."), name
    assert checked == 15


def test_spread() -> None:
    """Standard deviations as torch.nn.init documents them: sqrt(2 / fan) and so on, within 15% of a few thousand draws."""
    torch.manual_seed(0)
    module = module_of(
        "conv: {kaiming_normal: {mode: fan_out, nonlinearity: relu}}", "h.weight: {trunc_normal: 0.02}", "linear.bias: zeros"
    )
    assert module.b[0].c.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.15)
    assert module.s.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.15)
    assert module.h.weight.std().item() == pytest.approx(0.02, rel=0.15)
    assert module.fc.weight.abs().max() <= 1 / 128**0.5 and not module.fc.bias.any()


def test_without_rules_it_is_pytorch_s_own() -> None:
    torch.manual_seed(3)
    ours = archc.build(archc.loads("input: [3, 8, 8]\nlayers: [{conv: 5}, flatten, {linear: 4}]\n"))
    torch.manual_seed(3)
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 1), torch.nn.Flatten(), torch.nn.Linear(320, 4))
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))


def test_a_rule_reads_as_a_person_would_write_it() -> None:
    text = archc.source(archc.load("resnet18"))
    assert "            if isinstance(module, nn.Conv2d):\n                nn.init.kaiming_normal_(\n" in text
