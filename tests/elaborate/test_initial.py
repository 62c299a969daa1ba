"""`init`: which rule decides which tensor, against brute force; initializers and their arguments, against torch.nn.init."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.catalog.initializers import INITIALIZERS
from archc.elaborate.compiler import compile_spec, compile_text
from archc.graph import Graph
from archc.graph.write_spec import resolve_text
from archc.reference.schema import schema
from archc.text.diagnostics import draw

torch = pytest.importorskip("torch")
nn_init = torch.nn.init

NET = """
input: [3, 8, 8]
params: {spread: 0.5, way: zeros}
layers:
  conv: {conv: {channels: 4, kernel: 3, padding: 1}}
  bn: batchnorm
  body: {repeat: 2, layers: [{conv: {channels: 4, kernel: 3, padding: 1, bias: false}}, batchnorm]}
  again: {share: body.0.0}
  aux: {train_only: true, layers: [flatten, {linear: 2}]}
  flatten: flatten
  fc: {linear: 10}
"""
LEARNED = {
    **{"conv.weight": "conv", "conv.bias": "conv", "bn.weight": "batchnorm", "bn.bias": "batchnorm", "body.0.0.weight": "conv"},
    **{"body.0.1.weight": "batchnorm", "body.0.1.bias": "batchnorm", "body.1.0.weight": "conv", "body.1.1.weight": "batchnorm"},
    **{"body.1.1.bias": "batchnorm", "aux.1.weight": "linear", "aux.1.bias": "linear", "fc.weight": "linear", "fc.bias": "linear"},
}


def graph_of(text: str, **changes: str) -> Graph:
    model = compile_text(text, changes)
    assert model.graph is not None, "\n".join(draw(one) for one in model.diagnostics) + "\n" + text
    return model.graph


def with_rules(*rules: str) -> Graph:
    return graph_of(NET + "init:\n" + "".join(f"  {rule}\n" for rule in rules))


def decided(graph: Graph) -> dict[str, tuple[str, dict[str, Any]]]:
    """What each tensor begins with, by its name."""
    rows = [(f"{node.name}.{weight.name}".rstrip("."), rule.call) for rule in graph.init for node, weight in rule.targets]
    assert len(rows) == len(dict(rows)), "a tensor that two rules decide"
    return dict(rows)


def test_an_operator_is_its_weights() -> None:
    found = decided(with_rules("conv: {kaiming_normal: fan_out}", "linear.bias: zeros"))
    assert found == {
        **{name: ("kaiming_normal_", {"mode": "fan_out"}) for name in ("conv.weight", "body.0.0.weight", "body.1.0.weight")},
        **{name: ("zeros_", {}) for name in ("aux.1.bias", "fc.bias")},
    }


def test_rules_as_they_are_written() -> None:
    rules = with_rules("conv.bias: 3", '"body.*.1.weight": $spread', "fc.weight: $way").init
    assert [(rule.by, rule.key, rule.op, rule.tensor, rule.function, rule.options) for rule in rules] == [
        ("op", "conv.bias", "conv", "bias", "constant", {"val": 3}),
        ("pattern", "body.*.1.weight", "", "", "constant", {"val": 0.5}),
        ("pattern", "fc.weight", "", "", "zeros", {}),
    ]


def test_a_dot_names_a_tensor_and_not_an_operator() -> None:
    assert list(decided(with_rules(".conv.weight: ones"))) == ["conv.weight"]


def test_buffers_have_no_rules_and_shared_layers_count_once() -> None:
    assert set(decided(with_rules('"*": 1'))) == set(LEARNED)


KEYS = ["conv", "conv.bias", "linear", "batchnorm", "batchnorm.bias", "linear.bias", "conv.weight", ".conv.weight", "fc.weight", "*"]
KEYS += ["*.bias", "body.*", "*.?.weight", "body.[0-9].0.*", "b*t", "body.[!0]*", "aux.1.*"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(KEYS), unique=True, min_size=1))
def test_rules_decide_as_if_they_were_applied_one_after_the_other(keys: list[str]) -> None:
    begun: dict[str, int] = {}
    for number, key in enumerate(keys):
        op, _, tensor = key.partition(".")
        for name, kind in LEARNED.items():
            own = name.endswith(f".{tensor or 'weight'}")
            if own if op == kind else fnmatchcase(name, key.removeprefix(".")):
                begun[name] = number
    found = decided(with_rules(*(f'"{key}": {number}' for number, key in enumerate(keys))))
    assert {name: options["val"] for name, (_, options) in found.items()} == begun


def test_a_key_written_again_stands_last() -> None:
    model = compile_text("extends: vgg16\ninit: {conv: {normal: 0.1}}\n")
    assert model.graph is not None
    assert [rule.key for rule in model.graph.init] == ["conv.bias", "linear", "linear.bias", "conv"]
    assert model.graph.init[-1].call == ("normal_", {"std": 0.1})


def test_inherited_patterns_may_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(NET + 'init: {"body.*": 0, "fc.weight": 1, conv: 2}\n')
    (tmp_path / "own.yaml").write_text("extends: base.yaml\nlayers: [flatten, {linear: 3}]\n")
    model = compile_spec(str(tmp_path / "own.yaml"))
    assert model.graph is not None
    assert [(rule.key, rule.targets) for rule in model.graph.init] == [("body.*", ()), ("fc.weight", ()), ("conv", ())]
    (tmp_path / "own.yaml").write_text('extends: base.yaml\ninit: {"body.*": 0}\nlayers: [flatten, {linear: 3}]\n')
    assert [one.code for one in compile_spec(str(tmp_path / "own.yaml")).diagnostics] == ["A303"]


def test_a_variant_is_not_held_to_its_patterns() -> None:
    text = 'input: [4]\nparams: {deep: true}\nlayers: {a: {linear: 4}, b: {when: $deep, linear: 4}}\ninit: {"b.*": 0}\n'
    assert len(graph_of(text).init[0].targets) == 2
    assert graph_of(text, deep="false").init[0].targets == ()


def test_rules_for_operators_that_could_own_such_a_tensor() -> None:
    for rule in ("conv.bias: 0", "prelu: 0", "attention.in_proj_bias: 0"):
        text = f"input: [3, 8]\nlayers: [{{attention: {{heads: 2, bias: false}}}}]\ninit: {{{rule}}}\n"
        assert graph_of(text).init[0].targets == ()


def test_the_deployed_network_keeps_its_rules() -> None:
    graph = with_rules("linear: 1", "linear.bias: 2")
    assert [rule.key for rule in graph.deployed().init] == ["linear", "linear.bias"]
    assert set(decided(graph.deployed())) == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize("spec", ["resnet50", "resnext50_32x4d", "vgg16_bn", "densenet121", "mobilenet_v2"])
def test_specs_that_ship_read_back(spec: str) -> None:
    model = compile_spec(spec)
    assert model.graph is not None and model.spec is not None and model.graph.init
    assert decided(graph_of(resolve_text(model.graph, model.spec, {}))) == decided(model.graph) != {}


def test_written_out_and_read_back() -> None:
    rules = [
        "conv: {kaiming_uniform: {a: 0.2}}",
        '"*.bias": {uniform: {low: -0.1, high: 1e-5}}',
        "linear: {trunc_normal: {std: $spread, low: -1}}",
    ]
    text = NET + "init:\n" + "".join(f"  {rule}\n" for rule in [*rules, ".fc.weight: $way", "prelu: 3", "batchnorm: 1", "bn.weight: ones"])
    model = compile_text(text)
    assert model.graph is not None and model.spec is not None
    again = graph_of(resolve_text(model.graph, model.spec, {}))
    assert decided(again) == decided(model.graph)
    assert [rule.key for rule in again.init] == ["conv", "*.bias", "linear", ".fc.weight", "batchnorm", "bn.weight"]


def test_many_patterns_are_refused_before_they_take_long() -> None:
    body = "input: [4]\nlayers: [{repeat: 10000, linear: 4}]\ninit:\n"
    model = compile_text(body + "".join(f'  "*{"?" * 300}{number}*": 0\n' for number in range(400)))
    assert "A603" in {one.code for one in model.diagnostics}


RIGHT = ["zeros", 0, "$way", {"normal": 0.1}, {"normal": {"std": "$s"}}, {"kaiming_normal": {"mode": "fan_out"}}, {"zeros": None}]
WRONG = ["zeroes", True, {"normal": "wide"}, {"kaiming_normal": {"mode": "in"}}, {"zeros": 3}, {"zeros": None, "ones": None}, {}, []]


@pytest.mark.parametrize(("how", "fits"), [*((how, True) for how in RIGHT), *((how, False) for how in WRONG)])
def test_the_schema_knows_it(how: Any, fits: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    spec = {"input": [3, 8, 8], "layers": [{"conv": 3}], "init": {"conv": how}}
    assert jsonschema.Draft7Validator(schema()).is_valid(spec) == fits


CALLS: dict[str, Callable[[Any], Any]] = {
    "kaiming_normal": lambda w: nn_init.kaiming_normal_(w),
    "{kaiming_normal: fan_out}": lambda w: nn_init.kaiming_normal_(w, mode="fan_out"),
    "{kaiming_normal: {mode: fan_out, nonlinearity: relu}}": lambda w: nn_init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
    '{kaiming_uniform: {a: "${5 ** 0.5}"}}': lambda w: nn_init.kaiming_uniform_(w, a=5**0.5),
    "{kaiming_uniform: {nonlinearity: selu}}": lambda w: nn_init.kaiming_uniform_(w, nonlinearity="selu"),
    "{kaiming_uniform: {nonlinearity: tanh}}": lambda w: nn_init.kaiming_uniform_(w, nonlinearity="tanh"),
    "{kaiming_uniform: {nonlinearity: linear}}": lambda w: nn_init.kaiming_uniform_(w, nonlinearity="linear"),
    "{kaiming_normal: {nonlinearity: sigmoid}}": lambda w: nn_init.kaiming_normal_(w, nonlinearity="sigmoid"),
    "{xavier_normal: 0.5}": lambda w: nn_init.xavier_normal_(w, gain=0.5),
    "{xavier_uniform: {gain: 2}}": lambda w: nn_init.xavier_uniform_(w, gain=2),
    "normal": lambda w: nn_init.normal_(w),
    "{normal: {std: 0.01, mean: 3}}": lambda w: nn_init.normal_(w, 3, 0.01),
    "{trunc_normal: 0.02}": lambda w: nn_init.trunc_normal_(w, std=0.02),
    "{trunc_normal: {mean: 0.5, low: 0, high: 1}}": lambda w: nn_init.trunc_normal_(w, 0.5, 1.0, 0, 1),
    "{uniform: {low: -0.5, high: 0.25}}": lambda w: nn_init.uniform_(w, -0.5, 0.25),
    "{uniform: {low: 0, high: 1}}": lambda w: nn_init.uniform_(w),
    "{constant: 0.3}": lambda w: nn_init.constant_(w, 0.3),
    "-2": lambda w: nn_init.constant_(w, -2),
    "zeros": lambda w: nn_init.zeros_(w),
    "ones": lambda w: nn_init.ones_(w),
    "{orthogonal: 3}": lambda w: nn_init.orthogonal_(w, gain=3),
    "dirac": lambda w: nn_init.dirac_(w),
    "{dirac: 2}": lambda w: nn_init.dirac_(w, groups=2),
}


def begun(call: Callable[[Any], Any]) -> Any:
    torch.manual_seed(0)
    return call(torch.full((4, 3, 3, 3), torch.nan))


@pytest.mark.parametrize("how", CALLS)
def test_values_are_those_of_torch(how: str) -> None:
    function, options = decided(with_rules(f".conv.weight: {how}"))["conv.weight"]
    assert torch.equal(begun(lambda w: getattr(nn_init, function)(w, **options)), begun(CALLS[how]))


def test_every_initializer_is_compared() -> None:
    assert {how.strip("{").partition(":")[0] for how in CALLS} >= set(INITIALIZERS)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_names_and_defaults_are_those_of_torch(name: str) -> None:
    one = INITIALIZERS[name]
    theirs = inspect.signature(getattr(nn_init, f"{name}_")).parameters
    ours = {one.torch.get(here, here): param for here, param in one.signature.params.items()}
    assert set(ours) == set(theirs) - {"tensor", "generator"}
    assert all(param.required or param.default == theirs[there].default for there, param in ours.items())


@pytest.mark.parametrize("name", INITIALIZERS)
def test_shapes_that_are_refused_are_those_that_torch_refuses(name: str) -> None:
    options = {"uniform": {"a": 0, "b": 1}, "constant": {"val": 1}}.get(name, {})
    for groups in (1, 2, 3) if name == "dirac" else (1,):
        given = options | ({"groups": groups} if groups > 1 else {})
        for rank in range(7):
            shape = (4, 3, 2, 2, 2, 2)[:rank]
            assert (INITIALIZERS[name].refusal(shape, given) is None) == accepted(name, shape, given), (shape, given)


def accepted(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> bool:
    try:
        getattr(nn_init, f"{name}_")(torch.empty(shape), **options)
    except ValueError:
        return False
    return True
