"""What several exercises of lesson 11 share: refusals, token ids, and `peft`'s layer."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from utils.checks.engine.inputs import seeded

IGNORED = -100
SENTENCE = "a ValueError with a sentence"


def refused(call: Callable[[], Any]) -> str | None:
    """What a call raises that has to be refused; an accident counts as nothing.

    Returns:
        Words for the learner; None if the call returned None, as one of an empty function does.
    """
    try:
        return None if call() is None else "no ValueError"
    except NotImplementedError:
        raise
    except ValueError as error:
        return SENTENCE if len(str(error).split()) > 1 else "a ValueError without a sentence"
    except AssertionError:
        return "an AssertionError"
    except Exception:
        return "no ValueError"


def asserted(holds: bool) -> None:
    """Refuse as `assert` does, whatever Python was started with."""
    if not holds:
        raise AssertionError


def speechless(holds: bool) -> None:
    """Refuse without a word."""
    if not holds:
        raise ValueError


def drawn_ids(seed: int, n: int, vocab_size: int = 90_000) -> list[int]:
    """Token ids from 1 on: others among `other_numbers`."""
    draw = random.Random(seeded(seed))
    return [draw.randrange(1, vocab_size) for _ in range(n)]


def peft_layer(linear: nn.Linear, A: torch.Tensor, B: torch.Tensor, scale: float) -> nn.Module:
    """`peft`'s LoRA layer around a linear one, with these matrices."""
    from peft import LoraConfig
    from peft.tuners.lora import Linear

    theirs = Linear(linear, "default", LoraConfig(), r=A.shape[0], lora_alpha=A.shape[0])
    theirs.scaling["default"] = scale
    theirs.lora_A["default"].weight = A if isinstance(A, nn.Parameter) else nn.Parameter(A)
    theirs.lora_B["default"].weight = B if isinstance(B, nn.Parameter) else nn.Parameter(B)
    return theirs
