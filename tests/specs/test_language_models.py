"""The language models that ship against transformers' own, in small configurations with its random weights: the same logits.

By hand, where transformers is installed: pytest -m heavy tests/specs/test_language_models.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import archc

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.heavy

State = dict[str, Any]
TOKENS, WORDS = 12, 97


def _gpt2() -> Any:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=WORDS, n_positions=16, n_embd=24, n_layer=2, n_head=3, attn_implementation="eager")
    )


def _bert() -> Any:
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 96}
    return transformers.BertForPreTraining(transformers.BertConfig(vocab_size=WORDS, max_position_embeddings=16, **sizes))


def _llama() -> Any:
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 40}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=WORDS, rms_norm_eps=1e-5, **sizes))


def _mixtral() -> Any:
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 40}
    config = transformers.MixtralConfig(vocab_size=WORDS, num_local_experts=4, rope_theta=1e6, **sizes)
    return transformers.MixtralForCausalLM(config)


def from_gpt2(state: State) -> State:
    """Its projections hold the transposed matrices."""
    names = {"attn.c_attn": "attn.qkv", "attn.c_proj": "attn.proj"}
    found = {}
    for name, tensor in state.items():
        turned = tensor.t() if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")) else tensor
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        found[name] = turned
    return found


def from_mixtral(state: State) -> State:
    names = {"mlp.gate": "mlp.router", "mlp.experts.gate_up_proj": "mlp.up", "mlp.experts.down_proj": "mlp.down"}
    found = from_llama(state)
    for theirs, ours in names.items():
        found = {name.replace(theirs, ours): tensor for name, tensor in found.items()}
    return found


def from_llama(state: State) -> State:
    return {name.replace("self_attn.o_proj", "self_attn.out_proj"): tensor for name, tensor in state.items()}


SMALL = {"vocabulary": WORDS, "width": 24, "depth": 2}
SHARED = {**SMALL, "heads": 6, "kv_heads": 2, "hidden": 40}
CASES: dict[str, tuple[Callable[[], Any], dict[str, Any], Callable[[State], State]]] = {
    "gpt2": (_gpt2, {**SMALL, "context": 16, "heads": 3}, from_gpt2),
    "bert_base": (_bert, {**SMALL, "context": 16, "heads": 3}, dict),
    "llama2_7b": (_llama, SHARED, from_llama),
    "mixtral_8x7b": (_mixtral, {**SHARED, "experts": 4}, from_mixtral),
}


@pytest.mark.parametrize("name", CASES)
def test_logits(name: str) -> None:
    torch.manual_seed(0)
    build, params, renamed = CASES[name]
    theirs = build().eval()
    inputs = {"tokens": (TOKENS,), "segments": (TOKENS,)} if name == "bert_base" else (TOKENS,)
    ours = archc.build(archc.load(name, input=inputs, **params)).eval()
    state = renamed(theirs.state_dict())
    own = ours.state_dict()
    assert sorted(own) == sorted(one for one in state if one in own), set(own) - set(state)
    ours.load_state_dict({one: state[one] for one in own})
    words = torch.randint(WORDS, (3, TOKENS))
    with torch.no_grad():
        if name == "bert_base":
            segments = torch.randint(2, (3, TOKENS))
            expected = theirs(words, token_type_ids=segments)
            found = ours(words, segments)
            assert torch.allclose(found["next"], expected.seq_relationship_logits, atol=1e-5)
            found, expected = found["words"], expected.prediction_logits
        else:
            found, expected = ours(words), theirs(words).logits
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, ours(words.flip(1)) if name != "bert_base" else expected.flip(1), atol=1e-2)  # it could fail
