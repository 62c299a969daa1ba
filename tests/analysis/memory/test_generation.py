"""The memory of a language model that writes: prefill against PyTorch's allocations, the cache against its arithmetic and transformers'."""

from __future__ import annotations

from typing import Any

import pytest

import archc
from archc.analysis.memory.generation import _keeping, cached_layers, generation
from archc.analysis.memory.timeline import Options
from archc.cli.main import main
from archc.errors import ArgumentError

SMALL = {"vocabulary": 97, "width": 24, "depth": 3}
LLAMA = {**SMALL, "heads": 6, "kv_heads": 2, "hidden": 40}
GPT = {**SMALL, "heads": 3, "context": 64}
REPEATED = """
input: [9]
layers:
  words: {embedding: {entries: 7, features: 8}}
  q: [{reshape: [9, 4, 2]}, {permute: [1, 0, 2]}]
  k: {from: words, layers: [{linear: 4}, {reshape: [9, 2, 2]}, {permute: [1, 0, 2]}]}
  more: {repeat_interleave: {times: 2, axis: 0}}
  asked: {from: [q, more, more], scaled_dot_product_attention: {causal: true}}
"""


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("name", "params"), [("llama2_7b", LLAMA), ("gpt2", GPT)])
def test_prefill_is_what_pytorch_allocates(name: str, params: dict[str, Any], batch: int) -> None:
    """Of a module that returns copies of all keys and values."""
    pytest.importorskip("torch")
    from tests.analysis.memory.test_timeline import evaluates

    graph = archc.load(name, input=(48,), **params)
    evaluates(_keeping(graph, list(cached_layers(graph))), batch)


@pytest.mark.parametrize(
    ("name", "a_token"),
    [
        ("gpt2", 2 * 12 * 768 * 2),
        ("llama2_7b", 2 * 32 * 4096 * 2),  # half a MiB
        ("llama2_70b", 2 * 80 * 8 * 128 * 2),
        ("llama3_8b", 2 * 32 * 8 * 128 * 2),  # 128 KiB
        ("mixtral_8x7b", 2 * 32 * 8 * 128 * 2),
    ],
)
def test_bytes_a_token(name: str, a_token: int) -> None:
    found = generation(archc.load(name, input=(32,)), Options(4, dtype="bfloat16"))
    assert found.bytes_a_token == a_token
    assert found.cache_bytes == 4 * 32 * a_token


def test_what_is_repeated_for_each_head_is_cached_before_that() -> None:
    graph = archc.loads(REPEATED)
    assert [one.keys.shape for one in cached_layers(graph)] == [(2, 9, 2)]


def test_decode_holds_the_cache_and_a_longer_copy_of_one_layers_keys() -> None:
    graph, single = (archc.load("llama2_7b", input=(tokens,), **LLAMA) for tokens in (4096, 1))
    found = generation(graph, Options(1), single)
    assert found.step is not None and found.decode_bytes is not None
    keys = 2 * 4096 * 4 * 4
    assert found.cache_bytes == 3 * 2 * keys
    weights = found.step.by_kind()["parameters"]
    assert weights + found.cache_bytes + keys <= found.decode_bytes <= found.step.peak_bytes + found.cache_bytes + keys
    assert generation(graph, Options(1)).decode_bytes is None


@pytest.mark.parametrize("name", ["vgg16", "bert_base", "vit_b16"])
def test_a_network_that_does_not_write_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="does not write"):
        generation(archc.load(name), Options())


def test_the_command_says_what_fits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["memory", "llama3_8b", "--generate", "8192", "--dtype", "bf16", "--memory", "24GiB", "--reserve", "0"]) == 0
    out = capsys.readouterr().out
    assert "keys and values   1.00 GiB    1,073,741,824" in out
    assert "a token    128 KiB of keys and values: 32 layers, each 2 x 8 heads x 128" in out
    assert "fits       24.0 GiB" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert main(["memory", "gpt2", "--generate", "2048"]) == 2  # more than its table of positions has
    assert main(["memory", "gpt2", "--generate", "64", "--inference"]) == 2
    assert "leave\n  out --inference" in capsys.readouterr().err


@pytest.mark.heavy
@pytest.mark.parametrize(("heads", "groups"), [(6, 6), (6, 2)])
def test_the_cache_of_transformers_is_as_large(heads: int, groups: int) -> None:
    """By hand, where transformers is installed: its own tensors, layer by layer."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "intermediate_size": 40,
    }
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=97, **sizes)).eval()
    with torch.no_grad():
        cache = model(torch.randint(97, (2, 31)), use_cache=True).past_key_values
        cache = model(torch.randint(97, (2, 1)), past_key_values=cache).past_key_values  # one token is written
    found = generation(archc.load("llama2_7b", input=(32,), **{**LLAMA, "heads": heads, "kv_heads": groups}), Options(2))
    theirs = [layer.keys.nbytes + layer.values.nbytes for layer in cache.layers]
    assert [found.bytes_of(one) for one in found.layers] == theirs
