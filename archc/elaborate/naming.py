"""Names of layers and the levels they stand on."""

from __future__ import annotations

import re

from archc.elaborate.state import DEEPEST, Context, Elaboration, ElaborationStopped, Ref, Space, Values
from archc.graph import Scope
from archc.language.entries import CHAIN_INPUT
from archc.language.values import Mistake
from archc.text.source import Span

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}\Z")

# What torch.nn.Module is or has: a layer of the name would hide it, or be hidden.
_OF_MODULES = frozenset(
    """
    T_destination _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks
    _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks _forward_pre_hooks_with_kwargs _get_backward_hooks
    _get_backward_pre_hooks _get_name _is_full_backward_hook _load_from_state_dict _load_state_dict_post_hooks
    _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook _modules _named_members _non_persistent_buffers_set _parameters
    _register_load_state_dict_pre_hook _register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict _slow_forward
    _state_dict_hooks _state_dict_pre_hooks _version _wrapped_call_impl add_module apply bfloat16 buffers call_super_init children
    compile cpu cuda double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to
    to_empty train training type xpu zero_grad
    """.split()  # noqa: SIM905
)


def check_name(name: str, span: Span, of_layer: bool = True) -> str:
    """A name that can stand in a spec, and, of a layer, in a module."""
    if not _NAME.match(name):
        raise Mistake("A306", span, f'"{name}" cannot be the name of a layer', "use letters, digits, _ and -; dots part levels, as in up.0")
    if name in ("input", CHAIN_INPUT):
        what = "the input" if name == "input" else "what comes into a chain"
        raise Mistake("A306", span, f'"{name}" names {what}', "choose another name")
    if of_layer and (name in _OF_MODULES or name.startswith("__")):
        raise Mistake(
            "A306", span, f'"{name}" already has a meaning in a PyTorch module', f"choose another name, such as {name.strip('_')}_1"
        )
    return name


def check_names(name: str, span: Span, of_layer: bool = True) -> str:
    """A name, or several with dots between them: levels, the outermost first, and the name on the last of them."""
    *levels, last = name.split(".")
    if len(levels) >= DEEPEST:
        raise Mistake("A306", span, f"a name of {len(levels) + 1} levels", f"at most {DEEPEST} levels are nested")
    if levels and not all((*levels, last)):
        raise Mistake("A306", span, f'"{name}" has a dot with no name beside it', "levels are parted by one dot each, as in up.0")
    for level in levels:
        check_name(level, span)
    check_name(last, span, of_layer)
    return name


def reopen(run: Elaboration, name: str, context: Context, span: Span) -> tuple[Context, str, list[Ref]]:
    """The level in which a name with dots stands, its last part, and what its levels mean; a level that is not there is made.

    Such a level holds names, and has no place of its own in the order of running: its layers may come from anywhere.
    Raises Mistake where a part of the name is a layer or a block.
    """
    *levels, last = name.split(".")
    space, refs = context.space, list[Ref]()
    for level in levels:
        ref = space.names.get(level)
        if level in space.open and (ref is None or ref.weak):
            raise Mistake("A305", span, f'"{level}" is not complete at this point', "write the entry there, under its own name")
        if ref is None or (ref.weak and ref.space is None):
            scope = Scope(space.prefix + level, space.scope)
            scope.start = len(run.graph.nodes)
            space.scope.children.append(scope)
            ref = space.names[level] = Ref((), span, Space(scope, space), scope)
        if ref.space is None or ref.space.scope.block or ref.space.scope.shared is not None:
            what = "a block" if ref.space is not None else "a layer"
            raise Mistake(
                "A305", span, f'"{level}" is {what} already', f"first at {ref.span}; a name with dots opens a level of names alone"
            )
        ref.space.scope.held = True
        refs.append(ref)
        space = ref.space
    return context.inside(space, context.lookup), last, refs


def next_number(context: Context) -> str:
    """The next number of this level, as a name."""
    number = context.space.count
    context.space.count = number + 1
    return str(number)


def enter(run: Elaboration, name: str, block: str, context: Context, inputs: Values, span: Span) -> Context:
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


def leave(run: Elaboration, inner: Context, values: Values) -> None:
    """Closes a level of names."""
    run.depth -= 1
    scope = inner.space.scope
    scope.stop = len(run.graph.nodes)
    scope.outputs = values


def check_depth(run: Elaboration, span: Span, context: Context) -> None:
    if run.depth > DEEPEST:
        run.error("A602", span, f"nested deeper than {DEEPEST} levels", "does a block use itself endlessly?", context.place)
        raise ElaborationStopped
