"""A training in processes of its own: `python -m tests.training.driver FOLDER SPEC [KEY=VALUE …]`, under torchrun or not."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import archc
from archc.elaborate.recipe.overrides import recipe_with
from archc.training.fit import fit, resume_run
from archc.training.run import RunFolder, is_run
from tests.training.common import PLAIN


def main(folder: str, spec: str, *changes: str) -> None:
    torch.set_num_threads(1)
    if is_run(folder):
        resume_run(folder, PLAIN)
    else:
        graph = archc.load(spec)
        fit(graph, recipe_with(graph, list(changes)), RunFolder(Path(folder)), PLAIN)
    left = [name for name in threads() if "gloo" in name]
    assert not left, f"{left} may abort the process at its exit"


def threads() -> list[str]:
    """The names of this process's threads, where Linux tells them."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    main(*sys.argv[1:])
