"""Configurations of Hugging Face: published parameters, and the logits of transformers' own models with the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import archc
from archc.importing.draft import Refused
from archc.importing.huggingface import read_huggingface
from archc.importing.imported import Imported, ImportedError
from archc.text.source import Source


def read(config: dict[str, Any] | str, weights: Path | None = None) -> Imported:
    text = config if isinstance(config, str) else json.dumps(config, indent=1)
    return read_huggingface(Source("config.json", text), "net", weights)


def llama(kind: str, **more: Any) -> dict[str, Any]:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size")
    return {"model_type": kind, **dict(zip(names, more.pop("sizes"), strict=True)), **more}


# As the models' pages and papers print them; what a file leaves out is what the class has by default.
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "gpt2": ({"model_type": "gpt2"}, 124_439_808),
    "gpt2-xl": ({"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25}, 1_557_611_200),
    "bert-base": ({"model_type": "bert", "architectures": ["BertModel"]}, 109_482_240),
    "bert-large": (
        {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096},
        335_141_888,
    ),
    "roberta-base": (
        {"model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "max_position_embeddings": 514, "type_vocab_size": 1},
        124_697_433,
    ),
    "distilbert": ({"model_type": "distilbert", "architectures": ["DistilBertModel"]}, 66_362_880),
    "vit-base": ({"model_type": "vit", "id2label": {str(at): "x" for at in range(1000)}}, 86_567_656),
    "llama-2-7b": ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, 6_738_415_616),
    "llama-3-8b": (llama("llama", sizes=(4096, 14336, 32, 32, 8, 128256), rope_theta=500000.0), 8_030_261_248),
    "mistral-7b": ({"model_type": "mistral"}, 7_241_732_096),
    "qwen2-0.5b": (llama("qwen2", sizes=(896, 4864, 24, 14, 2, 151936), tie_word_embeddings=True), 494_032_768),
    "qwen3-0.6b": (llama("qwen3", sizes=(1024, 3072, 28, 16, 8, 151936), tie_word_embeddings=True), 596_049_920),
    "gemma-2b": (llama("gemma", sizes=(2048, 16384, 18, 8, 1, 256000), head_dim=256), 2_506_172_416),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters(name: str) -> None:
    config, parameters = PUBLISHED[name]
    assert archc.analyze(archc.loads(read(config).text)).parameters == parameters


_TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 50}
_LLAMA = {**_TINY, "num_key_value_heads": 2, "max_position_embeddings": 16}
_DISTILLED = {"dim": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 50, "max_position_embeddings": 16}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT2LMHeadModel": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16, "vocab_size": 50}),
    "GPT2Model": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16, "vocab_size": 50, "n_inner": 40}),
    "LlamaForCausalLM": ("LlamaConfig", {**_LLAMA, "attention_bias": True, "mlp_bias": True}),
    "LlamaModel": ("LlamaConfig", {**_LLAMA, "rms_norm_eps": 1e-5, "head_dim": 12}),
    **{
        f"LlamaForCausalLM {kind}": ("LlamaConfig", {**_LLAMA, "max_position_embeddings": 32, "rope_parameters": {
            "rope_type": kind, "rope_theta": 100.0, **more}})
        for kind, more in {
            "linear": {"factor": 4.0},
            "dynamic": {"factor": 4.0},
            "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16},
            "yarn": {"factor": 4.0, "original_max_position_embeddings": 8, "beta_fast": 4.0},
        }.items()
    },
    "MistralForCausalLM": ("MistralConfig", {**_LLAMA, "tie_word_embeddings": True}),
    "Qwen2ForCausalLM": ("Qwen2Config", _LLAMA),
    "Qwen3ForCausalLM": ("Qwen3Config", {**_LLAMA, "head_dim": 16}),
    "GemmaForCausalLM": ("GemmaConfig", {**_LLAMA, "head_dim": 16}),
    "BertForMaskedLM": ("BertConfig", {**_TINY, "max_position_embeddings": 16}),
    "BertModel": ("BertConfig", {**_TINY, "max_position_embeddings": 16}),
    "BertForSequenceClassification": ("BertConfig", {**_TINY, "max_position_embeddings": 16, "num_labels": 5}),
    "BertForTokenClassification": ("BertConfig", {**_TINY, "max_position_embeddings": 16, "hidden_act": "relu"}),
    "RobertaForMaskedLM": ("RobertaConfig", {**_TINY, "max_position_embeddings": 18}),
    "RobertaForSequenceClassification": ("RobertaConfig", {**_TINY, "max_position_embeddings": 18}),
    "DistilBertForMaskedLM": ("DistilBertConfig", {**_DISTILLED, "hidden_dim": 48}),
    "DistilBertForSequenceClassification": ("DistilBertConfig", _DISTILLED),
    "ViTForImageClassification": ("ViTConfig", {**_TINY, "image_size": 32, "patch_size": 8, "num_labels": 7}),
    "ViTModel": ("ViTConfig", {**_TINY, "image_size": 32, "patch_size": 8, "qkv_bias": False}),
}  # fmt: skip
MODELS = {
    name: (config, {key: one for key, one in given.items() if config != "ViTConfig" or key != "vocab_size"})
    for name, (config, given) in MODELS.items()
}


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    kind, given = MODELS[name]
    torch.manual_seed(0)
    model = getattr(transformers, name.split()[0])(getattr(transformers, kind)(**given)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(tmp_path)
    imported = read((tmp_path / "config.json").read_text(), tmp_path / "model.safetensors")
    graph = archc.loads(imported.text)
    assert archc.analyze(graph).parameters == sum(weight.numel() for weight in model.parameters())
    module = archc.build(graph).eval()
    held = {key: torch.tensor(value) for key, value in imported.tensors.items()}
    keys = module.load_state_dict(held, strict=False)
    tied = {f"{node.name}.{tensor}" for node in graph.nodes for tensor in node.ties}
    assert not keys.unexpected_keys and set(keys.missing_keys) <= tied
    shape = next(iter(graph.inputs.values())).shape
    x = torch.randn(1, *shape) if name.startswith("ViT") else torch.randint(3, 50, (1, *shape))
    with torch.no_grad():
        wanted, found = model(x), module(x)
    found = found if isinstance(found, dict) else {"output": found}
    for key, value in found.items():
        other = wanted[0] if key == "output" else wanted[key]
        torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-4)


def test_weights_of_shards_and_of_bfloat16(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**_LLAMA)).to(torch.bfloat16)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    imported = read((tmp_path / "config.json").read_text(), tmp_path / "model.safetensors.index.json")
    for key, value in model.state_dict().items():
        assert torch.equal(torch.tensor(imported.tensors[key]), value.float())


def test_weights_that_are_not_those_of_the_network(tmp_path: Path) -> None:
    file, config = tmp_path / "model.safetensors", {"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1}
    header = json.dumps({"wte.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(4)
    for content, said in (
        (whole, "no weights of transformer.wpe.weight"),
        (whole[:-1], "damaged"),
        (b"\x80\x04K\x01.", "not opened"),
        (b"", "damaged"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "damaged"),
        (whole.replace(b"[1]", b"[9]"), "damaged"),
    ):
        file.write_bytes(content)
        with pytest.raises(ImportedError, match=said):
            read(config, file)


WRONG = {
    '{"hidden_size": 3}': "no model_type",
    '{\n"model_type": "berd"}': "bert",
    '{\n"model_type": "t5"}': "others are captured",
    '{"model_type": "gpt2",\n"architectures": ["GPT2ForMagic"]}': "GPT2LMHeadModel",
    '{"model_type": "gpt2",\n"n_head": 5}': "do not divide",
    '{"model_type": "gpt2",\n"n_layer": 100000}': "blocks are read",
    '{"model_type": "gpt2",\n"n_layer": -1}': "whole number",
    '{"model_type": "gpt2",\n"activation_function": "magic"}': "has no operator",
    '{"model_type": "gpt2",\n"scale_attn_weights": false}': "true is read",
    '{"model_type": "llama",\n"rope_scaling": {"rope_type": "longrope", "factor": 8.0}}': "read are default, linear",
    '{"model_type": "llama",\n"rope_scaling": {"rope_type": "linear"}}': "factor",
    '{"model_type": "llama",\n"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "truncate": false}}': "true is read",
    '{"model_type": "mistral",\n"sliding_window": 100}': "a window of 100",
    '{"model_type": "llama",\n"num_key_value_heads": 5}': "do not divide",
    '{"model_type": "bert",\n"position_embedding_type": "relative_key"}': "relative positions",
    '{"model_type": "vit",\n"image_size": 4}': "does not fit",
    '{"model_type": "vit",\n"hidden_size": 9999999999}': "whole number",
    '{"model_type":\n[1]}': "a text",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_refused_is_named_with_its_place(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text)
    found = refused.value.found
    assert WRONG[text] in f"{found.message} {found.hint}", found
    assert found.span.line == (2 if "\n" in text else 1) or "does not fit" in found.message
