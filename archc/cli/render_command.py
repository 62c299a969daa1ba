"""A network as a picture: for a paper, a slide, a README.

archc render vgg16 -o vgg16.svg
archc render resnet50 -o resnet50.pdf --style volumes
archc render inception_v4 -o net.html --theme dark
archc render googlenet -o module.svg --block inception
archc render mobilenet_v2 resnet50 -o two.svg --block inverted_residual \\
    --block bottleneck
archc render densenet121 -o net.dot --depth 3 --rankdir LR

graph    layers as nodes, blocks as clusters, repeats folded
block    blocks in detail, each named by --block
volumes  feature maps as boxes in perspective
cost     where parameters, MACs and memory are
field    how receptive fields grow

Without --style, a network is drawn as its graph. If Graphviz is missing, it is
drawn as volumes or as its cost, and a message says so.

graph and block are laid out by Graphviz: by `dot`, or by the package in the
extra archc-nn[render]. The ending of -o chooses the format: .svg,
.pdf, .png, .html, and .dot for these two. Without -o, the file is named after
the spec, and an existing file is not overwritten.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archc.cli.common import compile_model, is_member, spec_options, usable
from archc.cli.console import complain
from archc.cli.files import own_name, refuse_place, shown, write_whole

if TYPE_CHECKING:
    from archc.draw.graph.look import GraphOptions
    from archc.draw.theme import Theme
    from archc.graph import Graph

FORMATS = ("svg", "pdf", "png", "html", "dot")
_RANKDIRS = ("TB", "BT", "LR", "RL")
_LAID_OUT = ("graph", "block")  # by Graphviz
_DEEPEST = 10**6


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as SVG, and as DOT where it is laid out by Graphviz; each is made when it is asked for."""

    svg: Callable[[], str]
    dot: Callable[[], str] | None = None


def _graph(args: argparse.Namespace, graphs: list[Graph], theme: Theme) -> Picture:
    from archc.draw.graph.picture import graph_dot, graph_svg

    options = _graph_options(args, theme)
    return Picture(lambda: graph_svg(graphs[0], options, args.timeout or 20).svg, lambda: graph_dot(graphs[0], options))


def _block(args: argparse.Namespace, graphs: list[Graph], theme: Theme) -> Picture:
    from archc.draw.graph.block import block_dot, block_svg

    options = _graph_options(args, theme)
    return Picture(lambda: block_svg(graphs, args.block, options, args.timeout or 20).svg, lambda: block_dot(graphs, args.block, options))


def _graph_options(args: argparse.Namespace, theme: Theme) -> GraphOptions:
    from archc.draw.graph.look import GraphOptions

    return GraphOptions(args.depth, args.full, args.rankdir or "TB", theme, args.shapes, columns=args.columns)


def _volumes(args: argparse.Namespace, graphs: list[Graph], theme: Theme) -> Picture:
    from archc.draw.volumes.picture import VolumesOptions, draw

    return Picture(lambda: draw(graphs[0], VolumesOptions(args.scale or "sqrt", args.names), theme))


def _cost(args: argparse.Namespace, graphs: list[Graph], theme: Theme) -> Picture:
    from archc.draw.cost.picture import CostOptions, draw

    options = CostOptions(args.of or "all", args.by or "parameters", args.batch or 1, optimizer=args.optimizer or "sgd")
    return Picture(lambda: draw(graphs[0], options, theme))


def _field(args: argparse.Namespace, graphs: list[Graph], theme: Theme) -> Picture:
    from archc.draw.field import FieldOptions, draw

    return Picture(lambda: draw(graphs[0], FieldOptions(tuple(args.layer)), theme))


@dataclass(frozen=True, slots=True)
class Style:
    """A style: what makes it, and the options that it alone, or with others, takes."""

    picture: Callable[[argparse.Namespace, list[Graph], Theme], Picture]
    takes: tuple[str, ...]


