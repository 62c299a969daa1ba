"""What other tools print, against figures measured with the tools themselves.

tests/figures/tools.csv holds a row for each tool, network and quantity, measured on torch 2.13.0 (CPU) in evaluation
mode for one image; rows of torchvision and keras are figures that they publish. Networks are specs that ship, or the
small ones below. `pytest -m heavy` measures them again with every tool that is installed.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.machinery
import importlib.util
import io
import subprocess
import sys
import types
import warnings
from functools import cache
from typing import Any

import pytest

from archc.analysis.compare.conventions import TOOLS, Convention, as_tool
from archc.analysis.compare.conventions.form import HookedLayer
from archc.elaborate.compiler import compile_spec, compile_text
from archc.graph import Graph, Node, Scope, Value
from archc.ops import OPERATORS, op
from archc.ops.facts import Between, Expression, Facts, Module
from archc.ops.shape import Shape
from tests.helpers.tool_specs import SMALL, SPECS, TABLE
from tests.ops.cases import CASES, Case


@cache
def graph_of(network: str) -> Graph:
    """The deployed network of a row: a small one, or `vit_h14 depth=2` for a spec that ships, changed."""
    name, *changes = network.split()
    if name in SMALL:
        model = compile_text(f"archc: 1\nname: {name}\n{SMALL[name]}")
    else:
        model = compile_spec(str(SPECS / f"{name}.yaml"), dict(change.split("=") for change in changes))
    assert model.graph is not None, f"{network} has errors"
    return model.graph.deployed()


# The tools themselves


def build(graph: Graph) -> Any:
    """The network as an nn.Module: each layer a submodule under its name, expressions in its forward."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    space: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
    net = nn.Module()
    steps, modules = [], {}
    for node in graph.nodes:
        name, form = node.name.replace(".", "_") + "_", node.facts.torch
        own = None
        if isinstance(form, Module):
            if form.source and form.name not in space:
                exec(form.source, space)
            text = form.call
            own = modules[node] = modules[node.shared] if node.shared else eval(form.construction(), space)
            if not node.shared:
                net.add_module(name, own)
        else:
            assert isinstance(form, Expression)
            text = form.text
            if form.start:
                own = nn.Parameter(eval(form.start, space))
                net.register_parameter(name, own)
        inputs = [f"x[{i}]" for i in range(len(node.inputs))]
        steps.append((node, own, compile(text.format(*inputs, self="own"), node.name, "eval")))

    def forward(*inputs: Any, **named: Any) -> Any:
        values = dict(zip(graph.inputs.values(), [*inputs, *named.values()], strict=True))
        for node, own, code in steps:
            result = eval(code, space | {"own": own, "x": [values[value] for value in node.inputs]})
            values.update(zip(node.outputs, result if len(node.outputs) > 1 else [result], strict=True))
        return [values[value] for value in graph.outputs.values()]

    net.forward = forward
    return net.eval()


def input_of(graph: Graph) -> Any:
    import torch

    (value,) = graph.inputs.values()
    integers = any(node.kind == "embedding" for node in graph.nodes)
    return torch.zeros(1, *value.shape, dtype=torch.long) if integers else torch.zeros(1, *value.shape)


def by_torchinfo(net: Any, x: Any) -> dict[str, int]:
    from torchinfo import summary

    found = summary(net, input_data=x, verbose=0)
    return {"Total mult-adds": found.total_mult_adds, "Total params": found.total_params}


