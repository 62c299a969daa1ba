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
from archc.graph import Graph
from archc.ops import OPERATORS, op
from archc.ops.facts import Between, Expression, Facts, Module
from archc.ops.shape import Shape
from tests.helpers.paths import FIGURES, ROOT

TABLE = FIGURES / "tools.csv"
SPECS = ROOT / "specs"

SMALL = {
    "grouped": """
input: [16, 20, 20]
layers:
  - {conv: {channels: 32, kernel: 3, groups: 4}}
  - {batchnorm: {affine: false}}
  - {leaky_relu: }
  - {conv: {channels: 32, kernel: 3, padding: same, groups: depthwise, bias: false}}
  - {batchnorm: {track: false}}
  - relu6
  - {conv: {channels: 64, kernel: [1, 5], stride: 2, padding: [0, 2], dilation: 2, padding_mode: circular}}
  - {avgpool: {kernel: 3, stride: 2, padding: 1}}
""",
    "one_sided": """
input: [3, 33, 33]
layers:
  - {conv: {channels: 8, kernel: 4, padding: same}}
  - {conv: {channels: 8, kernel: 3, stride: 2, padding: same_upper}}
  - {maxpool: {kernel: 2, padding: same_upper}}
  - {avgpool: {kernel: 2, padding: same, count_padding: false}}
""",
    "conv1d": """
input: [4, 101]
layers:
  - {conv: {channels: 8, kernel: 5, stride: 2}}
  - batchnorm
  - elu
  - {maxpool: {kernel: 3, ceil: true}}
  - {conv: {channels: 8, kernel: 3, groups: 2, bias: false}}
  - {instancenorm: {affine: true}}
  - {lrn: {size: 5}}
  - {lppool: {norm: 2, kernel: 2}}
  - {conv_transpose: {channels: 6, kernel: 3, stride: 2}}
  - {upsample: {scale: 2, mode: linear}}
  - {adaptive_avgpool: {size: 3}}
  - global_avgpool
  - flatten
  - {linear: {features: 10, bias: false}}
  - softmax
""",
    "conv3d": """
input: [2, 9, 10, 11]
layers:
  - {conv: {channels: 8, kernel: 3}}
  - batchnorm
  - prelu
  - {maxpool: {kernel: 2}}
  - {conv_transpose: {channels: 4, kernel: 2, stride: 2, bias: false}}
  - instancenorm
  - {lppool: {norm: 2, kernel: 2}}
  - {upsample: {scale: 2}}
  - {upsample: {scale: 2, mode: linear}}
  - {avgpool: {kernel: 3}}
  - {adaptive_maxpool: {size: 1}}
""",
    "transposed": """
input: [16, 7, 9]
layers:
  - {conv_transpose: {channels: 8, kernel: 3, stride: 2, padding: 1, output_padding: 1}}
  - {conv_transpose: {channels: 12, kernel: [2, 4], stride: 2, groups: 4}}
  - {conv_transpose: {channels: 12, kernel: 3, groups: depthwise, dilation: 2, bias: false}}
  - {conv_transpose: {channels: 12, kernel: 4, stride: 2, padding: 1, groups: depthwise}}
""",
    "pools": """
input: [6, 23, 17]
layers:
  - {conv: 6}
  - {maxpool: {kernel: 3, stride: 2, ceil: true}}
  - {lppool: {norm: 2, kernel: 2, stride: 1}}
  - {lrn: {size: 3}}
  - {avgpool: {kernel: 2, stride: 1}}
  - {upsample: {scale: 3}}
  - {upsample: {size: [25, 31], mode: linear}}
  - {adaptive_avgpool: {size: 7}}
  - {adaptive_maxpool: {size: 5}}
  - {adaptive_avgpool: {size: [3, 2]}}
  - global_maxpool
  - flatten
  - log_softmax
""",
    "activations": """
input: [8, 6, 6]
layers: [relu, relu6, {leaky_relu: 0.2}, prelu, {prelu: {shared: false}}, elu, selu, celu, gelu, {gelu: tanh}, silu, mish, sigmoid, tanh,
  hardswish, hardsigmoid, hardtanh, softplus, softsign, logsigmoid, tanhshrink, hardshrink, softshrink,
  {threshold: {threshold: 0.1, value: 2}}, glu, {softmax: 0}, {log_softmax: -1}, {dropout: 0.5}, {spatial_dropout: 0.5}, {drop_path: 0.1}]
""",
    "norms": """
input: [12, 10, 10]
layers:
  - batchnorm
  - {batchnorm: {affine: false, track: false}}
  - {groupnorm: {groups: 3}}
  - {groupnorm: {groups: 4, affine: false}}
  - instancenorm
  - {instancenorm: {affine: true}}
  - {layernorm: {axis: channels}}
  - layernorm
  - {layernorm: {affine: false}}
  - {layernorm: {bias: false}}
  - {layer_scale: 0.1}
  - {lrn: {size: 4}}
  - tokens
  - rmsnorm
  - {rmsnorm: {affine: false}}
  - {layer_scale: 0.1}
  - flatten
  - {linear: 5}
  - batchnorm
""",
    "tokens": """
input: [17]
layers:
  words: {embedding: {entries: 50, features: 24}}
  pos: position_embedding
  hidden: {linear: 48}
  act: gelu
  back: {linear: {features: 24, bias: false}}
  class: class_token
  norm: layernorm
  ask: {attention: {heads: 4}}
  plain: {attention: {heads: 3, bias: false}}
  cross: {from: [plain, back], attention: {heads: 2}}
  average: mean
  head: {linear: 10}
""",
    "products": """
input: [6, 8, 8]
layers:
  k: {conv: 4}
  q: {from: input, conv: 4}
  kt: {from: k, tokens: }
  qt: {from: q, reshape: {shape: [4, 64]}}
  scores: {from: [kt, qt], matmul: }
  norm: {softmax: -1}
  all: {from: [norm, kt], matmul: }
  mixed: {linear: 7}
  turned: transpose
  last: {linear: 3}
""",
    "gates": """
input: [8, 12, 12]
layers:
  a: {conv: {channels: 16, kernel: 3, padding: 1}}
  parts: {split: {parts: 2}}
  one: {from: parts.0, relu: }
  two: {from: parts.1, sigmoid: }
  gate: {from: [one, two], mul: }
  sum: {from: [gate, input], add: }
  both: {from: [sum, gate], concat: }
  mean: {from: [both, both], average: }
  shuffle: {channel_shuffle: 4}
  up: {pixel_shuffle: 2}
  cut: {crop: {sides: [1, 1, 2, 2]}}
  wide: {pad: {sides: [2, 2, 2, 2], mode: reflect}}
  last: {conv: {channels: 4, kernel: 3}}
""",
    "damped": """
input: [3, 8, 8]
layers:
  - {conv: {channels: 6, kernel: 3, padding: 1}}
  - {scale: 0.17}
  - {conv: {channels: 4, kernel: 1}}
  - {split: {sizes: [1, 3]}}
  - {from: ["3.0"], scale: 2}
  - flatten
  - {linear: 5}
  - {scale: 0.5}
""",
    "turned": """
input: [6, 8, 5]
layers:
  map: {conv: 12}
  seen: {from: map, tokens: }
  act: gelu
  scale: {layer_scale: 0.5}
  pos: position_embedding
  drop: {dropout: 0.1}
  first: {linear: 12}
  sum: {from: [seen, first], add: }
  second: {linear: 12}
  other: {from: [first, seen], add: }
  third: {linear: 12}
  norm: {from: seen, layernorm: }
  fourth: {linear: 12}
  ask: {from: seen, attention: {heads: 3}}
  cross: {from: [fourth, seen], attention: {heads: 2}}
  crossed: {from: [seen, cross], attention: {heads: 4}}
  soft: {from: seen, softmax: -1}
  fifth: {linear: 12}
  joined: {from: [seen, fifth], concat: }
  sixth: {linear: 12}
  line: {from: map, reshape: {shape: [12, 40]}}
  normed: {layernorm: {axis: channels}}
  seventh: {linear: 5}
  order: {permute: [1, 0]}
  cut: {split: {parts: 5}}
  eighth: {from: cut.0, linear: 4}
  relu: {from: cut.1, relu: }
  ninth: {linear: 4}
  halves: {from: fourth, split: {parts: 2, axis: 1}}
  tenth: {from: halves.0, linear: 4}
  tanh: {from: halves.1, tanh: }
  eleventh: {linear: 4}
  thirds: {from: fourth, split: {parts: 4}}
  twelfth: {from: thirds.2, linear: 4}
outputs: [second, third, ask, crossed, sixth, eighth, ninth, tenth, eleventh, twelfth]
""",
    "unused": """
input: [4, 9, 9]
layers:
  one: {conv: 6}
  idle: {from: one, conv: 8}
  norm: {from: one, batchnorm: }
  spare: batchnorm
  two: {from: norm, conv: 3}
outputs: [two]
""",
    "shared": """
input: [8, 10, 10]
layers:
  conv: {conv: {channels: 8, kernel: 3, padding: 1}}
  bn: batchnorm
  relu: relu
  again: {share: conv}
  bn_again: {share: bn}
  pool: global_avgpool
  flat: flatten
  fc: {linear: 8}
  fc_again: {share: fc}
""",
    "uneven": """
input: [4, 8, 8]
layers: [{conv: 4}, {upsample: {scale: [2, 3]}}, {upsample: {scale: [1, 2], mode: linear}}]
""",
}  # fmt: skip


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


@pytest.mark.parametrize(("tool", "version", "network", "quantity", "value"), ROWS)
def test_the_figure_is_the_tools_own(tool: str, version: str, network: str, quantity: str, value: str) -> None:
    found = convention(tool, network)
    assert version.startswith(found.version) or tool in ("torchvision", "keras")
    if quantity in OF_PARAMETERS:
        assert str(found.parameters) == value
    elif tool == "torchvision":
        assert round(found.total / 1e9, 3) == float(value)
    else:
        assert (found.quantity, str(found.total)) == (quantity, value)


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


def test_the_small_networks_use_every_operator() -> None:
    used = {node.kind for network in NETWORKS for node in graph_of(network).nodes}
    shipped = {name for name in OPERATORS if OPERATORS[name].module.startswith("archc.")}
    assert shipped - used == {"identity", "clone", *UNKNOWN_TO_TOOLS}


UNKNOWN_TO_TOOLS = ("opaque", "scaled_dot_product_attention")


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
