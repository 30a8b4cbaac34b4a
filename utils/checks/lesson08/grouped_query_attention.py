"""Exercise 8.3, `GroupedQueryAttention`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal
from utils.checks.lesson04.common import MODULES, habits
from utils.checks.lesson08.common import Cache, angles, rotate, seen
from utils.checks.lesson08.grouped_query_attention_mutants import (
    OfHuggingFace,
    added_then_ignored,
    attend,
    attention,
    first_of_all,
    hidden_afterwards,
    last_of_all,
    merge_by_reshape,
    neighbours,
    only_first_head,
    scaled,
    split_by_reshape,
    split_interleaved,
    spread,
    tiled,
    turned_after_the_cache,
    turned_by,
    weights_over,
)


def _attended(cls, build, x, cos, sin, past=None):
    """What `seen` sees, each call with a cache of its own; then what the cache is given."""
    module = made(cls, build, OfHuggingFace)

    def forward(self, x, cos, sin, past=None):
        cache = None if past is None else Cache(past)
        return (
            cls.forward(self, x, cos, sin)
            if cache is None
            else cls.forward(self, x, cos, sin, cache)
        )

    module.__class__ = type(cls.__name__, (cls,), {"forward": forward})
    inputs = (x, cos, sin) if past is None else (x, cos, sin, past)
    d_head = 2 * cos.shape[1]
    larger = normal(90, 2, 20, x.shape[2]), *angles(0, 20, d_head)
    found = seen(module, *inputs, larger=larger, again=_others(x, past, d_head))
    if past is None or not isinstance(found, Seen):
        return found
    cache = Cache(past)
    with torch.no_grad():
        cls.forward(module, x, cos, sin, cache)
    found["what `cache.add` is given"] = [(k, v) for k, v in cache.given]
    return found


def _others(x, past, d_head):
    """Further inputs for the same object: other lengths, with and without a cache."""
    B, T, d_model = x.shape
    longer = 0.4 * normal(91, B, T + 2, d_model)
    others = {"with a longer text": (longer, *angles(0, T + 2, d_head))}
    if past is not None:
        P = past.shape[3]
        others["with one new word"] = (x[:, :1], *angles(P, 1, d_head), past)
        if P:
            others["with a shorter cache"] = (x, *angles(P - 1, T, d_head), past[..., 1:, :])
    return others


def _case(seed, B, T, n_heads, n_kv_heads, d_head, P=None):
    """A call with T new positions; P earlier ones in the cache, or no cache."""
    build = {"d_model": n_heads * d_head, "n_heads": n_heads, "n_kv_heads": n_kv_heads}
    label = f"{call_text('GroupedQueryAttention', build)} with weights of the check's own,\n"
    label += f"x of shape {(B, T, n_heads * d_head)}, "
    if P is None:
        given, label = (), label + "no cache"
    else:
        given = (normal(seed + 50, 2, B, n_kv_heads, P, d_head),)
        label += f"a cache with {P} positions" if P else "an empty cache"
    cos, sin = angles(P or 0, T, d_head)
    x = 0.4 * normal(seed, B, T, n_heads * d_head)  # the softmax is far from 0 and 1
    return Case(build, x, cos, sin, *given, label=label)


GroupedQueryAttention = Exercise(
    number="8.3",
    name="GroupedQueryAttention",
    oracle=OfHuggingFace,
    compared_with="Hugging Face's Llama attention with your weights",
    probe=_attended,
    tolerance=MODULES,
    cases=lambda: [
        _case(1, 3, 5, 6, 2, 4),
        _case(2, 3, 3, 6, 2, 4, P=5),
        _case(3, 2, 1, 6, 3, 4, P=7),
        _case(4, 2, 4, 4, 1, 2),
        _case(5, 1, 2, 3, 3, 2, P=3),
        _case(6, 2, 4, 6, 3, 2, P=0),
        _case(7, 2, 1, 4, 2, 2),
        _case(8, 1, 4, 4, 2, 4, P=1),
        _case(9, 1, 70, 2, 1, 2),
    ],
    mistakes=[
        *habits(OfHuggingFace),
        Mistake(
            "tiled",
            "The key and value heads go round in turn: query head 1 gets head 1, query head 2 gets "
            "head 0 again. *Neighbouring* query heads share one: `repeat_interleave(…, dim=1)`, "
            "not `repeat`.",
            attention(spread=(tiled, tiled)),
        ),
        Mistake(
            "first_head_for_all",
            "All query heads look at the first key and value head. Each of those serves "
            "`n_heads // n_kv_heads` neighbouring query heads: `repeat_interleave(…, dim=1)`.",
            attention(spread=(only_first_head, only_first_head)),
        ),
        Mistake(
            "repeated_before_an_empty_cache",
            "The numbers are right, but the cache gets every key and value head many times over, "
            "and keeping few is what grouped queries are for. `cache.add` first, then repeat.",
            attention(
                before=lambda k, v, times: (spread(k, times), spread(v, times)),
                remember=lambda cache, k, v, cos, sin: (k, v) if cache is None else cache.add(k, v),
            ),
        ),
        Mistake(
            "is_causal_with_a_cache",
            "Right without a cache. `is_causal=True` takes your T queries for the *first* T of the "
            "S positions, and they are the last: query i may look at keys 0 to S - T + i. Make the "
            "mask yourself, `torch.ones(T, S, dtype=torch.bool).tril(S - T)`.",
            attention(mask=lambda q, k, cache: first_of_all(q, k)),
        ),
        Mistake(
            "is_causal_but_for_one_word",
            "Right without a cache, and for a single new word. With several, `is_causal=True` "
            "takes them for the *first* T of the S positions, and they are the last: "
            "`torch.ones(T, S, dtype=torch.bool).tril(S - T)`.",
            attention(
                mask=lambda q, k, cache: first_of_all(q, k) if q.shape[2] > 1 else last_of_all(q, k)
            ),
        ),
        Mistake(
            "no_mask_with_a_cache",
            "Right without a cache. With one nothing is hidden, so of several new words the first "
            "already looks at the last: query i may look at keys 0 to S - T + i.",
            attention(
                mask=lambda q, k, cache: (
                    last_of_all(q, k) if cache is None else torch.ones_like(last_of_all(q, k))
                )
            ),
        ),
        Mistake(
            "no_mask",
            "Nothing is hidden: words look at those that come after them. Query i may look at keys "
            "0 to S - T + i.",
            attention(mask=lambda q, k, cache: torch.ones_like(last_of_all(q, k))),
        ),
        Mistake(
            "anti_causal",
            "The mask hides the past in place of the future. True means *may look*: `tril`, not "
            "`triu`.",
            attention(
                mask=lambda q, k, cache: torch.ones_like(last_of_all(q, k)).triu(
                    k.shape[2] - q.shape[2]
                )
            ),
        ),
        Mistake(
            "mask_upside_down",
            "The mask is upside down: what may be looked at is hidden. For "
            "`F.scaled_dot_product_attention` True means *may look*.",
            attention(mask=lambda q, k, cache: ~last_of_all(q, k)),
        ),
        Mistake(
            "own_word_hidden",
            "Each word looks only at those *before* it. Its own key belongs to what it may see: "
            "`.tril(S - T)`.",
            attention(
                mask=lambda q, k, cache: torch.ones_like(last_of_all(q, k)).tril(
                    k.shape[2] - q.shape[2] - 1
                )
            ),
        ),
        Mistake(
            "one_word_too_far",
            "Each word sees one that comes after it. Query i may look at keys 0 to S - T + i, and "
            "no further: `.tril(S - T)`.",
            attention(
                mask=lambda q, k, cache: torch.ones_like(last_of_all(q, k)).tril(
                    k.shape[2] - q.shape[2] + 1
                )
            ),
        ),
        Mistake(
            "mask_of_numbers",
            "Your mask is made of numbers, and those are *added* to the scores: nothing is hidden. "
            "It has to be `dtype=torch.bool`.",
            attention(mask=lambda q, k, cache: last_of_all(q, k).float()),
        ),
        Mistake(
            "mask_after_softmax",
            "The hidden *weights* are set to 0 after the softmax, and a row no longer sums to 1. "
            "Hide the scores, before it.",
            attention(attend=hidden_afterwards),
        ),
        Mistake(
            "values_rotated",
            "The values are rotated as well. Position decides who looks at whom; what is handed "
            "over, `v`, stays as it is.",
            attention(turn=lambda q, k, v, cos, sin: tuple(rotate(y, cos, sin) for y in (q, k, v))),
        ),
        Mistake(
            "only_keys_rotated",
            "The queries are not rotated. Only if both are does a score depend on the distance of "
            "the two words: rotate `q` and `k`.",
            attention(turn=lambda q, k, v, cos, sin: (q, rotate(k, cos, sin), v)),
        ),
        Mistake(
            "only_queries_rotated",
            "The keys are not rotated. Only if both are does a score depend on the distance of the "
            "two words: rotate `q` and `k`, and the keys before they go into the cache.",
            attention(turn=lambda q, k, v, cos, sin: (rotate(q, cos, sin), k, v)),
        ),
        Mistake(
            "nothing_rotated",
            "Nothing is rotated, so no word knows where it stands: `rotate(q, cos, sin)`, and the "
            "same for `k`.",
            attention(turn=lambda q, k, v, cos, sin: (q, k, v)),
        ),
        Mistake(
            "rotated_after_the_cache",
            "Right without a cache. The keys go into it before they are rotated, and what comes "
            "back is then turned by the positions of the *new* words. Rotate first, then "
            "`cache.add`.",
            attention(
                turn=lambda q, k, v, cos, sin: (rotate(q, cos, sin), k, v),
                remember=turned_after_the_cache,
            ),
        ),
        Mistake(
            "cos_and_sin_swapped",
            "`cos` and `sin` are swapped: `rotate(x, cos, sin)`.",
            attention(turn=turned_by(lambda x, cos, sin: rotate(x, sin, cos))),
        ),
        Mistake(
            "neighbours_rotated",
            "You rotate neighbouring components, i with i + 1. Llama's weights expect i with "
            "i + d_head/2: take the lesson's `rotate`.",
            attention(turn=turned_by(neighbours)),
        ),
        Mistake(
            "cache_ignored",
            "Right without a cache. With one, nothing is put into it and nothing taken out: "
            "`k, v = cache.add(k, v)`.",
            attention(remember=lambda cache, k, v, cos, sin: (k, v)),
        ),
        Mistake(
            "cache_filled_but_not_used",
            "Right without a cache. With one, the new words are put into it, but they look only at "
            "one another: go on with what `cache.add` returns.",
            attention(remember=added_then_ignored),
        ),
        Mistake(
            "no_scale",
            "The scores are not divided by √d_head.",
            attention(attend=scaled(lambda q: 1.0)),
        ),
        Mistake(
            "scaled_by_d_model",
            "The scores are divided by √d_model. Each head adds up only `d_head` products: divide "
            "by √d_head.",
            attention(attend=scaled(lambda q: q.shape[1] * q.shape[-1])),
        ),
        Mistake(
            "scaled_by_d_head",
            "The scores are divided by d_head, not by its root.",
            attention(attend=scaled(lambda q: q.shape[-1] ** 2)),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries; the keys are the last axis.",
            attention(attend=weights_over(-2)),
        ),
        Mistake(
            "keys_and_values_swapped",
            "Keys and values are swapped: `self.k` makes what a word is found by, `self.v` what it "
            "hands over.",
            attention(project=lambda self, x: (self.q(x), self.v(x), self.k(x))),
        ),
        Mistake(
            "values_before_keys",
            "Attention gets the values where it wants the keys: queries, keys, values is the "
            "order.",
            attention(attend=lambda q, k, v, mask: attend(q, v, k, mask)),
        ),
        Mistake(
            "k_for_values",
            "The values are made with `self.k`: they have their own `self.v`.",
            attention(project=lambda self, x: (self.q(x), self.k(x), self.k(x))),
        ),
        Mistake(
            "split_by_reshape",
            "The heads are split with `view` straight to `(B, heads, T, d_head)`, which mixes the "
            "words up: `view(B, T, -1, d_head)` first, then `transpose(1, 2)`.",
            attention(split=split_by_reshape),
        ),
        Mistake(
            "split_interleaved",
            "Your heads take every so-many-th component. Trained weights expect neighbours: view "
            "the last axis as `(heads, d_head)`.",
            attention(split=split_interleaved),
        ),
        Mistake(
            "merged_by_reshape",
            "The heads are merged without moving them back behind the words: `transpose(1, 2)` "
            "before `reshape`.",
            attention(merge=merge_by_reshape),
        ),
        Mistake(
            "reshaped_both_ways",
            "The heads are split and merged with `view` alone. The two undo each other, but in "
            "between the words are mixed up: `transpose(1, 2)` is missing in both.",
            attention(split=split_by_reshape, merge=merge_by_reshape),
        ),
        Mistake(
            "no_output_projection",
            "`self.out` is missing: the heads lie side by side and nothing has mixed them yet.",
            attention(finish=lambda self, out, x: out),
        ),
        Mistake(
            "input_added",
            "You add `x` already. The block does that, around this layer; here only what the heads "
            "have found is wanted.",
            attention(finish=lambda self, out, x: x + self.out(out)),
        ),
    ],
    hints=[
        "In this order: project, split into heads, rotate `q` and `k`, `cache.add`, repeat the key "
        "and value heads, attend, merge, project.",
        "`self.k(x).view(B, T, self.n_kv_heads, self.d_head).transpose(1, 2)`. After the cache, "
        "`k.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1)` gives each query head its "
        "key head.",
        "With `S = k.shape[2]` the mask is `torch.ones(T, S, dtype=torch.bool).tril(S - T)`: hand "
        "it to `F.scaled_dot_product_attention`, then `out.transpose(1, 2).reshape(B, T, -1)`, "
        "then `self.out`.",
    ],
)