def by_fvcore(net: Any, x: Any) -> dict[str, int]:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    flops = FlopCountAnalysis(net, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return {"#flops": flops.total(), "#parameters": parameter_count(net)[""]}


def by_thop(net: Any, x: Any) -> dict[str, int]:
    from thop import profile

    macs, params = profile(net, (x,), verbose=False)
    return {"macs": macs, "params": params}


def by_ptflops(net: Any, x: Any, backend: str = "pytorch") -> dict[str, int]:
    from ptflops import get_model_complexity_info

    macs, params = get_model_complexity_info(net, tuple(x.shape[1:]), as_strings=False, print_per_layer_stat=False, backend=backend,
                                             input_constructor=lambda _: {"x": x})  # fmt: skip
    return {"Computational complexity": macs, "Number of parameters": params}


def by_ptflops_aten(net: Any, x: Any) -> dict[str, int]:
    return by_ptflops(net, x, "aten")


def by_calflops(net: Any, x: Any) -> dict[str, int]:
    """Its __init__ imports transformers; its counter does not, so the package is entered without it."""
    if "calflops" not in sys.modules:
        found = importlib.machinery.PathFinder.find_spec("calflops")
        if found is None:
            raise ImportError("calflops is not installed")
        package = types.ModuleType("calflops")
        package.__path__ = list(found.submodule_search_locations or ())
        sys.modules["calflops"] = package
    import torch
    from calflops.flops_counter import calculate_flops

    owners = (torch, torch.nn.functional)
    saved = [dict(vars(owner)) for owner in owners]
    methods = {name: getattr(torch.Tensor, name) for name in ("matmul", "addmm", "mul", "add")}
    try:
        flops, macs, params = calculate_flops(net, args=[x], print_results=False, output_as_string=False)
    finally:  # it leaves torch patched where it fails, and baddbmm always
        for owner, names in zip(owners, saved, strict=True):
            vars(owner).update(names)
        for name, method in methods.items():
            setattr(torch.Tensor, name, method)
    return {"fwd MACs": macs, "fwd FLOPs": flops, "Total Training Params": params}


MEASURED = {
    "torchinfo": by_torchinfo,
    "fvcore": by_fvcore,
    "thop": by_thop,
    "ptflops": by_ptflops,
    "ptflops-aten": by_ptflops_aten,
    "calflops": by_calflops,
}


def measure(tool: str, network: str) -> dict[str, int]:
    """What the tool itself says; an empty dict where it fails."""
    graph = graph_of(network)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return MEASURED[tool](build(graph), input_of(graph))


# The figures


with TABLE.open(encoding="utf-8") as file:
    ROWS = [tuple(row.values()) for row in csv.DictReader(file)]


OF_PARAMETERS = ("Total params", "#parameters", "params", "Number of parameters", "Total Training Params", "num_params")


NETWORKS = sorted({network for _, _, network, _, _ in ROWS})


@cache
def convention(tool: str, network: str) -> Convention:
    return as_tool(graph_of(network), tool)


@pytest.mark.parametrize("tool", sorted({row[0] for row in ROWS}))
def test_the_figures_are_the_tools_own(tool: str) -> None:
    for row in ROWS:
        if row[0] == tool:
            assert (row, _ours(*row)) == (row, row[1:2] + row[3:])


def _ours(tool: str, version: str, network: str, quantity: str, _: str) -> tuple[str, str, str]:
    """The version, quantity and figure that archc says for those of a row."""
    found = convention(tool, network)
    told = version if version.startswith(found.version) or tool in ("torchvision", "keras") else found.version
    if quantity in OF_PARAMETERS:
        return told, quantity, str(found.parameters)
    if tool == "torchvision":
        return told, quantity, str(round(found.total / 1e9, 3))
    return told, found.quantity, str(found.total)


@pytest.mark.parametrize("tool", TOOLS)
def test_lines_lead_from_archcs_figure_to_the_tools(tool: str) -> None:
    for network in NETWORKS:
        found = convention(tool, network)
        assert found.macs == sum(node.facts.macs for node in graph_of(network).nodes)
        assert found.ours + sum(line.amount for line in found.lines) == found.total
        assert found.own_parameters == convention("torchinfo", network).parameters
        amounts = [abs(line.amount) for line in found.lines]
        assert amounts == sorted(amounts, reverse=True) and 0 not in amounts
        assert {type(amount) for amount in (found.total, found.macs, found.parameters, *amounts)} == {int}


def test_resnet50_by_thop() -> None:
    found = convention("thop", "resnet50")
    assert [(line.what, line.amount) for line in found.lines] == [
        ("batchnorm: 4 per value", 44_455_936),
        ("global_avgpool: 1 per value of its window and 1 more, per output value", 102_400),
    ]
    assert found.total == 4_133_742_592


def test_a_transformer_by_thop_loses_attention() -> None:
    found = convention("thop", "vit_h14 depth=2")
    assert [(line.what, line.amount) for line in found.lines] == [
        ("attention: not counted", -3_706_721_280),
        ("layernorm: 4 per value", 6_579_200),
    ]
    assert [line.what for line in found.parameter_lines] == [
        "attention: not counted",
        "position_embedding: not counted",
        "class_token: not counted",
    ]


def test_papers_differ_by_where_the_stride_is() -> None:
    assert convention("papers", "resnet50").notes[-1] == (
        "the stride of 3 bottlenecks is on the 3x3 convolution (v1.5, 4.09 G); on the 1x1 before it, as in the first ResNets, it is 3.86 G"
    )
    for network in ("resnet18", "mobilenet_v2", "resnext50", "densenet121"):
        assert len(convention("papers", network).notes) == 1


def test_keras_prints_parameters_alone() -> None:
    found = convention("keras", "resnet50")
    assert (found.counts, found.ours, found.total, found.macs) == ("parameters", 25_557_032, 25_610_152, 4_089_184_256)
    assert [(line.what, line.amount) for line in found.lines] == [("batchnorm: moving mean and variance, not trained", 53_120)]


def test_flops_are_two_for_each_multiply_accumulate() -> None:
    found = convention("calflops-flops", "resnet50")
    assert (found.lines[0].what, found.lines[0].amount) == ("a multiply-accumulate is two operations", found.macs)
    assert "8.21 G" in convention("calflops", "resnet50").notes[0]


def test_operators_that_no_row_has_are_said_to_be_unknown() -> None:
    used = {node.kind for network in NETWORKS for node in graph_of(network).nodes}
    layers = [node_of(case) for case in CASES]
    assert {node.kind for node in layers if HookedLayer(node).known} - used == {"identity", "clone"}


def node_of(case: Case) -> Node:
    """The layer of a case alone."""
    inputs = tuple(Value(None, 0, shape) for shape in case.inputs())
    return Node(case.op, OPERATORS[case.op], case.args, inputs, case.facts(), Scope("", None))


def test_products_without_weights_are_said_to_be_unknown() -> None:
    text = "archc: 1\nname: ask\ninput: [2, 6, 4]\nlayers: {ask: {from: [input, input, input], scaled_dot_product_attention: }}"
    graph = compile_text(text).graph
    assert graph is not None and not HookedLayer(graph.nodes[0]).known


def test_an_operator_of_a_plugin() -> None:
    @op(name="strange")
    def strange(x: Shape) -> Facts:
        """[*] -> [*]. Something else."""
        return Facts(x, macs=Between(7), torch=Module("Strange", source="class Strange(nn.Identity): pass"))

    try:
        graph = compile_text("archc: 1\nname: odd\ninput: [3, 4, 4]\nlayers: [{conv: 2}, strange, relu]").graph
        assert graph is not None
        for tool in TOOLS:
            found = as_tool(graph, tool)
            assert found.macs == 96 + 7
            assert found.notes[-2:] == (
                "what the tool makes of strange is not known: archc's MACs stand for it",
                "the MACs of strange are not exactly known: their lower bound stands for them",
            )
    finally:
        OPERATORS.remove("strange")


def test_a_tool_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no tool is called thopp; did you mean"):
        as_tool(graph_of("resnet18"), "thopp")


def test_torch_is_not_imported() -> None:
    code = "import sys, archc.analysis.compare.conventions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# An upsample by unequal factors stops calflops, so that the table has no such row.
MEASUREMENTS = sorted({(tool, network) for tool, _, network, _, _ in ROWS if tool in MEASURED})


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("tool", "network"), MEASUREMENTS)
def test_the_tool_itself(tool: str, network: str) -> None:
    package = tool.partition("-")[0]
    if importlib.util.find_spec("torch") is None or (package not in sys.modules and importlib.util.find_spec(package) is None):
        pytest.skip(f"{package} is not installed")
    rows = {quantity: int(value) for name, _, where, quantity, value in ROWS if where == network and name in (tool, f"{tool}-flops")}
    assert measure(tool, network) == rows
