"""Names of layers and the levels they stand on."""

from __future__ import annotations

import re

from archc.elaborate.state import DEEPEST, Context, Run, Space, Stop, Values
from archc.graph import Scope
from archc.language import library
from archc.language.entries import GROUPS
from archc.language.values import Mistake
from archc.ops import OPERATORS, Op
from archc.text.source import Span
from archc.text.suggest import did_you_mean

_NAME = re.compile(r"[A-Za-z0-9_]{1,100}\Z")


def check_name(name: str, span: Span) -> str:
    if not _NAME.match(name):
        raise Mistake("A306", span, f'"{name}" cannot name a layer', "letters, digits and _")
    if name == "input":
        raise Mistake("A306", span, '"input" names the input', "choose another name")
    return name


def next_number(context: Context) -> str:
    """The next number of this level, as a name."""
    number = context.space.count
    context.space.count = number + 1
    return str(number)


def enter(run: Run, name: str, block: str, context: Context, inputs: Values, span: Span) -> Context:
    """Opens a level of names."""
    run.depth += 1
    check_depth(run, span, context)
    scope = Scope(context.space.prefix + name, context.space.scope, block)
    scope.inputs = inputs
    scope.start = len(run.graph.nodes)
    context.space.scope.children.append(scope)
    inner = Space(scope, context.lookup)
    context.space.open = {name: inner}
    return context.inside(inner)


def leave(run: Run, inner: Context, values: Values) -> None:
    """Closes a level of names."""
    run.depth -= 1
    scope = inner.space.scope
    scope.stop = len(run.graph.nodes)
    scope.outputs = values


def check_depth(run: Run, span: Span, context: Context) -> None:
    if run.depth > DEEPEST:
        run.error("A602", span, f"nested deeper than {DEEPEST} levels", "does a block use itself without end?", context.place)
        raise Stop


def is_kind(run: Run, kind: str) -> bool:
    """Whether a layer or block has this name."""
    return kind in GROUPS or kind in run.spec.blocks or OPERATORS.get(kind) is not None or kind in library.index()


def suggest_kind(run: Run, kind: str) -> str | None:
    """The nearest layer or block to a name that is none."""
    if "\xa0" in kind:
        return "it holds a character that only looks like a space"
    if called := re.match(r"(\w+)\(", kind):
        return f"arguments follow a colon: {{{called[1]}: …}}"
    known = [*OPERATORS, *run.spec.blocks, *library.index(), *GROUPS]
    return _SYNONYMS.get(kind.lower()) or did_you_mean(kind, known)


def find_offered(kind: str, span: Span) -> Op | None:
    """An operator that an installed package offers under the name. Looked for last, since looking takes time."""
    if not kind.isidentifier():
        return None
    from archc.ops.plugins import PluginError, find_installed

    try:
        return find_installed(kind)
    except PluginError as error:
        raise Mistake("A705", span, str(error)) from None


_SYNONYMS = {
    name: f"here it is called {right}"
    for right, names in {
        "`linear`": ("dense", "fc", "fully_connected", "gemm"),
        "`batchnorm`": ("bn", "batchnormalization", "batch_normalization"),
        "`maxpool`": ("pool", "maxpooling", "maxpooling2d"),
        "`global_avgpool`": ("gap", "globalaveragepooling2d", "global_average_pool"),
        "`silu`": ("swish",),
        "`concat`": ("cat", "concatenate", "route"),
        "`conv_transpose`": ("deconv", "deconvolution", "convtranspose"),
        "`conv` with `groups: depthwise`": ("depthwise_conv", "dwconv", "depthwiseconv2d"),
        "`add` with a `skip: identity` branch": ("shortcut", "eltwise"),
    }.items()
    for name in names
} | {
    "sequential": "a chain is a list of entries, or `layers:`",
    "activation": "an activation has its own name, as in `relu`",
}
