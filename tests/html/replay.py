"""The arithmetic of the page, in Python: a tape of the record played for a batch, dtype and optimizer."""

from __future__ import annotations

from typing import Any


def peak(memory: dict[str, Any], name: str, batch: int, item: int, optimizer: str) -> tuple[int, int, dict[str, int]]:
    """The peak, the mark that it is before, and what it is made of."""
    tapes = memory["tapes"][name]
    tape = tapes[1] if batch == 1 and len(tapes) > 1 else tapes[0]
    learning = name.startswith("training")
    chosen = next(one for one in memory["optimizers"] if one["name"] == optimizer)
    state = chosen["state"][0] + chosen["state"][1] * item if learning else 0
    sizes = [a + b * item + (c + d * item) * batch + (e + f * batch) * max(item, 4) for a, b, c, d, e, f in tape["sizes"]]
    kinds = [0] * len(memory["kinds"])
    kinds[memory["kinds"].index("optimizer state")] = state
    live = highest = state
    where, at_peak, made, mark = 0, list(kinds), 0, 0
    for number, event in enumerate(tape["events"]):
        while tape["marks"][mark][0] <= number:
            extra = live + chosen["step"] * item
            if memory["phases"][tape["marks"][mark][1]] == "optimizer" and extra > highest:
                highest, where, at_peak = extra, mark, list(kinds)
                at_peak[memory["kinds"].index("temporary")] += chosen["step"] * item
            mark += 1
        block = made if event == 0 else event - 1
        size = sizes[tape["size"][block]] * (1 if event == 0 else -1)
        made += event == 0
        live += size
        kinds[tape["kind"][block]] += size
        if live > highest:
            highest, where, at_peak = live, mark, list(kinds)
    return highest, where, {kind: size for kind, size in zip(memory["kinds"], at_peak, strict=True) if size}
