"""Language models that go on a text: GPT-2, and Llama with those that differ from it in little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from archc.importing.draft import Refused, Wire
from archc.importing.huggingface.parts import Reading
from archc.importing.huggingface.rotary import rotary_of

LENGTH = 1_024  # tokens, where positions are not learned


def gpt2(reading: Reading) -> Wire:
    """Radford et al., 2019. Its weights are [in, out]."""
    reading.only("scale_attn_weights", True, "attention that is not scaled is not read")
    reading.only("scale_attn_by_inverse_layer_idx", False, "attention that is scaled by its block is not read")
    reading.only("add_cross_attention", False, "attention to another sequence is not read")
    vocabulary, positions, features = reading.whole("vocab_size", 50_257), reading.whole("n_positions", 1_024), reading.whole("n_embd", 768)
    heads, hidden = reading.heads("n_head", 12, features), reading.whole("n_inner", 4 * features)
    root, tokens = reading.prefix, reading.draft.input([positions], reading.config.place("n_positions"))
    wire = reading.embedded(f"{root}wte", tokens, vocabulary, features, "n_embd")
    wire = reading.add(f"{root}embedded", "add", wire, reading.positions(f"{root}wpe", wire, positions))
    wire = reading.dropout(f"{root}drop", wire, reading.number("embd_pdrop", 0.1), "embd_pdrop")
    eps, dropped = reading.number("layer_norm_epsilon", 1e-5), reading.number("resid_pdrop", 0.1)
    for at in reading.blocks("n_layer", 12):
        name = f"{root}h.{at}"
        inner = reading.add(f"{name}.ln_1", "layernorm", wire, eps=eps)
        inner = reading.add(f"{name}.attn.c_attn", "linear", inner, features=3 * features)
        reading.turned()
        parts = reading.add(f"{name}.attn.heads", "reshape", inner, shape=[positions, 3, heads, features // heads])
        parts = reading.add(f"{name}.attn.parts", "permute", parts, order=[1, 2, 0, 3])
        q, k, v = (reading.add(f"{name}.attn.{part}", "select", parts, index=index) for index, part in enumerate("qkv"))
        inner = reading.attended(f"{name}.attn", q, k, v, causal=True, dropout=reading.number("attn_pdrop", 0.1))
        inner = reading.add(f"{name}.attn.c_proj", "linear", inner, features=features)
        reading.turned()
        inner = reading.dropout(f"{name}.attn.resid_dropout", inner, dropped, "resid_pdrop")
        wire = reading.add(f"{name}.add_1", "add", inner, wire)
        inner = reading.add(f"{name}.ln_2", "layernorm", wire, eps=eps)
        inner = reading.add(f"{name}.mlp.c_fc", "linear", inner, features=hidden)
        reading.turned()
        inner = reading.activation(f"{name}.mlp.act", inner, "activation_function", "gelu_new")
        inner = reading.add(f"{name}.mlp.c_proj", "linear", inner, features=features)
        reading.turned()
        inner = reading.dropout(f"{name}.mlp.dropout", inner, dropped, "resid_pdrop")
        wire = reading.add(f"{name}.add_2", "add", inner, wire)
    wire = reading.add(f"{root}ln_f", "layernorm", wire, eps=eps)
    if reading.head == "Model":
        return wire
    tied = reading.config.get_flag("tie_word_embeddings", True)
    return reading.tied_head("lm_head", wire, f"{root}wte", vocabulary, bias=False, tied=tied)


@dataclass(frozen=True, slots=True)
class Family:
    """In what a family differs from Llama, and what its configuration leaves out.

    qkv_bias: whether queries, keys and values have biases; head_norm: whether queries and keys are normalized
    offset: whether weights of normalizations are kept less 1, and embeddings multiplied by the root of their length
    """

    defaults: Mapping[str, int]
    qkv_bias: bool = False
    head_norm: bool = False
    offset: bool = False
    tied: bool = False
    window: bool = False


_QWEN = {"vocab_size": 151_936, "intermediate_size": 22_016, "max_position_embeddings": 32_768}
_GEMMA = {"vocab_size": 256_000, "hidden_size": 3_072, "intermediate_size": 24_576, "num_hidden_layers": 28, "num_attention_heads": 16,
          "num_key_value_heads": 16, "head_dim": 256, "max_position_embeddings": 8_192}  # fmt: skip
FAMILIES = {
    "llama": Family({}),
    "mistral": Family({"intermediate_size": 14_336, "num_key_value_heads": 8, "max_position_embeddings": 131_072}, window=True),
    "qwen2": Family(_QWEN, qkv_bias=True),
    "qwen3": Family(_QWEN | {"head_dim": 128}, head_norm=True),
    "gemma": Family(_GEMMA, offset=True, tied=True),
}
_LLAMA = {"vocab_size": 32_000, "hidden_size": 4_096, "intermediate_size": 11_008, "num_hidden_layers": 32, "num_attention_heads": 32,
          "max_position_embeddings": 2_048}  # fmt: skip


def llama(reading: Reading) -> Wire:
    """Touvron et al., 2023: rotary positions, a root-mean-square normalization, and a gated feed-forward layer."""
    family = FAMILIES[reading.config.need("model_type").text()]
    defaults = {**_LLAMA, **family.defaults}

    def whole(name: str) -> int:
        return reading.whole(name, defaults[name])

    features, heads = whole("hidden_size"), whole("num_attention_heads")
    shared = reading.whole("num_key_value_heads", defaults.get("num_key_value_heads", heads))
    if heads % shared:
        raise Refused(reading.config.place("num_key_value_heads"), f"{shared} heads do not divide {heads}", None, "A404")
    size = reading.whole(
        "head_dim", defaults.get("head_dim", 0) or (reading.heads("num_attention_heads", heads, features) and features // heads)
    )
    length = min(whole("max_position_embeddings"), LENGTH)
    _check_window(reading, family, length)
    positions = rotary_of(reading, whole("max_position_embeddings"))
    reading.notes.append(f"the input has {length:,} tokens: the file says how many there may be, and a spec how many there are")
    root = reading.prefix
    tokens = reading.draft.input([length], reading.config.place("max_position_embeddings"))
    wire = reading.embedded(f"{root}embed_tokens", tokens, whole("vocab_size"), features, "hidden_size")
    if family.offset:
        wire = reading.add(f"{root}embedded", "scale", wire, factor=sqrt(features))
    for at in reading.blocks("num_hidden_layers", defaults["num_hidden_layers"]):
        name = f"{root}layers.{at}"
        inner = _norm(reading, f"{name}.input_layernorm", wire, family)
        inner = _attention(reading, f"{name}.self_attn", inner, family, heads=heads, shared=shared, size=size, positions=positions)
        wire = reading.add(f"{name}.add_1", "add", inner, wire)
        inner = _norm(reading, f"{name}.post_attention_layernorm", wire, family)
        inner = _gated(reading, f"{name}.mlp", inner, whole("intermediate_size"), "gelu_pytorch_tanh" if family.offset else "silu")
        wire = reading.add(f"{name}.add_2", "add", inner, wire)
    wire = _norm(reading, f"{root}norm", wire, family)
    if reading.head == "Model":
        return wire
    tied = reading.config.get_flag("tie_word_embeddings", family.tied)
    return reading.tied_head("lm_head", wire, f"{root}embed_tokens", whole("vocab_size"), bias=False, tied=tied)


def _check_window(reading: Reading, family: Family, length: int) -> None:
    """Refuses windows that are shorter than the input."""
    window = reading.config.get("sliding_window")
    used = family.window or reading.config.get_flag("use_sliding_window", False)
    if window is not None and used and window.whole(1) < length:
        raise Refused(
            window.span, f"a window of {window.value} tokens, less than the {length:,} of the input, has no operator here", None, "A303"
        )
    if reading.number("attention_dropout", 0.0):
        reading.only("attention_dropout", 0.0, "dropout in attention is not read here")


def _norm(reading: Reading, name: str, wire: Wire, family: Family) -> Wire:
    out = reading.add(name, "rmsnorm", wire, place="rms_norm_eps", eps=reading.number("rms_norm_eps", 1e-6))
    if family.offset:
        reading.converts[f"{name}.weight"] = lambda array: array + array.dtype.type(1)
    return out


def _attention(
    reading: Reading, name: str, wire: Wire, family: Family, *, heads: int, shared: int, size: int, positions: Mapping[str, Any]
) -> Wire:
    bias = reading.config.get_flag("attention_bias", False)
    features, values = wire.shape.features, []
    for part, count in (("q", heads), ("k", shared), ("v", shared)):
        one = reading.add(f"{name}.{part}_proj", "linear", wire, features=count * size, bias=bias or family.qkv_bias)
        one = reading.heads_of(f"{name}.{part}", one, count, size)
        if family.head_norm and part != "v":
            one = _norm(reading, f"{name}.{part}_norm", one, family)
        one = reading.add(f"{name}.{part}_turned", "permute", one, order=[1, 0, 2])
        values.append(reading.add(f"{name}.{part}_rotary", "rotary", one, **positions) if part != "v" else one)
    out = reading.attended(name, values[0], values[1], values[2], causal=True, dropout=0.0)
    return reading.add(f"{name}.o_proj", "linear", out, features=features, bias=bias)


def _gated(reading: Reading, name: str, wire: Wire, hidden: int, act: str) -> Wire:
    bias, features = reading.config.get_flag("mlp_bias", False), wire.shape.features
    gate = reading.add(f"{name}.gate_proj", "linear", wire, features=hidden, bias=bias)
    key = "hidden_activation" if reading.config.get("hidden_activation") is not None else "hidden_act"
    gate = reading.activation(f"{name}.act_fn", gate, key, act)
    up = reading.add(f"{name}.up_proj", "linear", wire, features=hidden, bias=bias)
    return reading.add(f"{name}.down_proj", "linear", reading.add(f"{name}.gated", "mul", gate, up), features=features, bias=bias)