_LAYOUT = ("depth", "full", "shapes", "rankdir", "training", "timeout")
STYLES = {
    "graph": Style(_graph, (*_LAYOUT, "columns")),
    "volumes": Style(_volumes, ("scale", "names")),
    "block": Style(_block, ("block", *_LAYOUT)),
    "cost": Style(_cost, ("of", "by", "batch", "optimizer")),
    "field": Style(_field, ("layer",)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write: .svg, .pdf, .png, .html or .dot")
    parser.add_argument("--format", choices=FORMATS, help="the format, if the ending of -o does not tell (default: svg)")
    parser.add_argument("--style", choices=tuple(STYLES), help="what is drawn (default: graph; with --block, block)")
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="(default: light)")
    graph = parser.add_argument_group("graph and block")
    graph.add_argument(
        "--block", action="append", default=[], metavar="NAME", help="a block, or a part such as layer1.0; several are drawn side by side"
    )
    graph.add_argument("--depth", type=_depth, metavar="N", help="show N levels of names, or all (default: as many as are legible)")
    graph.add_argument("--full", action="store_true", help="every layer is a node: nothing is folded or merged")
    graph.add_argument("--shapes", action="store_true", help="show shapes on all edges, not only where they change")
    graph.add_argument("--rankdir", choices=_RANKDIRS, help="from top to bottom (TB, the default), from left to right (LR) …")
    graph.add_argument(
        "--columns", type=_positive, metavar="N", help="graph: cut into at most N columns; 1 means uncut (default: to fit a page)"
    )
    graph.add_argument("--training", action="store_true", help="also show what exists only in training")
    graph.add_argument("--timeout", type=_positive, metavar="S", help="seconds that Graphviz may take (default: 20)")
    others = parser.add_argument_group("volumes, cost and field")
    others.add_argument("--scale", choices=("sqrt", "log", "linear"), help="volumes: how sizes grow on paper (default: sqrt)")
    others.add_argument("--names", action="store_true", help="volumes: label layers by their names")
    others.add_argument("--of", choices=("all", "bars", "treemap", "timeline"), help="cost: which charts (default: all)")
    others.add_argument("--by", choices=("parameters", "macs", "activations", "memory"), help="cost: what the areas of the treemap are")
    others.add_argument("--batch", type=_positive, metavar="N", help="cost: images in a batch, for the memory (default: 1)")
    others.add_argument("--optimizer", metavar="NAME", help="cost: the optimizer, for the memory (default: sgd)")
    others.add_argument("--layer", action="append", default=[], metavar="NAME", help="field: a layer whose field is drawn; may be repeated")


def run(args: argparse.Namespace) -> int:
    style = args.style or ("block" if args.block else "graph")
    form = str(args.format or (Path(args.output).suffix[1:].lower() if args.output else "svg"))
    name = args.output or _own_name(args.specs[0], form)
    wrong = _wrong(args, style, form) or _taken(args, name)
    if wrong:
        return _refuse(wrong)
    graphs = [usable(compile_model(args, named)) for named in args.specs]
    if style == "graph" and args.style is None and form != "dot" and graphs[0] is not None:
        style = _usual(args, graphs[0])
    found = [_shown(args, style, graph) for graph in graphs if graph is not None]
    return _write(args, name, style, form, found) if len(found) == len(graphs) else 2


def _usual(args: argparse.Namespace, graph: Graph) -> str:
    """The style where none is named: another than the graph where there is no Graphviz, unless an option is about the graph."""
    from archc.draw.picture import usual_style

    if any(getattr(args, option) for option in STYLES["graph"].takes):
        return "graph"
    style, note = usual_style(graph)
    if note:
        complain(note)
    return style


def _shown(args: argparse.Namespace, style: str, graph: Graph) -> Graph:
    """The network that is drawn; volumes, cost and field choose their part of it themselves."""
    return graph.deployed() if style in _LAID_OUT and not args.training else graph


def _write(args: argparse.Namespace, name: str, style: str, form: str, graphs: list[Graph]) -> int:
    from archc.draw.theme import THEMES

    theme = THEMES[args.theme]
    content = _content(STYLES[style].picture(args, graphs, theme), theme, form, graphs)
    return write_whole(name, content, args)


def _content(picture: Picture, theme: Theme, form: str, graphs: list[Graph]) -> str | bytes:
    """The picture in its format. Raises DrawError, RasterError, ValueError."""
    if form == "dot" and picture.dot:
        return picture.dot()
    svg = picture.svg()
    if form == "svg":
        return svg
    if form == "html":
        from archc.draw.page import page

        return page(", ".join(graph.name for graph in graphs), svg, theme)
    return _raster(picture, svg, form)


def _raster(picture: Picture, svg: str, form: str) -> bytes:
    """PNG or PDF of the SVG; by `dot` where that cannot be made and Graphviz drew the picture. Raises DrawError, RasterError."""
    from archc.draw.graphviz import dot_to
    from archc.draw.raster import RasterError, to_pdf, to_png

    try:
        return to_png(svg) if form == "png" else to_pdf(svg)
    except RasterError:
        found = dot_to(form, picture.dot()) if picture.dot else None
        if found is None:
            raise
        return found


def _wrong(args: argparse.Namespace, style: str, form: str) -> str:
    """What does not go together in the options, or nothing."""
    if form not in FORMATS:
        return (
            f"a picture is {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, not {form or 'a file with no ending'};\nend -o so, or say --format"
        )
    ending = Path(args.output or "").suffix[1:].lower()
    if ending in FORMATS and ending != form:
        return f"-o ends in .{ending}, but --format says {form};\nleave --format out, or end -o in .{form}"
    if form == "dot" and style not in _LAID_OUT:
        return f"the style {style} is not laid out by Graphviz and has no DOT;\nwrite .svg, .pdf, .png or .html"
    if style == "block" and not args.block:
        return "which block? write --block NAME, such as --block inception"
    if len(args.specs) > 1 and style != "block":
        return f"the style {style} draws one network; several specs need --block"
    if args.columns and args.columns > 1 and args.rankdir not in (None, "TB"):
        return f"columns run from top to bottom; leave --columns or --rankdir {args.rankdir} out"
    if args.by and args.of in ("bars", "timeline"):
        return f"--by applies to the treemap; leave out --by or --of {args.of}"
    if args.output and (refusal := refuse_place(args.output, args)) is not None:
        return refusal
    known = dict.fromkeys(option for drawing in STYLES.values() for option in drawing.takes)
    for option in known:
        given = getattr(args, option)
        if option not in STYLES[style].takes and not (given is None or given is False or given == []):
            of = " or ".join(name for name, drawing in STYLES.items() if option in drawing.takes)
            return f"--{option} needs --style {of}, not {style}"
    return ""


def _taken(args: argparse.Namespace, name: str) -> str:
    return f"{shown(name)} already exists; write -o {shown(name)} to overwrite it" if not args.output and Path(name).exists() else ""


def _refuse(why: str) -> int:
    complain(why)
    return 2


def _own_name(named: str, form: str) -> str:
    """The name of the picture of a spec: resnet50.svg, in the current folder."""
    stem = re.sub(r"[^\w.-]", "_", named.rpartition(":")[2] if is_member(named) else Path(named).stem).lstrip(".-") or "network"
    return own_name([stem], f".{form}")


def _depth(text: str) -> int:
    """Levels of blocks that are opened: one less than levels of names."""
    if text == "all":
        return _DEEPEST
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= _DEEPEST:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number from 1 up nor all")
    return int(text) - 1


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) < 10**8:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)
