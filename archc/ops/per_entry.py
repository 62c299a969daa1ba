"""What a layer costs that works on each entry of the axes that are in the batch alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archc.ops.facts import Between, Facts, Kept, Known, Work
from archc.ops.meaning import name_outputs
from archc.ops.shape import WINDOWS, Shape, product
from archc.signature import Fault
from archc.text.quantity import counted


def facts_of_each(function: Callable[..., Facts], shapes: Sequence[Shape], args: Mapping[str, Any]) -> Facts:
    """The facts of a layer whose inputs may have axes in the batch: the function is given the shapes of one entry of these."""
    count = shapes[0].joined if shapes else 0
    leading = shapes[0][:count] if count else ()
    for shape in shapes:
        if shape.joined != count or shape[:count] != leading:
            texts = ", ".join(f"{list(shape)} with {counted(shape.joined, 'axis', 'axes')}" for shape in shapes[:4])
            raise Fault(None, f"the inputs have different axes in the batch: {texts}", "`leave_batch` first, or `join_batch` for all")
    if not count:
        return name_outputs(function(*shapes, **args), shapes)
    inner = [shape.inner for shape in shapes]
    return _repeat(name_outputs(function(*inner, **args), inner), leading)


def _repeat(facts: Facts, leading: tuple[int, ...]) -> Facts:
    """The facts for all entries of the axes that are in the batch."""
    times = product(leading)
    names = (WINDOWS,) * len(leading)
    outputs = tuple(Shape((*leading, *out)).named((*names, *out.names)) for out in facts.outputs)
    return replace(
        facts,
        out=outputs,
        macs=_times(facts.macs, times),
        work=Work(*(count * times for count in facts.work)) if isinstance(facts.work, Work) else _times(facts.work, times),
        keeps=_keep(facts.keeps, times),
        keeps_alike=_keep(facts.keeps_alike, times),
        min_storage_values=facts.min_storage_values * times,
        joined=len(leading),
    )


def _times(known: Known, times: int) -> Any:
    if isinstance(known, Between):
        return Between(known.low * times, None if known.high is None else known.high * times)
    return None if known is None else known * times


def _keep(keeps: tuple[Kept, ...] | None, times: int) -> tuple[Kept, ...] | None:
    if keeps is None:
        return None
    return tuple(kept._replace(values=kept.values * times) if kept.per_image else kept for kept in keeps)
