"""Encoders: BERT, RoBERTa and DistilBERT for text, ViT for images."""

from __future__ import annotations

from archc.importing.draft import Refused, Wire
from archc.importing.huggingface.parts import Reading


def bert(reading: Reading) -> Wire:
    """Devlin et al., 2019; RoBERTa (Liu et al., 2019) with positions behind the padding's, and another head."""
    roberta = reading.config.need("model_type").text() == "roberta"
    reading.only("position_embedding_type", "absolute", "relative positions are not read")
    reading.only("is_decoder", False, "a decoder is not read")
    reading.only("add_cross_attention", False, "attention to another sequence is not read")
    features = reading.whole("hidden_size", 768)
    root, eps, dropped = reading.prefix, reading.number("layer_norm_eps", 1e-12), reading.number("hidden_dropout_prob", 0.1)
    entries = reading.whole("max_position_embeddings", 512)
    begin = reading.whole("pad_token_id", 1, 0) + 1 if roberta else 0
    if begin >= entries:
        raise Refused(
            reading.config.place("max_position_embeddings"), f"{entries} positions, of which the first {begin} are none", None, "A404"
        )
    vocabulary, kinds = reading.whole("vocab_size", 50_265 if roberta else 30_522), reading.whole("type_vocab_size", 2)
    tokens = reading.draft.input([entries - begin], reading.config.place("max_position_embeddings"))
    reading.notes.append("all tokens are of the first kind, and none is masked")
    wire = reading.embedded(f"{root}embeddings.word_embeddings", tokens, vocabulary, features, "vocab_size")
    table = reading.add(
        f"{root}embeddings.token_type_embeddings.weight", "parameter", wire, shape=[kinds, features], start="normal", std=0.02
    )
    first = reading.add(f"{root}embeddings.token_type", "slice", table, stop=1)
    wire = reading.add(f"{root}embeddings.typed", "add", wire, first, broadcast=True)
    wire = reading.add(
        f"{root}embeddings.placed", "add", wire, reading.positions(f"{root}embeddings.position_embeddings", wire, entries, begin)
    )
    wire = reading.add(f"{root}embeddings.LayerNorm", "layernorm", wire, eps=eps)
    wire = reading.dropout(f"{root}embeddings.dropout", wire, dropped, "hidden_dropout_prob")
    for at in reading.blocks("num_hidden_layers", 12):
        wire = _bert_block(reading, f"{root}encoder.layer.{at}", wire, eps, dropped)
    return _bert_head(reading, wire, eps, dropped, vocabulary, roberta)


def _bert_block(reading: Reading, name: str, wire: Wire, eps: float, dropped: float) -> Wire:
    features = wire.shape.features
    inner = _attention(reading, f"{name}.attention.self", wire, dropout=reading.number("attention_probs_dropout_prob", 0.1))
    inner = reading.add(f"{name}.attention.output.dense", "linear", inner, features=features)
    inner = reading.dropout(f"{name}.attention.output.dropout", inner, dropped, "hidden_dropout_prob")
    inner = reading.add(f"{name}.attention.output.add", "add", inner, wire)
    wire = reading.add(f"{name}.attention.output.LayerNorm", "layernorm", inner, eps=eps)
    inner = reading.add(f"{name}.intermediate.dense", "linear", wire, features=reading.whole("intermediate_size", 4 * features))
    inner = reading.activation(f"{name}.intermediate.act", inner, "hidden_act", "gelu")
    inner = reading.add(f"{name}.output.dense", "linear", inner, features=features)
    inner = reading.dropout(f"{name}.output.dropout", inner, dropped, "hidden_dropout_prob")
    inner = reading.add(f"{name}.output.add", "add", inner, wire)
    return reading.add(f"{name}.output.LayerNorm", "layernorm", inner, eps=eps)


