"""What several exercises of lesson 09 share."""

import functools

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
)

INF = float("inf")

WORDS = "<end> the a cat dog bird sat ran slept on under by mat tree river and".split()  # noqa: SIM905


@functools.cache
def tiny_model(vocab_size: int = len(WORDS)) -> LlamaForCausalLM:
    """A random Llama, small enough to run in a millisecond, whose tokens do not repeat at once."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=64,
            initializer_range=1.0,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
        return LlamaForCausalLM(config).eval()
