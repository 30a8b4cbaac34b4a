"""Whisper out of a CTranslate2 file: its arrays, read, and named as Hugging Face has them."""

import struct
from pathlib import Path

import numpy as np
import torch

_KINDS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a CTranslate2 file (version 6), by name.

    Raises:
        ValueError: the file is of another version or for another kind of model.
    """
    with file.open("rb") as stream:

        def number(kind: str) -> int:
            return struct.unpack(f"<{kind}", stream.read(struct.calcsize(kind)))[0]

        def word() -> str:
            return stream.read(number("H"))[:-1].decode()  # it ends with a zero

        version, name = number("I"), word()
        if (version, name) != (6, "WhisperSpec"):
            raise ValueError(f"version {version} of {name!r}, not version 6 of 'WhisperSpec'")
        number("I")  # the revision
        arrays = {}
        for _ in range(number("I")):
            key = word()
            sizes = [number("I") for _ in range(number("B"))]
            kind, length = number("B"), number("I")
            arrays[key] = np.frombuffer(stream.read(length), _KINDS[kind]).reshape(sizes)
    return arrays


def for_hugging_face(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The weights under the names of `WhisperForConditionalGeneration`.

    CTranslate2 joins the matrices of queries, keys and values in one (in cross-attention those of
    keys and values). The keys have no bias.

    Args:
        arrays: from `read_arrays`.

    Returns:
        name -> weight; the head is the decoder's embedding, and not listed.
    """
    out: dict[str, torch.Tensor] = {}

    def taken(key: str) -> torch.Tensor:
        return torch.tensor(np.array(arrays[key]))

    def linear(theirs: str, *ours: str) -> None:
        """One joined linear layer becomes as many as there are names."""
        weights, biases = (taken(f"{theirs}/{x}").chunk(len(ours)) for x in ("weight", "bias"))
        for name, weight, bias in zip(ours, weights, biases, strict=True):
            out[f"{name}.weight"] = weight.clone()
            if not name.endswith("k_proj"):
                out[f"{name}.bias"] = bias.clone()

    def norm(theirs: str, ours: str) -> None:
        out[f"{ours}.weight"], out[f"{ours}.bias"] = (
            taken(f"{theirs}/gamma"),
            taken(f"{theirs}/beta"),
        )

    layers = {key.split("/")[1] for key in arrays if "/layer_" in key and key.startswith("encoder")}
    n_layers = len(layers - {"layer_norm"})
    for side in ("encoder", "decoder"):
        for i in range(n_layers):
            theirs, ours = f"{side}/layer_{i}", f"model.{side}.layers.{i}"
            attention = f"{ours}.self_attn"
            linear(f"{theirs}/self_attention/linear_0", *(f"{attention}.{x}_proj" for x in "qkv"))
            linear(f"{theirs}/self_attention/linear_1", f"{attention}.out_proj")
            norm(f"{theirs}/self_attention/layer_norm", f"{attention}_layer_norm")
            if side == "decoder":
                attention = f"{ours}.encoder_attn"
                linear(f"{theirs}/attention/linear_0", f"{attention}.q_proj")
                linear(f"{theirs}/attention/linear_1", f"{attention}.k_proj", f"{attention}.v_proj")
                linear(f"{theirs}/attention/linear_2", f"{attention}.out_proj")
                norm(f"{theirs}/attention/layer_norm", f"{attention}_layer_norm")
            linear(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
            linear(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
            norm(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        positions = taken(f"{side}/position_encodings/encodings")
        out[f"model.{side}.embed_positions.weight"] = positions
    linear("encoder/conv1", "model.encoder.conv1")
    linear("encoder/conv2", "model.encoder.conv2")
    out["model.decoder.embed_tokens.weight"] = taken("decoder/embeddings/weight")
    return out
