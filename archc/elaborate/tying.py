"""`tie`: a weight that is another layer's, whatever kind of layer that is: an embedding and the head of a language model."""

from __future__ import annotations

from archc.elaborate.references import find, is_for_training
from archc.elaborate.state import UNKNOWN, Context, Elaboration, Values
from archc.graph import Node
from archc.graph.graph import Tie
from archc.language.values import Mistake, evaluate
from archc.ops.facts import Weight
from archc.ops.tied import GIVING, TIED
from archc.signature import shown
from archc.text import tree as t
from archc.text.suggest import did_you_mean

TRANSPOSED = "transposed"
_FORM = "tie: embed, or tie: {weight: embed}"


def tie(run: Elaboration, tree: t.Tree, start: int, values: Values, context: Context) -> None:
    """Ties weights of the layer that an entry made, the only one since place `start`, as `tree` says. Raises Mistake."""
    made = run.graph.nodes[start:]
    if UNKNOWN in values:
        return
    if len(made) != 1 or made[0].kind not in TIED or made[0].shared is not None:
        raise Mistake("A202", tree.span, f"`tie` stands beside one layer of its own: {', '.join(TIED)}", _FORM)
    (node,) = made
    rows, transposed = _rows(tree, node, context)
    ties: dict[str, Tie] = {}
    for mine, named in rows:
        ref = find(run, evaluate(named, context.env), named.span, context)
        if ref is None or UNKNOWN in ref.values:
            return
        if not isinstance(ref.made, Node) or ref.made.kind not in GIVING or ref.made is node:
            message = f"{shown(evaluate(named, context.env))} is not a layer that a weight can be taken from"
            raise Mistake("A503", named.span, message, f"name one before this: {', '.join(GIVING)}")
        if not run.training and is_for_training(ref):
            hint = "the deployed network has no such weights"
            raise Mistake("A308", named.span, f"{ref.made.name} exists only in training", hint)
        ties[mine.name] = _tied(node, mine, ref.made.shared or ref.made, transposed, named)
    node.tie(ties)


def _rows(tree: t.Tree, node: Node, context: Context) -> tuple[list[tuple[Weight, t.Tree]], bool | None]:
    """The tensors of a layer with the names of the layers that have them, and whether they are transposed, where that is said."""
    own = {weight.name: weight for weight in node.facts.owned if weight.role != "buffer"}
    if not isinstance(tree, t.Mapping):
        return [(own["weight"], tree)], None
    transposed: bool | None = None
    rows: list[tuple[Weight, t.Tree]] = []
    for key, value in tree.items:
        if key.value == TRANSPOSED:
            transposed = evaluate(value, context.env)
            if not isinstance(transposed, bool):
                raise Mistake("A402", value.span, f"{TRANSPOSED} is {shown(transposed)}, not true or false")
        elif key.value in own:
            rows.append((own[str(key.value)], value))
        else:
            known = [*own, TRANSPOSED]
            hint = did_you_mean(str(key.value), known) or f"there are {', '.join(known)}"
            raise Mistake("A303", key.span, f'{node.kind} has no tensor "{key.value}"', hint)
    if not rows:
        raise Mistake("A202", tree.span, "`tie` names no layer", _FORM)
    return rows, transposed


def _tied(node: Node, mine: Weight, owner: Node, transposed: bool | None, named: t.Tree) -> Tie:
    """The other tensor: of the same name, or the only one. Raises Mistake where its shape is another."""
    learned = [weight.name for weight in owner.facts.tensors if weight.role != "buffer"]
    name = mine.name if mine.name in learned else learned[0] if len(learned) == 1 else ""
    found = next((weight for weight in owner.facts.tensors if weight.name == name and weight.role != "buffer"), None)
    if found is None:
        raise Mistake("A303", named.span, f'{owner.name} has no tensor "{mine.name}"', f"it has {', '.join(learned)}")
    if name in owner.ties:  # what is tied itself leads to its owner
        before = owner.ties[name]
        if before.transposed:
            raise Mistake(
                "A503", named.span, f"the {name} of {owner.name} is that of {before.node.name}, transposed", f"tie: {before.node.name}"
            )
        owner, name = before.node, before.tensor
    shapes, turned = (list(map(int, mine.shape)), list(map(int, found.shape))), node.kind == "linear" and len(mine.shape) == 2
    if transposed is None:
        transposed = turned and shapes[0] != shapes[1] and shapes[0] == shapes[1][::-1]
    if transposed and not turned:
        raise Mistake("A503", named.span, f"the {mine.name} of a {node.kind} cannot be transposed", "`linear` can read one so")
    wanted = shapes[1][::-1] if transposed else shapes[1]
    if shapes[0] != wanted:
        message = f"{mine.name} is {shapes[0]} here and {shapes[1]} in {owner.name}"
        raise Mistake("A503", named.span, message, "weights that are tied have one shape" + ", or one transposed" * turned)
    return Tie(owner, name, transposed)
