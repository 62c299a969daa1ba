"""Analysis starts at once: a command imports what it uses and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

SCRIPT = "import sys; from archc.cli.main import main; main(sys.argv[1:]); print('\\n'.join(sys.modules), file=sys.stderr)"


def modules(*words: str) -> set[str]:
    """The modules that a command leaves imported."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ("analyze", "specs/vgg16.yaml"),
        *(("analyze", "vgg16", "--format", form) for form in ("json", "csv", "markdown")),
        ("explain", "vgg16", "features.0"),
        ("check", "specs/vgg16.yaml"),
        ("resolve", "vgg16"),
    ],
)
def test_no_heavy_import(words: tuple[str, ...]) -> None:
    heavy = {"torch", "numpy", "pandas", "networkx", "graphviz", "pydantic", "pydantic_core", "rich", "click", "scipy", "matplotlib"}
    slow = {"asyncio", "unittest", "multiprocessing", "importlib.metadata", "email", "http", "xml", "logging", "tempfile", "subprocess"}
    assert not modules(*words) & (heavy | slow)


@pytest.mark.parametrize("words", [("devices",), ("time", "lenet5", "--device", "a100-40gb"), ("memory", "lenet5", "--memory", "24gb")])
def test_the_files_that_ship_are_read_without_pydantic(words: tuple[str, ...]) -> None:
    assert not modules(*words) & {"pydantic", "pydantic_core", "archc.validation.checked"}


def test_analyze_imports_its_own_rooms_alone() -> None:
    found = {name for name in modules("analyze", "specs/vgg16.yaml") if name.startswith("archc.")}
    assert not [name for name in found if name.startswith(("archc.reference", "archc.analysis.compare", "archc.analysis.cost.derive"))]
    assert {name for name in found if name.startswith("archc.cli.")} == {
        f"archc.cli.{name}" for name in ("main", "streams", "common", "console", "analyze_command")
    }


def test_importing_archc_imports_nothing_else() -> None:
    script = "import sys, archc; print('\\n'.join(name for name in sys.modules if name.startswith('archc')))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["archc"]
