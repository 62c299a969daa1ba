"""Architectures of Hugging Face transformers from small configurations: nothing is downloaded. What PyTorch counts is what archc says."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.analysis.memory.saved import saved
from archc.tracing import CaptureError, capture
from tests.helpers.autograd import kept_in_forward

WORDS = {"vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
PAIR = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}  # fmt: skip
IMAGE = {"image_size": 32, "patch_size": 8}
TOKENS, PICTURE = "12:int64", (3, 32, 32)


def make(model: str, config: str, **numbers: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(transformers, model)(getattr(transformers, config)(**numbers))


# Each family with its input.
FAMILIES: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "BERT": (make("BertModel", "BertConfig", **WORDS, **WIDTHS), TOKENS),
    "DistilBERT": (
        make("DistilBertModel", "DistilBertConfig", vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=64), TOKENS,
    ),
    "GPT-2": (
        make("GPT2LMHeadModel", "GPT2Config", vocab_size=99, bos_token_id=1, eos_token_id=2, n_embd=32, n_layer=2, n_head=4,
             n_positions=64),
        TOKENS,
    ),
    "Llama": (make("LlamaForCausalLM", "LlamaConfig", **WORDS, num_key_value_heads=2, **WIDTHS), TOKENS),
    "T5": (
        make("T5ForConditionalGeneration", "T5Config", vocab_size=99, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
        {"input_ids": TOKENS, "decoder_input_ids": "7:int64"},
    ),
    "BART": (make("BartModel", "BartConfig", **WORDS, **PAIR), {"input_ids": TOKENS, "decoder_input_ids": "7:int64"}),
    "Whisper": (
        make("WhisperModel", "WhisperConfig", **WORDS, **PAIR, num_mel_bins=8, max_source_positions=20, max_target_positions=20),
        {"input_features": (8, 40), "decoder_input_ids": "7:int64"},
    ),
    "CLIP": (
        make("CLIPModel", "CLIPConfig", projection_dim=16, text_config=WORDS | WIDTHS, vision_config=IMAGE | WIDTHS),
        {"input_ids": TOKENS, "pixel_values": PICTURE},
    ),
    "ViT": (make("ViTForImageClassification", "ViTConfig", num_labels=5, **IMAGE, **WIDTHS), PICTURE),
    "DINOv2": (
        make("Dinov2Model", "Dinov2Config", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, **IMAGE), PICTURE,
    ),
    "ResNet": (
        make("ResNetForImageClassification", "ResNetConfig", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5),
        PICTURE,
    ),
    "ConvNeXt": (
        make("ConvNextForImageClassification", "ConvNextConfig", hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, num_labels=5),
        PICTURE,
    ),
    "SegFormer": (
        make("SegformerForSemanticSegmentation", "SegformerConfig", num_encoder_blocks=2, depths=[1, 1], hidden_sizes=[8, 16],
             sr_ratios=[2, 1], num_attention_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[2, 2],
             decoder_hidden_size=16, num_labels=5),
        PICTURE,
    ),
    "Swin": (
        make("SwinForImageClassification", "SwinConfig", image_size=32, patch_size=4, embed_dim=8, depths=[2, 1], num_heads=[2, 2],
             window_size=4, num_labels=5),
        PICTURE,
    ),
}  # fmt: skip


WHOLE = {"ViT", "DINOv2", "ResNet", "ConvNeXt", "SegFormer"}  # each layer has an operator


def example(input: Any, batch: int) -> tuple[list[Tensor], dict[str, Tensor]]:
    if isinstance(input, dict):
        return [], {name: example(shape, batch)[0][0] for name, shape in input.items()}
    if isinstance(input, str):
        return [torch.randint(3, 90, (batch, int(input.partition(":")[0])))], {}
    return [torch.randn(batch, *input)], {}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family(family: str) -> None:
    maker, input = FAMILIES[family]
    module = maker().eval()
    graph = capture(module, input)
    opaque = {node.args["name"] for node in graph.nodes if node.kind == "opaque"}
    assert not opaque or family not in WHOLE
    owned = sum(weight.values for node in graph.nodes if node.shared is None for weight in node.facts.owned if weight.role != "buffer")
    assert graph.captured is not None
    assert owned + sum(graph.captured.unused.values()) == sum(one.numel() for one in module.parameters())

    inputs, named = example(input, 1)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # the kernel of the CPU is not counted
        result = module(*inputs, **named)
    macs = archc.analyze(graph).counts["macs"]
    counted = counter.get_total_flops() // 2
    assert macs.low <= counted and (macs.high is None or counted <= macs.high) and (macs.exact or opaque)
    assert set(result) >= set(graph.outputs) or any("_" in name for name in graph.outputs)
    for name, value in graph.outputs.items():
        if isinstance(result.get(name), Tensor) and not opaque:
            assert tuple(value.shape) == tuple(result[name].shape[1:])

    if not opaque and "drop_path" not in {node.kind for node in graph.nodes}:
        inputs, named = example(input, 2)
        module.train()
        ours, theirs = saved(graph, 2), kept_in_forward(module, *inputs, **named)
        assert ours.total <= theirs if ours.unknown else ours.total == theirs


def test_masks_of_the_user_decide() -> None:
    """Whether a mask hides anything is asked of its values: shapes alone are not enough, and tensors are."""
    module = make("BertForSequenceClassification", "BertConfig", **WORDS, **WIDTHS)()
    with pytest.raises(CaptureError, match="BertForSequenceClassification decides by the values of a tensor"):
        capture(module, {"input_ids": TOKENS, "attention_mask": TOKENS})
    tokens, mask = torch.ones(2, 12, dtype=torch.int64), torch.ones(2, 12, dtype=torch.int64)
    whole = capture(module, {"input_ids": tokens, "attention_mask": mask})
    mask[1, 8:] = 0
    masked = capture(module, {"input_ids": tokens, "attention_mask": mask})
    assert len(masked.nodes) > len(whole.nodes)
    parameters = sum(one.numel() for one in module.parameters())
    assert archc.analyze(whole).parameters == archc.analyze(masked).parameters == parameters


def test_experts_are_chosen_by_values() -> None:
    numbers = WORDS | WIDTHS | {"num_key_value_heads": 2, "num_local_experts": 4}
    module = make("MixtralForCausalLM", "MixtralConfig", **numbers)()
    graph = capture(module, torch.ones(2, 12, dtype=torch.int64))
    assert archc.analyze(graph).parameters == sum(one.numel() for one in module.parameters())
    assert {"linear", "embedding"} <= {node.kind for node in graph.nodes} and archc.memory(graph).bound.reasons