def _attention(reading: Reading, name: str, wire: Wire, *, dropout: float, bias: bool = True, heads: str = "num_attention_heads") -> Wire:
    """Attention of all tokens to each other, without the projection behind it."""
    features, values = wire.shape.features, []
    count = reading.heads(heads, 12, features)
    for part in ("query", "key", "value"):
        one = reading.add(f"{name}.{part}", "linear", wire, features=features, bias=bias)
        values.append(reading.first(f"{name}.{part}", reading.heads_of(f"{name}.{part}", one, count, features // count)))
    return reading.attended(name, values[0], values[1], values[2], causal=False, dropout=dropout)


def _bert_head(reading: Reading, wire: Wire, eps: float, dropped: float, vocabulary: int, roberta: bool) -> Wire:
    root, features, head = reading.prefix, wire.shape.features, reading.head
    if head == "Model" or (head == "ForSequenceClassification" and not roberta):
        pooled = _pooled(reading, root, wire)
        if head == "Model":
            reading.draft.outputs["last_hidden_state"] = wire
            return pooled
        pooled = reading.dropout("dropout", pooled, dropped, "hidden_dropout_prob")
        return reading.add("classifier", "linear", pooled, place="id2label", features=reading.labels())
    if head == "ForSequenceClassification":
        out = reading.dropout(
            "classifier.dropout", reading.add("classifier.first", "select", wire, index=0), dropped, "hidden_dropout_prob"
        )
        out = reading.add("classifier.tanh", "tanh", reading.add("classifier.dense", "linear", out, features=features))
        out = reading.dropout("classifier.dropout_2", out, dropped, "hidden_dropout_prob")
        return reading.add("classifier.out_proj", "linear", out, place="id2label", features=reading.labels())
    if head == "ForTokenClassification":
        wire = reading.dropout("dropout", wire, dropped, "hidden_dropout_prob")
        return reading.add("classifier", "linear", wire, place="id2label", features=reading.labels())
    names = ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias")
    if not roberta:
        part = "cls.predictions"
        names = (f"{part}.transform.dense", f"{part}.transform.LayerNorm", f"{part}.decoder", f"{part}.bias")
    wire = reading.add(names[0], "linear", wire, features=features)
    wire = reading.activation(f"{names[0]}_act", wire, "" if roberta else "hidden_act", "gelu")
    wire = reading.add(names[1], "layernorm", wire, eps=eps)
    reading.others[f"{names[2]}.bias"] = names[3]
    tied = reading.config.get_flag("tie_word_embeddings", True)
    return reading.tied_head(names[2], wire, f"{root}embeddings.word_embeddings", vocabulary, bias=True, tied=tied)


def _pooled(reading: Reading, root: str, wire: Wire) -> Wire:
    out = reading.add(f"{root}pooler.first", "select", wire, index=0)
    out = reading.add(f"{root}pooler.dense", "linear", out, features=wire.shape.features)
    return reading.add(f"{root}pooler.activation", "tanh", out)


def distilbert(reading: Reading) -> Wire:
    """Sanh et al., 2019."""
    reading.only("sinusoidal_pos_embds", False, "fixed positions are not read")
    features, entries = reading.whole("dim", 768), reading.whole("max_position_embeddings", 512)
    vocabulary, dropped, root, eps = reading.whole("vocab_size", 30_522), reading.number("dropout", 0.1), reading.prefix, 1e-12
    tokens = reading.draft.input([entries], reading.config.place("max_position_embeddings"))
    reading.notes.append("no token is masked")
    wire = reading.embedded(f"{root}embeddings.word_embeddings", tokens, vocabulary, features, "vocab_size")
    wire = reading.add(f"{root}embeddings.placed", "add", wire, reading.positions(f"{root}embeddings.position_embeddings", wire, entries))
    wire = reading.add(f"{root}embeddings.LayerNorm", "layernorm", wire, eps=eps)
    wire = reading.dropout(f"{root}embeddings.dropout", wire, dropped, "dropout")
    for at in reading.blocks("n_layers", 6):
        name, count = f"{root}transformer.layer.{at}", reading.heads("n_heads", 12, features)
        values = []
        for part in ("q_lin", "k_lin", "v_lin"):
            one = reading.add(f"{name}.attention.{part}", "linear", wire, features=features)
            one = reading.heads_of(f"{name}.attention.{part}", one, count, features // count)
            values.append(reading.first(f"{name}.attention.{part}", one))
        dropout = reading.number("attention_dropout", 0.1)
        inner = reading.attended(f"{name}.attention", values[0], values[1], values[2], causal=False, dropout=dropout)
        inner = reading.add(f"{name}.attention.out_lin", "linear", inner, features=features)
        wire = reading.add(f"{name}.sa_layer_norm", "layernorm", reading.add(f"{name}.add_1", "add", inner, wire), eps=eps)
        inner = reading.add(f"{name}.ffn.lin1", "linear", wire, features=reading.whole("hidden_dim", 4 * features))
        inner = reading.activation(f"{name}.ffn.activation", inner, "activation", "gelu")
        inner = reading.add(f"{name}.ffn.lin2", "linear", inner, features=features)
        inner = reading.dropout(f"{name}.ffn.dropout", inner, dropped, "dropout")
        wire = reading.add(f"{name}.output_layer_norm", "layernorm", reading.add(f"{name}.add_2", "add", inner, wire), eps=eps)
    if reading.head == "Model":
        return wire
    if reading.head == "ForSequenceClassification":
        out = reading.add("first", "select", wire, index=0)
        out = reading.add("relu", "relu", reading.add("pre_classifier", "linear", out, features=features))
        out = reading.dropout("dropout", out, reading.number("seq_classif_dropout", 0.2), "seq_classif_dropout")
        return reading.add("classifier", "linear", out, place="id2label", features=reading.labels())
    wire = reading.activation("vocab_act", reading.add("vocab_transform", "linear", wire, features=features), "activation", "gelu")
    wire = reading.add("vocab_layer_norm", "layernorm", wire, eps=eps)
    tied = reading.config.get_flag("tie_word_embeddings", True)
    return reading.tied_head("vocab_projector", wire, f"{root}embeddings.word_embeddings", vocabulary, bias=True, tied=tied)


def vit(reading: Reading) -> Wire:
    """Dosovitskiy et al., 2021."""
    features, size, patch = reading.whole("hidden_size", 768), reading.whole("image_size", 224), reading.whole("patch_size", 16)
    root, eps, dropped = reading.prefix, reading.number("layer_norm_eps", 1e-12), reading.number("hidden_dropout_prob", 0.0)
    image = reading.draft.input([reading.whole("num_channels", 3), size, size], reading.config.place("image_size"))
    part = f"{root}embeddings"
    wire = reading.add(
        f"{part}.patch_embeddings.projection", "conv", image, place="patch_size", channels=features, kernel=patch, stride=patch
    )
    wire = reading.add(f"{part}.patch_embeddings.tokens", "tokens", wire)
    token = reading.add(f"{part}.cls_token", "parameter", wire, shape=[1, features], start="normal", std=0.02, batch_axis=True)
    wire = reading.add(f"{part}.joined", "concat", token, wire)
    place = reading.add(f"{part}.position_embeddings", "parameter", wire, shape=list(wire.shape), start="normal", std=0.02, batch_axis=True)
    wire = reading.add(f"{part}.placed", "add", wire, place)
    wire = reading.dropout(f"{part}.dropout", wire, dropped, "hidden_dropout_prob")
    bias, dropout = reading.config.get_flag("qkv_bias", True), reading.number("attention_probs_dropout_prob", 0.0)
    for at in reading.blocks("num_hidden_layers", 12):
        name = f"{root}encoder.layer.{at}"
        inner = reading.add(f"{name}.layernorm_before", "layernorm", wire, eps=eps)
        inner = _attention(reading, f"{name}.attention.attention", inner, dropout=dropout, bias=bias)
        inner = reading.add(f"{name}.attention.output.dense", "linear", inner, features=features)
        inner = reading.dropout(f"{name}.attention.output.dropout", inner, dropped, "hidden_dropout_prob")
        wire = reading.add(f"{name}.add_1", "add", inner, wire)
        inner = reading.add(f"{name}.layernorm_after", "layernorm", wire, eps=eps)
        inner = reading.add(f"{name}.intermediate.dense", "linear", inner, features=reading.whole("intermediate_size", 4 * features))
        inner = reading.activation(f"{name}.intermediate.act", inner, "hidden_act", "gelu")
        inner = reading.add(f"{name}.output.dense", "linear", inner, features=features)
        inner = reading.dropout(f"{name}.output.dropout", inner, dropped, "hidden_dropout_prob")
        wire = reading.add(f"{name}.add_2", "add", inner, wire)
    wire = reading.add(f"{root}layernorm", "layernorm", wire, eps=eps)
    if reading.head == "Model":
        reading.draft.outputs["last_hidden_state"] = wire
        return _pooled(reading, root, wire)
    first = reading.add("first", "select", wire, index=0)
    return reading.add("classifier", "linear", first, place="id2label", features=reading.labels())
