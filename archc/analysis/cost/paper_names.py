"""What a paper calls the layers: its names to ours, as `paper: {names: …}` in the spec says."""

from __future__ import annotations

from archc.graph import Graph, Node

_BESIDE = {"relu": "relu", "batchnorm": "bn", "lrn": "norm", "dropout": "drop"}  # they bear the number of the layer before them
_POOLS = ("maxpool", "avgpool")
_WEIGHTED = {"conv": "conv", "linear": "fc"}


def paper_names(graph: Graph) -> dict[str, str]:
    """The paper's names, each with the name of the layer or part that it means here."""
    names = graph.paper.names
    if isinstance(names, dict):
        given = {name: ours for name, ours in names.items() if _is_there(graph, ours)}
        return given | {name: ours for part in given.items() for name, ours in _number_blocks(graph, *part)}
    if not names:
        return {}
    return _count_names(graph.deployed().nodes, stages=names == "stages")


def meant(graph: Graph, name: str) -> str:
    """Our name of a layer that may be called as the paper calls it; a name that is ours already stays."""
    return name if _is_there(graph, name) else paper_names(graph).get(name, name)


def _is_there(graph: Graph, name: str) -> bool:
    return any(node.name == name or node.name.startswith(name + ".") for node in graph.nodes)


def _number_blocks(graph: Graph, name: str, ours: str) -> list[tuple[str, str]]:
    """conv4_x is a part whose first block is conv4_1."""
    if not name.endswith("_x"):
        return []
    count = 0
    while _is_there(graph, f"{ours}.{count}"):
        count += 1
    return [(f"{name[:-1]}{number + 1}", f"{ours}.{number}") for number in range(count)]


def _count_names(nodes: list[Node], stages: bool) -> dict[str, str]:
    """Names by counting along the chain: of all weighted layers, or of convolutions in stages that end with a pool."""
    found: dict[str, str] = {}
    stage, index, mark = 1, 0, ""
    for node in nodes:
        label = ""
        if node.kind in _WEIGHTED:
            index += 1
            dense = node.kind == "linear"
            if stages and dense and index > 1:
                stage, index = stage + 1, 1
            mark = str(stage) if stages and dense else f"{stage}_{index}" if stages else str(index)
            label = _WEIGHTED[node.kind] + mark
        elif node.kind in _POOLS:
            label = f"pool{stage if stages else index}"
            stage, index = (stage + 1, 0) if stages else (stage, index)
        elif node.kind in _BESIDE and mark:
            label = _BESIDE[node.kind] + mark
        if label:
            found.setdefault(label, node.name)
    return found
