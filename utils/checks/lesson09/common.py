"""What several exercises of lesson 09 share."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from utils.checks.engine.inputs import seeded

INF = float("inf")

WORDS = "<end> the a cat dog bird sat ran slept on under by mat tree river and".split()  # noqa: SIM905


def tiny_model(vocab_size: int = len(WORDS), seed: int = 3) -> LlamaForCausalLM:
    """A random Llama, small enough to run in a millisecond, whose tokens do not repeat at once.

    Each call makes one of its own, so that an answer which changes it harms nobody else.
    """
    return copy.deepcopy(_made_once(vocab_size, seed))


@functools.cache
def _made_once(vocab_size: int, seed: int) -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
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
        model = LlamaForCausalLM(config).eval()
        with torch.no_grad():
            model.lm_head.weight[: 2**16].mul_(0.2 if vocab_size > 2**16 else 1.0)
        return model


@torch.no_grad()
def chain_model(follows: dict[int, int]) -> LlamaForCausalLM:
    """A tiny Llama that says after each token what `follows` says, whatever stood before."""
    model = tiny_model()
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    model.model.embed_tokens.weight.copy_(torch.eye(len(WORDS)))
    model.lm_head.weight.zero_()
    for token, after in follows.items():
        model.lm_head.weight[after, token] = 1.0
    return model


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that knows the 16 words of `tiny_model`."""
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", unk_token="<end>"
    )


def drawn_tokens(seed: int, length: int) -> list[int]:
    """Tokens of the tiny model, no end token among them: another draw among `other_numbers`."""
    generator = torch.Generator().manual_seed(seeded(seed))
    return torch.randint(1, len(WORDS), (length,), generator=generator).tolist()


def one_fill(oracle: Callable) -> Callable:
    """A probe that takes every large negative number for the same, where one stands for -inf.

    Args:
        oracle: the exercise's own; what an answer returns is changed only if it is the oracle's
            result but for what stands in place of -inf.
    """

    def probe(answer: Callable, logits: torch.Tensor, *rest: Any) -> Any:
        before = logits.clone()
        out = answer(logits, *rest)
        if not isinstance(out, torch.Tensor) or out.shape != before.shape:
            return out
        filled = (out < -50) & out.isfinite()
        wanted = oracle(before, *rest)
        if filled.any() and torch.equal(out.masked_fill(filled, -INF).to(wanted.dtype), wanted):
            return out.masked_fill(filled, -1e9)
        return out

    return probe
