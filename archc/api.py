"""The Python interface: load, capture, analyze, check, source, build."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TypeGuard

from archc.analysis.checks import check as checks
from archc.analysis.cost import report as cost
from archc.analysis.recompute import CheckpointPlan, plan_of
from archc.elaborate.compiler import Model, compile_spec, compile_text
from archc.elaborate.given import Input, batch_hint, changes_of, describe, missing_input
from archc.errors import ArchcError, ArgumentError, UsageError
from archc.graph import Graph
from archc.text.diagnostics import Diagnostic, SpecError, SpecWarning, draw

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from archc.analysis.compare.diff import Difference
    from archc.analysis.memory.timeline import Timeline
    from archc.analysis.recompute.planner import Planned
    from archc.analysis.time.roofline import Roofline
    from archc.catalog.devices.device import Device
    from archc.draw.picture import Picture
    from archc.importing import Import

    Net = Graph | nn.Module | str | PathLike[str]  # a graph, a PyTorch module, or a spec: its file, or the name of one that ships
    Example = int | str | Sequence[int] | Tensor
    ModuleInput = Example | Sequence[Example] | dict[str, Example] | None  # a shape without the batch, or a tensor with it

Checkpoint = CheckpointPlan | str | PathLike[str] | None


def load(spec: str | PathLike[str], *, input: Input = None, **params: Any) -> Graph:
    """The network of a spec, which is a file or the name of a network that ships.

    input: the shape of the input without a batch axis, as (3, 64, 64), or a dict of shapes by name; it must have as many axes as the spec's
    params: values for the parameters of the spec

    Raises SpecError, whose text is the drawn diagnostics; warns with a SpecWarning.
    """
    if _is_module(spec):
        raise UsageError("a module is no spec: archc.capture(module, input) gives its network")
    return _graph(compile_spec(fspath(spec), *changes_of(input, params)))


def loads(text: str, *, input: Input = None, **params: Any) -> Graph:
    """The network of a spec given as text. Otherwise like `load`."""
    return _graph(compile_text(text, *changes_of(input, params)))


def capture(module: nn.Module, input: ModuleInput, *, name: str = "", leaves: Iterable[str] = ()) -> Graph:
    """The graph of a PyTorch module, which all functions here take. The module is left unchanged. See docs/import.md.

    input: a shape without the batch axis, (3, 224, 224) or "3x224x224"; a list of shapes for several inputs; a dict by the names of
        forward's parameters; or tensors with a batch in place of shapes, whose values are read where they decide what the module does
    name: the name of the network (default: the module's class)
    leaves: names of classes whose modules each become one opaque layer: ["mypkg.Attention"]

    What no operator expresses becomes a layer `opaque`, with its shapes and weights; `graph.captured` holds what else is known.
    Raises CaptureError, ArgumentError, and whatever the module itself raises.
    """
    if not _is_module(module):
        raise ArgumentError(f"a module of PyTorch is expected, not {describe(module)}; a spec is read by archc.load")
    if input is None:
        raise missing_input(module)
    from archc.tracing import capture as captured

    try:
        return captured(module, input, name=name, leaves=leaves)
    except ArchcError:
        raise
    except Exception as error:  # the module's own, which stays as it is
        if hint := batch_hint(input):
            error.add_note(hint)
        raise


def import_model(
    source: Net,
    *,
    input: ModuleInput = None,
    weights: str | PathLike[str] | None = None,
    leaves: Iterable[str] = (),
    name: str = "",
    flat: bool = False,
) -> Import:
    """A model of PyTorch or of another tool as a spec: `.text`, `.graph`, `.save_weights(path)`, `.report()`. See docs/import.md.

    source: a module, with its `input` as in `capture`; a captured graph; a file (.onnx, .cfg, .prototxt, .keras, …); or what makes a
        model, "model.py:make_net" or "timm:resnet50", whose code is run
    weights: the file of weights that belongs to the source, where they are not in it
    flat: layer by layer, without blocks and repeats

    Raises ImportedError, SpecError, CaptureError, and what the model's own code raises.
    """
    from archc.importing import import_graph, import_source

    if isinstance(source, Graph):
        return import_graph(source, flat=flat)
    if _is_module(source):
        return import_graph(capture(source, input, name=name, leaves=leaves), source, flat=flat)
    if not isinstance(source, str | PathLike):
        raise UsageError(f"a source is a file, a module of PyTorch, or what makes one, not {describe(source)}")
    given = [f"{key}={_size_text(one)}" for key, one in input.items()] if isinstance(input, dict) else [_size_text(input)] if input else []
    beside = None if weights is None else fspath(weights)
    return import_source(fspath(source), inputs=given, weights=beside, leaves=leaves, name=name, flat=flat)


def _size_text(size: Any) -> str:
    return size if isinstance(size, str) else "x".join(map(str, size if isinstance(size, Sequence) else (size,)))


def analyze(net: Net, *, batch: int = 1, dtype: str | None = None, optimizer: str | None = None, input: ModuleInput = None) -> cost.Report:
    """The cost of a deployed network, without what exists only in training.

    net: a graph, a spec, or a PyTorch module, which needs the shape of its `input` as in `capture`; the same in all functions here
    dtype: by default, that of a module's own parameters, and float32 for a spec

    Counts are for one image; `batch`, `dtype` and `optimizer` change only `report.memory`, which is in bytes. Raises SpecError, ValueError.
    """
    graph = _to_graph(net, input)
    return cost.analyze(graph.deployed(), batch, dtype or graph.dtype, optimizer)


def memory(
    net: Net,
    *,
    batch: int = 1,
    optimizer: str = "sgd",
    how: str = "",
    loss: str = "auto",
    dtype: str | None = None,
    amp: str = "",
    device: str = "cuda",
    inference: bool = False,
    checkpoint: Checkpoint = None,
    accumulate: int = 1,
    input: ModuleInput = None,
) -> Timeline:
    """The memory of a training step or of inference over time, in bytes: `.peak_bytes`, `.peak_at`, `.by_kind()`. See docs/memory.md.

    batch: images in one step
    optimizer: any that a recipe may name: sgd, momentum, nesterov, adam, adamw, …
    how: the optimizer's implementation: loop, foreach or fused (default: the choice of torch.optim)
    loss: auto, cross_entropy, mse or sum; amp: bfloat16 or float16, under torch.autocast; device: cuda or cpu
    checkpoint: what backward recomputes, as in `build`
    accumulate: passes into which the batch is divided, as in `train`

    Raises SpecError, ValueError.
    """
    from archc.analysis.memory import timeline as simulated

    graph = _to_graph(net, input)
    dtype = dtype or graph.dtype
    options = simulated.Options(batch, dtype=dtype, optimizer=optimizer, how=how, loss=loss, device=device, amp=amp, accumulate=accumulate)
    if not inference:
        return simulated.training(graph, options, None if checkpoint is None else plan_of(graph, checkpoint))
    if checkpoint is not None:
        raise ArgumentError("a checkpoint plan is for training; leave out either it or `inference`")
    return simulated.inference(graph, options)


def checkpoint(
    net: Net,
    *,
    memory: int | str,
    batch: int,
    optimizer: str = "sgd",
    how: str = "",
    loss: str = "auto",
    dtype: str | None = None,
    amp: str = "",
    device: str = "cuda",
    accumulate: int = 1,
    input: ModuleInput = None,
) -> Planned:
    """A checkpointing plan with which a training step fits a memory, at the least recomputing: `.plan`, `.fits`, `.after.peak_bytes`.

    memory: bytes, or a text such as "24GiB"; the other arguments are those of `memory`

    `build(net, checkpoint=planned.plan)` builds the network with the plan. If none fits, `.plan` has the smallest peak found.
    Raises SpecError, ValueError.
    """
    from archc.analysis.memory.timeline import Options
    from archc.analysis.recompute import planner
    from archc.text.quantity import read_size

    room: int | float | None = memory if not isinstance(memory, str) else None
    if isinstance(memory, str) and not memory.strip().isdigit():  # a number is bytes here, so digits in a text would mean two things
        room = read_size(memory)
    if room is None or room < 1:
        raise ArgumentError(f"{memory!r} is not a size; write 24GiB")
    graph = _to_graph(net, input)
    dtype = dtype or graph.dtype
    options = Options(batch, dtype=dtype, optimizer=optimizer, how=how, loss=loss, device=device, amp=amp, accumulate=accumulate)
    return planner.plan(graph, options, int(room))


def roofline(
    net: Net,
    *,
    device: Device | str | PathLike[str],
    batch: int = 1,
    dtype: str | None = None,
    training: bool = False,
    devices: str | PathLike[str] | None = None,
    input: ModuleInput = None,
) -> Roofline:
    """The least time in seconds that a device could take for a step of `batch` images: a bound, not a forecast. See docs/time.md.

    device: a name (`archc devices` lists them), a .yaml file with one device, or a Device; `devices`: a file with more devices
    dtype: float64, float32, tf32, float16 or bfloat16; training: forward and backward, without the optimizer

    If `archc calibrate` measured the device, `.forecast` is the time in seconds that a step should take.
    Raises SpecError, and DeviceError (a ValueError) for an unknown device or dtype.
    """
    from archc.analysis.time.roofline import roofline as bound
    from archc.catalog.devices.catalogue import find, load_file
    from archc.catalog.devices.device import Device

    more = load_file(devices) if devices is not None else None
    found = device if isinstance(device, Device) else find(fspath(device), more)
    graph = _to_graph(net, input)
    return bound(graph, found, batch, dtype or graph.dtype, training)


def diff(old: Net, new: Net, *, input: ModuleInput = None) -> Difference:
    """The changes from one network to another, and what they cost: `.changes`, `.same`, `.structural`. Raises SpecError."""
    from archc.analysis.compare.diff import compare

    return compare(*_to_graphs([old, new], input))


def fold(net: Net, *, input: ModuleInput = None) -> str:
    """The shortest spec that archc finds for a network, as text: blocks that ship, repeats, rows of a table. It elaborates to the very
    same network, which is proved before it is returned (`archc diff --exact` says what that means). Raises SpecError.
    """
    from archc.folding import fold as folded

    return folded(_to_graph(net, input))


def report(
    net: Net,
    other: Net | None = None,
    *,
    device: Device | str | PathLike[str] = "a100-40gb",
    batch: int = 32,
    dtype: str | None = None,
    optimizer: str = "sgd",
    inference: bool = False,
    input: ModuleInput = None,
) -> str:
    """One page, as HTML that needs no connection, with everything known about a network, or about two side by side.

    The options are the initial choices on the page, which its reader can change. dtype: also tf32, or autocast (to bfloat16)
    Raises SpecError, DeviceError, ValueError.
    """
    from archc.catalog.devices.catalogue import find
    from archc.catalog.devices.device import Device
    from archc.html import TrainingChoice
    from archc.html import report as page

    graphs = _to_graphs([net] if other is None else [net, other], input)
    found = device if isinstance(device, Device) else find(fspath(device))
    return page(graphs, found, TrainingChoice(batch, dtype or graphs[0].dtype, optimizer, inference))


def render(
    net: Net,
    *,
    style: str | None = None,
    theme: str = "light",
    depth: int | None = None,
    block: str | None = None,
    layers: Sequence[str] = (),
    input: ModuleInput = None,
) -> Picture:
    """A network as a picture, which a notebook shows: `.svg`, `.save("net.pdf")`. See docs/render.md for the styles.

    style: graph (the default), volumes, block, cost or field; theme: light or dark
    depth: levels of blocks to open; block: the block to draw in detail; layers: the layers whose receptive field is drawn

    If Graphviz is not installed, the default style is volumes or cost, and `.note` says so. Raises SpecError, DrawError, ArgumentError.
    """
    from archc.draw.picture import draw as drawn

    return drawn(_to_graph(net, input), style, theme, depth, block, layers)


def source(
    net: Net, *, optimize: str = "", checkpoint: Checkpoint = None, convolutional: bool = False, input: ModuleInput = None, **params: Any
) -> str:
    """The PyTorch source of a network: a Python module that needs only torch. Options are those of `build`. Raises SpecError."""
    from archc.codegen.lowering import lower

    return lower(_to_graph(net, input, params), optimize, checkpoint, convolutional).source.text


def build(
    net: Net,
    *,
    device: str | None = None,
    dtype: str | None = None,
    memory_format: str | None = None,
    weights: str | PathLike[str] | None = None,
    rename: Sequence[str] = (),
    partial: bool = False,
    deployed: bool = False,
    optimize: str = "",
    convolutional: bool = False,
    checkpoint: Checkpoint = None,
    autocast: str = "",
    compile: bool = False,
    input: ModuleInput = None,
    **params: Any,
) -> nn.Module:
    """The network as a torch.nn.Module, made from its source, in training mode.

    device: cpu, cuda, cuda:1, mps, meta, or auto for the best available; dtype: of its floats, such as float32 or bf16
    memory_format: contiguous, channels_last or auto
    weights: a .safetensors or .pth file, loaded by name after the `s/…/…/` rules of `rename`; `partial` loads what fits
    deployed: without what exists only in training
    optimize: "inference" (batch normalization folded, dead layers dropped, in place, channels_last; in eval mode) or "train"
        (in place where autograd allows it, channels_last)
    convolutional: dense layers behind a flattened map as convolutions with the same weights, for larger inputs and maps of scores
    checkpoint: what backward recomputes in training, so that less is kept: "norms", "blocks", a file, or a CheckpointPlan
    autocast: a dtype such as bf16, under which torch.autocast runs each forward; compile: whether torch.compile compiles it

    Raises SpecError, WeightsError, PlaceError, ValueError.
    """
    from archc.runtime.build.build import BuildOptions
    from archc.runtime.build.build import build as built

    build_options = BuildOptions(
        device=device,
        dtype=dtype,
        memory_format=memory_format,
        weights=weights,
        rename=tuple(rename),
        partial=partial,
        deployed=deployed,
        optimize=optimize,
        convolutional=convolutional,
        autocast=autocast,
        compiled=compile,
        checkpoint=checkpoint,
    )
    return built(_to_graph(net, input, params), build_options)


def optimizer(module: nn.Module, name: str, **options: Any) -> Optimizer:
    """An optimizer of torch.optim by its name in a recipe (sgd, momentum, adamw, …), fused if possible."""
    from archc.runtime.build.optimizers import optimizer as made

    return made(module, name, **options)


def check(net: Net, *, input: ModuleInput = None) -> list[Diagnostic]:
    """What is not as the spec expects: broken promises, exceeded limits, weights that lead to no output, outputs that are inputs.

    The list is empty if everything is as expected. Inherited promises that no longer hold for a changed network have the severity "note".
    """
    return checks.check(_to_graph(net, input))


def _to_graph(net: Net, input: ModuleInput = None, params: dict[str, Any] | None = None) -> Graph:
    """The one place where whatever stands for a network becomes its graph."""
    if isinstance(net, Graph):
        if input is not None or params:
            raise UsageError("a network that is loaded or captured has its input and parameters; give them to archc.load or archc.capture")
        return net
    if _is_module(net):
        if params:
            raise UsageError(f"a module has no parameters of a spec to change: {', '.join(params)}")
        return capture(net, input)
    if not isinstance(net, str | PathLike):
        if isinstance(net, type):
            raise UsageError(f"{describe(net)}, not a module: make one, {net.__name__}(…)")
        raise UsageError(f"a network is a spec, a graph or a module of PyTorch, not {describe(net)}")
    return load(net, input=input, **params or {})  # type: ignore[arg-type]


def _to_graphs(nets: Sequence[Net], input: ModuleInput) -> list[Graph]:
    """Several networks. The input is that of the modules, where there are any; else that of the specs."""
    modules = any(_is_module(net) for net in nets)
    if input is not None and all(isinstance(net, Graph) for net in nets):
        raise UsageError("networks that are loaded or captured have their input; give it to archc.load or archc.capture")
    return [_to_graph(net, input if _is_module(net) or (not modules and not isinstance(net, Graph)) else None) for net in nets]


def _is_module(net: object) -> TypeGuard[nn.Module]:
    """Without an import of torch: where it was not imported, nothing is a module."""
    torch_nn = sys.modules.get("torch.nn")
    return torch_nn is not None and isinstance(net, torch_nn.Module)


def _graph(model: Model) -> Graph:
    if model.graph is None:
        raise SpecError(model.diagnostics)
    for diagnostic in model.diagnostics:
        warnings.warn(draw(diagnostic), SpecWarning, stacklevel=3)
    return model.graph
