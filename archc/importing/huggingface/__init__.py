"""Hugging Face: a config.json of a family that archc's operators say, and weights in safetensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archc.importing.document import Part, parse
from archc.importing.draft import Draft, Refused, Wire
from archc.importing.huggingface.decoders import FAMILIES, gpt2, llama
from archc.importing.huggingface.encoders import bert, distilbert, vit
from archc.importing.huggingface.parts import Reading
from archc.importing.imported import Imported, ImportedError
from archc.importing.tensors import Tensors, read_tensors
from archc.text.diagnostics import printable
from archc.text.source import Source
from archc.text.suggest import did_you_mean

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True, slots=True)
class Kind:
    """A `model_type`: what reads it, how its classes begin, the heads that are read, and the name of what stands below a head."""

    read: Callable[[Reading], Wire]
    classes: str
    heads: tuple[str, ...]
    base: str


_TEXT = ("ForMaskedLM", "Model", "ForSequenceClassification", "ForTokenClassification")
_LANGUAGE = ("ForCausalLM", "Model")
KINDS = {
    "gpt2": Kind(gpt2, "GPT2", ("LMHeadModel", "Model"), "transformer"),
    **{name: Kind(llama, name.capitalize(), _LANGUAGE, "model") for name in FAMILIES},
    "bert": Kind(bert, "Bert", _TEXT, "bert"),
    "roberta": Kind(bert, "Roberta", tuple(head for head in _TEXT if head != "Model"), "roberta"),
    "distilbert": Kind(distilbert, "DistilBert", _TEXT[:3], "distilbert"),
    "vit": Kind(vit, "ViT", ("ForImageClassification", "Model"), "vit"),
}


def is_huggingface(head: bytes) -> bool:
    """Whether a file of JSON begins as a config.json does."""
    return b'"model_type"' in head or b'"architectures"' in head


def read_huggingface(source: Source, name: str, weights: Path | None = None) -> Imported:
    """The network of a config.json. Raises Refused, and ImportedError for the weights."""
    config = parse(source, "the configuration")
    word = config.need("model_type")
    if word.text() not in KINDS:
        hint = did_you_mean(word.text(), KINDS) or f"read are {', '.join(KINDS)}; others are captured: archc import mypkg.nets:make_net"
        raise Refused(word.span, f"models of the kind {word.text()[:40]} are not read", hint, "A301")
    kind = KINDS[word.text()]
    head = _head(config, kind)
    called = config.get_text("_name_or_path", "") or name
    reading = Reading(config, Draft(re.sub(r".*[\\/]", "", called.rstrip("\\/")) or name), head)
    reading.prefix = "" if head == "Model" else f"{kind.base}."
    out = kind.read(reading)
    reading.draft.outputs["pooler_output" if reading.draft.outputs else "output"] = out
    tensors = _tensors(reading, read_tensors(weights), kind, printable(str(weights))) if weights is not None else {}
    return Imported(reading.draft.name, reading.draft.text(), tuple(reading.notes), tensors)


def _head(config: Part, kind: Kind) -> str:
    """The head that `architectures` names; the first that is read where it names none."""
    found = config.get("architectures")
    if found is None or not found.items():
        return kind.heads[0]
    first = found.items()[0]
    head = first.text().removeprefix(kind.classes)
    if first.text() != f"{kind.classes}{head}" or head not in kind.heads:
        raise Refused(
            first.span, f"{first.text()[:60]} is not read", f"read are {', '.join(kind.classes + one for one in kind.heads)}", "A301"
        )
    return head


def _tensors(reading: Reading, held: Tensors, kind: Kind, shown: str) -> Mapping[str, numpy.ndarray]:
    """The weights of a file by the spec's names. A file may leave out, or have, the name of what stands below a head."""
    found: dict[str, numpy.ndarray] = {}
    for name in reading.draft.weights:
        own = reading.others.get(name, name)
        tried = (own, name, own.removeprefix(f"{kind.base}."), f"{kind.base}.{own}", _before(own))
        kept = next((one for one in tried if one in held), None)
        if kept is None:
            raise ImportedError(f"{shown} has no weights of {printable(own)}")
        array = held[kept]
        found[name] = reading.converts[name](array) if name in reading.converts else array
    return found


def _before(name: str) -> str:
    """A name as files of TensorFlow's time have it: LayerNorm.gamma and .beta."""
    return re.sub(r"LayerNorm\.(weight|bias)$", lambda match: f"LayerNorm.{'gamma' if match[1] == 'weight' else 'beta'}", name)
