"""Exercise 3.4, `rope_attention`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson03.apply_rope import apply_rope, neighbours, places, rope_with, turn_by
from utils.checks.lesson03.sinusoidal import in_turn


def _rope_attention(q, k, v, positions):
    return F.scaled_dot_product_attention(
        apply_rope.oracle(q, positions), apply_rope.oracle(k, positions), v
    )


def _still(x, positions):
    return x


def _attends(
    q_turn=apply_rope.oracle,
    k_turn=apply_rope.oracle,
    v_turn=_still,
    out_turn=_still,
    attend=F.scaled_dot_product_attention,
):
    """Rotary attention with one step replaced: what is turned, and how attention goes on."""

    def mutant(q, k, v, positions):
        turned = q_turn(q, positions), k_turn(k, positions), v_turn(v, positions)
        return out_turn(attend(*turned), positions)

    return mutant


def _scaled(scale):
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=scale(q) ** -0.5)


def _scores(q, k):
    return q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5


turned_back = rope_with(turn=lambda a, b, cos, sin: turn_by(a, b, cos, -sin))

_turned_by_neighbours = rope_with(pairs=neighbours, join=in_turn)

_turned_in_order = rope_with(angle=lambda x, p, speed: torch.arange(len(p))[:, None] * speed)


def _turned_twice(x, positions):
    return apply_rope.oracle(x, 2 * positions)


def _attention_case(seed, *shape, positions):
    q, k, v = normal(seed, 3, *shape)
    return Case(q, k, v, torch.as_tensor(positions))


def _with_slopes(answer, q, k, v, positions):
    return with_slopes(lambda q, k, v: answer(q, k, v, positions), q, k, v)


rope_attention = Exercise(
    number="3.4",
    name="rope_attention",
    oracle=_rope_attention,
    compared_with="`F.scaled_dot_product_attention` with Llama's rotation, and its gradients",
    probe=_with_slopes,
    cases=lambda: [
        _attention_case(1, 2, 3, 4, 6, positions=[0, 1, 2, 3]),
        _attention_case(2, 1, 1, 2, 4, positions=[1, 3]),
        _attention_case(3, 1, 2, 3, 8, positions=[2, 5, 11]),
        _attention_case(4, 1, 4, 4, 4, positions=[6, 7, 8, 9]),
        _attention_case(5, 3, 2, 1, 4, positions=[2]),
        _attention_case(6, 2, 2, 3, 4, positions=places(7, 3)),
        _attention_case(8, 1, 1, 70, 2, positions=range(70)),
    ],
    tolerance=Tolerance(absolute=1e-4, relative=1e-4),
    mistakes=[
        Mistake(
            "values_rotated",
            "The values are rotated as well. Position decides *who attends to whom*; what is then "
            "handed over, `v`, stays as it is.",
            _attends(v_turn=apply_rope.oracle),
        ),
        Mistake(
            "output_rotated",
            "You rotate the output. Rotate `q` and `k` only; what attention returns stays as it "
            "is.",
            _attends(out_turn=apply_rope.oracle),
        ),
        Mistake(
            "only_queries_rotated",
            "Only the queries are rotated. A score then depends on where the query stands, not on "
            "the distance of the two words: rotate `k` too.",
            _attends(k_turn=_still),
        ),
        Mistake(
            "only_keys_rotated",
            "Only the keys are rotated. A score then depends on where the key stands, not on the "
            "distance of the two words: rotate `q` too.",
            _attends(q_turn=_still),
        ),
        Mistake(
            "not_rotated",
            "Nothing is rotated that matters: this is attention without positions. Use "
            "`apply_rope(q, positions)` and `apply_rope(k, positions)` in the scores, as they are: "
            "turned along the axis of the heads, queries and keys turn alike, and it cancels.",
            _attends(q_turn=_still, k_turn=_still),
        ),
        Mistake(
            "keys_turned_the_other_way",
            "Queries and keys turn in opposite directions, so a score depends on the *sum* of "
            "two positions. Turn both the same way, and the difference of the positions is left.",
            _attends(k_turn=turned_back),
        ),
        Mistake(
            "rotated_twice",
            "Queries and keys are rotated twice, so that distances count double. Once is enough.",
            _attends(q_turn=_turned_twice, k_turn=_turned_twice),
        ),
        Mistake(
            "neighbours_paired",
            "The pairs that you turn are neighbours. Use your `apply_rope` of 3.3, which pairs `c` "
            "with `c + d_head / 2`.",
            _attends(q_turn=_turned_by_neighbours, k_turn=_turned_by_neighbours),
        ),
        Mistake(
            "positions_ignored",
            "You count the positions 0, 1, 2 yourself. Pass on the `positions` that you are given: "
            "they may have gaps.",
            _attends(q_turn=_turned_in_order, k_turn=_turned_in_order),
        ),
        Mistake(
            "queries_turned_the_other_way",
            "Queries and keys turn in opposite directions, so a score depends on the *sum* of "
            "two positions. Turn both the same way (mend the queries).",
            _attends(q_turn=turned_back),
        ),
        Mistake(
            "other_theta",
            "Your θ is not 10,000, the default of `apply_rope`.",
            _attends(
                q_turn=lambda x, p: apply_rope.oracle(x, p, 100_000.0),
                k_turn=lambda x, p: apply_rope.oracle(x, p, 100_000.0),
            ),
        ),
        Mistake(
            "weights_returned",
            "You return the weights. They still have to mix the values.",
            _attends(attend=lambda q, k, v: _scores(q, k).softmax(-1)),
        ),
        Mistake(
            "queries_and_keys_swapped",
            "Queries and keys are swapped: row `i` of the scores belongs to query `i`, "
            "so `q` comes first.",
            _attends(attend=lambda q, k, v: F.scaled_dot_product_attention(k, q, v)),
        ),
        Mistake(
            "no_scale",
            "The scores are not divided by √d_head. Rotation changes no lengths, so the scale "
            "stays as it was.",
            _attends(attend=_scaled(lambda q: 1.0)),
        ),
        Mistake(
            "scale_by_d_head",
            "You divide by d_head; divide by its root.",
            _attends(attend=_scaled(lambda q: q.shape[-1] ** 2)),
        ),
        Mistake(
            "scale_by_length",
            "You divide by the root of the number of words. Take the width of a head, "
            "`q.shape[-1]`.",
            _attends(attend=_scaled(lambda q: q.shape[-2])),
        ),
        Mistake(
            "scale_by_all_heads",
            "You divide by the root of n_heads · d_head. A score is summed over one head only: "
            "√d_head.",
            _attends(attend=_scaled(lambda q: q.shape[1] * q.shape[-1])),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries. The weights of one query must sum to 1: "
            "`softmax(-1)`.",
            _attends(attend=lambda q, k, v: _scores(q, k).softmax(-2) @ v),
        ),
        Mistake(
            "no_softmax",
            "There is no softmax between the scores and the mix.",
            _attends(attend=lambda q, k, v: _scores(q, k) @ v),
        ),
        Mistake(
            "causal_mask",
            "You hide the words that come later. No mask is asked for here: every word sees all "
            "words.",
            _attends(
                attend=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
            ),
        ),
    ],
    hints=[
        "It is attention as before. What changes is only what you hand to it.",
        "Which of `q`, `k` and `v` take part in the scores? Those are rotated.",
        "`F.scaled_dot_product_attention(apply_rope(q, positions), ...)` scales, normalises and "
        "mixes.",
    ],
)
