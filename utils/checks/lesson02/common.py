"""What several exercises of lesson 02 share."""

import math

import torch


def everything(T_q, T_k):
    """A mask (T_q, T_k) that allows every query every key."""
    return torch.ones(T_q, T_k, dtype=torch.bool)


def hide_scores(scores, mask):
    """Scores with minus infinity where the mask is False."""
    return scores.masked_fill(~mask, -torch.inf)


def _softmax(scores, mask):
    """The softmax, with 0 in place of the nan of an empty row."""
    return scores.softmax(-1).nan_to_num(0.0)


def softmax_over(axis):
    """The softmax over one axis, with 0 in place of nan."""
    return lambda scores, mask: scores.softmax(axis).nan_to_num(0.0)


def root_of(size):
    """A scale: the root of a size of q, k or v."""
    return lambda q, k, v: math.sqrt(size(q, k, v))


_root_of_d_head = root_of(lambda q, k, v: q.shape[-1])


def attention_with(
    scale=_root_of_d_head,
    hide=hide_scores,
    normalise=_softmax,
    afterwards=lambda weights, mask: weights,
    mix=lambda weights, v: weights @ v,
    finish=lambda out, q: out,
):
    """Masked attention with one step replaced: how it scales, hides, normalises or mixes."""

    def mutant(q, k, v, mask):
        scores = q @ k.transpose(-2, -1) / scale(q, k, v)
        weights = normalise(hide(scores, mask), mask)
        return finish(mix(afterwards(weights, mask), v), q)

    return mutant


def unmasked(scores, mask):
    """Scores as they are: the mask is forgotten."""
    return scores


def zeroed(values, mask):
    """Numbers with 0 where the mask is False."""
    return values.masked_fill(~mask, 0.0)
