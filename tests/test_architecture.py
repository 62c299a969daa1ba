"""The floors of the house: a file imports only from floors below its own, or from its own room (docs/develop/architecture.md)."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "archc"
FLOORS = {
    "errors": -1,
    "text": 0,
    "validation": 1,
    **dict.fromkeys(("signature", "aliases"), 1),
    **dict.fromkeys(("catalog", "symbolic"), 2),
    "ops": 3,
    **dict.fromkeys(("language", "recipe"), 4),
    "graph": 5,
    **dict.fromkeys(("elaborate", "data"), 6),
    "program": 7,
    "analysis": 8,
    **dict.fromkeys(("draw", "folding"), 9),
    **dict.fromkeys(("codegen", "reference", "html"), 10),
    **dict.fromkeys(("runtime", "tracing"), 11),
    **dict.fromkeys(("training", "importing"), 12),
    "inspect": 13,
    **dict.fromkeys(("api", "cli"), 14),
    "__init__": 15,
    "__main__": 15,
}
FILES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def parsed(path: Path) -> tuple[ast.Module, list[ast.AST]]:
    """A file's tree, and all that is in it."""
    tree = ast.parse(path.read_text())
    return tree, list(ast.walk(tree))


@cache
def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in parsed(path)[1]:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names if node.module == "archc"}
    return found


def test_imports_go_down() -> None:
    for path, name in [(one, name) for one in FILES for name in imported(one)]:
        own, parts = room(path), name.split(".")
        if parts[0] == "archc" and len(parts) > 1 and parts[1] in FLOORS:
            assert parts[1] == own or FLOORS[parts[1]] < FLOORS[own], f"{path} imports {name}"


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in FILES} == set(FLOORS)


# The budget of files and functions, in lines. Whoever has a reason to go beyond writes it down here.
MOST_IN_A_FILE, LEAST_IN_A_FILE, MOST_IN_A_FUNCTION, MOST_POSITIONAL = 400, 30, 60, 6
SMALL_KINDS = ("__init__.py", "__main__.py", "*_command.py")  # a room's door and a command are small if they have little to do
BEYOND: dict[str, str] = {
    "api.py": "every public function, each of which leads to its room",
    "graph/captured.py": "known beside a graph, apart from it so that no analysis sees it",
    "analysis/memory/timeline/backward.py": "the tape of backward and the rules of operators that most networks have",
}


@pytest.mark.parametrize("where", FLOORS)
def test_files_and_functions_fit_in_the_head(where: str) -> None:
    assert {path: wrong for path in FILES if room(path) == where and (wrong := _beyond_the_budget(path))} == {}


def _beyond_the_budget(path: Path) -> list[str]:
    """What is too long, too short or too wide in a file."""
    tree, nodes = parsed(path)
    first = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    wrong = [] if first.endswith(".") and len(first) < 280 else ["a module says in a sentence what is in it"]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    wrong += [f"{one.name} is long" for one in functions if (one.end_lineno or 0) - one.lineno >= MOST_IN_A_FUNCTION]
    if path.relative_to(ROOT).as_posix() in BEYOND:
        return wrong
    lines = len(path.read_text().splitlines())
    wrong += [f"{lines} lines"] * (lines > MOST_IN_A_FILE)
    if lines < LEAST_IN_A_FILE and not any(path.match(kind) for kind in SMALL_KINDS):
        wrong.append("it belongs with the idea that it serves")
    collects = {node.name for node in functions if node.args.vararg} | {"positional"}  # `*names` is a list, not a row of arguments
    wide = [node for node in nodes if isinstance(node, ast.Call) and len(node.args) > MOST_POSITIONAL]
    return wrong + [f"by keyword: {ast.unparse(node)}" for node in wide if ast.unparse(node.func) not in collects]


def test_what_is_beyond_the_budget_is_there() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in FILES} >= BEYOND.keys()


def test_torch_is_imported_in_its_own_rooms_alone() -> None:
    for path in FILES:
        found = {name.split(".")[0] for name in imported(path)}
        assert "click" not in found, path
        if room(path) in ("runtime", "training", "inspect", "tracing"):
            continue
        heavy = {name.split(".")[0] for name in imported_when_run(path)}
        assert not heavy & ({"torch"} if room(path) in ("data", "importing") else {"torch", "numpy"}), path


# Where a package that not every command needs may be imported, at all.
PLACES = {
    "pydantic": ("validation/checked.py", "reference/outputs/schema.py"),
    "pydantic_core": ("validation/description.py",),
}


@pytest.mark.parametrize("package", PLACES)
def test_packages_have_their_places(package: str) -> None:
    users = {str(path.relative_to(ROOT)) for path in FILES if package in {name.split(".")[0] for name in imported(path)}}
    assert users == set(PLACES[package])


@cache
def imported_when_run(path: Path) -> set[str]:
    """What a file imports for more than its annotations."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} | {
        node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }


def test_only_the_tree_reads_yaml() -> None:
    assert [path.name for path in FILES if "yaml" in imported(path)] == ["tree.py"]


def test_rich_is_imported_in_the_console_alone_and_only_at_use() -> None:
    users = [path.relative_to(ROOT).as_posix() for path in FILES if "rich" in {name.partition(".")[0] for name in imported(path)}]
    assert users == ["cli/console.py"]
    at_once = [node for node in ast.parse((ROOT / "cli" / "console.py").read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not [node for node in at_once if "rich" in ast.unparse(node)]
