"""Captures models of torchvision and timm by name, and writes down what came of each: a file of JSON for each model.

    python -m tests.reference.capture_sample FOLDER [MODEL ...]

Without models, those of `captured.csv`; what is in the folder already is not captured again.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.tracing.source import load_model

TABLE = Path(__file__).with_name("captured.csv")
COUNT = False
OPAQUE = ("name", "why", "place")


def sample() -> list[str]:
    """The names of the 200 models."""
    with TABLE.open() as file:
        return [row["model"] for row in csv.DictReader(file)]


def captured(name: str) -> dict[str, Any]:
    """What came of one model: its figures beside those of PyTorch, and its opaque layers."""
    named = load_model(name)
    shape = named.input or input_of(named.module)
    found: dict[str, Any] = {"model": name, "input": shape, "parameters": sum(one.numel() for one in named.module.parameters())}
    start = time.perf_counter()
    try:
        graph = archc.capture(named.module, shape)
    except Exception as error:
        return found | {"refused": f"{type(error).__name__}: {error}"[:500]}
    found["seconds"] = round(time.perf_counter() - start, 2)
    report = archc.analyze(graph)
    assert graph.captured is not None
    notes = graph.captured.notes
    once = [int(note.partition(" ")[0].replace(",", "")) for note in notes if re.match(r"[\d,]+ MACs", note)]
    return found | {
        "captured": report.parameters,
        "unused": sum(graph.captured.unused.values()),
        "macs": report.macs,
        "complete": report.complete,
        "macs_once": sum(once),
        "notes": notes,
        "flops": counted(named.module, shape) if COUNT else None,
        "opaque": [{key: str(node.args[key]) for key in OPAQUE} for node in graph.nodes if node.kind == "opaque"],
    }


def input_of(module: torch.nn.Module) -> tuple[int, ...]:
    """What a model takes whose package does not say: an image, or for torchvision's models of videos 16 of them."""
    video = type(module).__module__.startswith("torchvision.models.video")
    return (3, 16, 224, 224) if video else (3, 224, 224)


def counted(module: torch.nn.Module, shape: tuple[int, ...]) -> int | None:
    """What PyTorch's counter says of one image in evaluation; None where it fails."""
    module = module.to("meta").eval()
    image = torch.empty(1, *shape, device="meta")
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(image)
    except Exception:
        return None
    return int(counter.get_total_flops())


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in names or sample():
        file = folder / f"{name.replace(':', '-').replace('/', '-')}.json"
        if not file.exists():
            try:
                found = captured(name)
            except Exception as error:  # a model that cannot be made
                found = {"model": name, "refused": f"{type(error).__name__}: {error}"[:500]}
            file.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
