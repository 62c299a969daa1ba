"""Rotary positions as configurations have them, with what makes them longer than the texts that were trained on."""

from __future__ import annotations

from math import log
from typing import Any

from archc.importing.document import Part
from archc.importing.draft import Refused
from archc.importing.huggingface.parts import Reading

READ = ("default", "linear", "dynamic", "llama3", "yarn")


def rotary_of(reading: Reading, longest: int) -> dict[str, Any]:
    """The arguments of `rotary`. longest: the most tokens that the file allows.

    `dynamic` turns as plain rotary does, up to so many tokens. Raises Refused for other kinds.
    """
    told = next((part for name in ("rope_parameters", "rope_scaling") if (part := reading.config.get(name)) and part.is_mapping), None)
    inner = told.get("rope_theta") if told is not None else None
    args: dict[str, Any] = {"base": inner.number() if inner is not None else reading.number("rope_theta", 10_000.0)}
    word = told.get("rope_type", "type") if told is not None else None
    if told is None or word is None:
        return args
    kind = word.text()
    if kind not in READ:
        raise Refused(word.span, f"rotary positions of the kind {kind[:40]} have no operator here", f"read are {', '.join(READ)}", "A303")
    if (partial := told.get("partial_rotary_factor")) is not None and partial.value != 1:
        raise Refused(partial.span, "rotary positions of a part of the features have no operator here", "1.0 is read", "A303")
    if kind in ("default", "dynamic"):
        return args
    factor = told.need("factor").number()
    if kind == "linear":
        return args | {"scaling": kind, "factor": factor}
    names = ("low_freq_factor", "high_freq_factor") if kind == "llama3" else ("beta_slow", "beta_fast")
    args |= {"scaling": kind, "factor": factor, "original": told.get_whole("original_max_position_embeddings", longest, 1)}
    args |= {word: part.number() for word, name in zip(("low", "high"), names, strict=True) if (part := told.get(name)) is not None}
    if kind == "yarn":
        _only_rounded(told)
        args["magnitude"] = _magnitude(told, factor)
    return args


def _only_rounded(told: Part) -> None:
    found = told.get("truncate")
    if found is not None and found.value is not True:
        raise Refused(found.span, "pairs that are slowed from a place between two have no operator here", "true is read", "A303")


def _magnitude(told: Part, factor: float) -> float:
    """What sines and cosines are multiplied by: as the file says, else as Peng et al. suggest."""
    own = told.get("attention_factor")
    if own is not None and own.value is not None:
        return own.number()

    def suggested(by: float) -> float:
        return 0.1 * by * log(factor) + 1 if factor > 1 else 1.0

    one, all_ = told.get_number("mscale", 0.0), told.get_number("mscale_all_dim", 0.0)
    return suggested(one) / suggested(all_) if one and all_ else suggested(1)
