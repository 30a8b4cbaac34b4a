"""Exercise 3.6 (stretch), `relative_shift_invariant`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.compare import is_tensor
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.lesson03.apply_rope import apply_rope, halves, joined, turn_by
from utils.checks.lesson03.rope_attention import turned_back
from utils.checks.lesson03.sinusoidal import in_turn


def _scores_with(encode, q, k, q_shift, k_shift):
    q_positions = torch.arange(len(q)) + q_shift
    k_positions = torch.arange(len(k)) + k_shift
    return encode(q, q_positions) @ encode(k, k_positions).T


def _relative_shift_invariant(encode, q, k):
    """In 64 bits, at every shift up to 40."""
    q, k = q.double(), k.double()
    unmoved = _scores_with(encode, q, k, 0, 0)
    moved = [_scores_with(encode, q, k, shift, shift) for shift in range(1, 41)]
    return all(torch.allclose(m.double(), unmoved.double(), rtol=1e-4, atol=1e-4) for m in moved)


def _close(moved, unmoved):
    return torch.allclose(moved, unmoved, atol=1e-4)


def _shift_test(
    shifts=(1, 7, 30), scores=_scores_with, k_shift=lambda s: s, same=_close, verdict=all
):
    """The test with one step replaced."""

    def mutant(encode, q, k):
        unmoved = scores(encode, q, k, 0, 0)
        return verdict(same(scores(encode, q, k, s, k_shift(s)), unmoved) for s in shifts)

    return mutant


def _encoded(encode, q, k, q_shift, k_shift):
    """All encoded vectors, with no scores made of them."""
    q_positions = torch.arange(len(q)) + q_shift
    return torch.cat([encode(q, q_positions), encode(k, torch.arange(len(k)) + k_shift)])


def _lengths(*args):
    return _encoded(*args).norm(dim=-1)


def _sum(*args):
    return _scores_with(*args).sum()


def _softmaxed(*args):
    return _scores_with(*args).softmax(-1)


def _first_row(*args):
    return _scores_with(*args)[:1]


def _diagonal(*args):
    return _scores_with(*args).diagonal()


def _turns(angle):
    """Turn the two components of each pair (c, c + d / 2) by angle(position)."""

    def encode(x, positions):
        turned = angle(positions.double())[:, None].expand(-1, x.shape[-1] // 2)
        return joined(*turn_by(*halves(x), turned.cos().to(x.dtype), turned.sin().to(x.dtype)))

    return encode


def _turns_quarters(x, positions):
    first, second = halves(x)
    quarters = torch.stack([x, joined(-second, first), -x, joined(second, -first)])
    return quarters[positions % 4, torch.arange(len(x))]


def _adds_row(row):
    """Add row(position) of a table of random vectors."""

    def encode(x, positions):
        return x + normal(9, 4096, x.shape[-1])[row(positions) % 4096].to(x.dtype)

    return encode


def _adds_waves(x, positions):
    angle = positions[:, None] * torch.tensor([1.0, 0.01])
    return x + in_turn(angle.sin(), angle.cos()).to(x.dtype)


def _stretches(x, positions):
    return x * (1 + 0.1 * positions[:, None]).to(x.dtype)


def _stretches_last(x, positions):
    stretch = torch.ones(x.shape)
    stretch[:, -1] += positions
    return x * stretch.to(x.dtype)


def _plain_bool(answer, encode, q, k):
    """True or False, also where the answer is a tensor with one of the two in it."""

    def strict(x, positions):
        if not is_tensor(positions) or positions.is_floating_point():
            kind = positions.dtype if is_tensor(positions) else type(positions).__name__
            raise TypeError(f"encode takes positions as an integer tensor, and got {kind}")
        if tuple(positions.shape) != (len(x),):
            got = tuple(positions.shape)
            raise ValueError(f"encode takes one position for each of {len(x)} words, and got {got}")
        return encode(x, positions)

    result = answer(strict, q, k)
    one = is_tensor(result) and result.dtype == torch.bool and result.numel() == 1
    return result.item() if one else result


def _invariance_case(encode, what, q_words=3, make=lambda x: x):
    q, k = normal(31, q_words, 4), normal(32, 4, 4)
    label = f"relative_shift_invariant(encode, q, k)\nwhere encode {what}"
    return Case(encode, make(q), make(k), label=label)


def _without_last_key_component():
    q, k = normal(31, 3, 4), normal(32, 4, 4)
    k[:, -1] = 0.0
    label = "relative_shift_invariant(encode, q, k)\n"
    label += "where encode multiplies the last component by 1 + position, and it is 0 in k"
    return Case(_stretches_last, q, k, label=label)


def _one_word_repeated():
    """A step by one changes the rows among themselves, and the columns: no sum shows it."""
    q, k = normal(31, 1, 4).repeat(2, 1), normal(32, 1, 4).repeat(2, 1)
    label = "relative_shift_invariant(encode, q, k)\nwhere encode adds one of 2 vectors, "
    label += "number position % 2, and all words are the same"
    return Case(_adds_row(lambda p: p % 2), q, k, label=label)


def _grows(by):
    return lambda x, positions: x + by * positions[:, None].to(x.dtype)


def _shakes(x, positions):
    return x + 0.03 * (_adds_row(lambda p: p)(x, positions) - x)


def _first_into_last(x, positions):
    new = x.clone()
    new[:, -1] += x[:, 0] * positions.to(x.dtype)
    return new


def _for_the_queries_only():
    q, k = normal(31, 3, 4), normal(32, 4, 4)
    k[:, 0], k[:, -1] = 0.0, 1.0  # every score of a query changes by the same number
    label = "relative_shift_invariant(encode, q, k)\nwhere encode adds position times the first "
    label += "component to the last; the keys' first component is 0, their last 1"
    return Case(_first_into_last, q, k, label=label)


def _first_query_zero():
    q, k = normal(31, 3, 4), normal(32, 4, 4)
    q[0] = 0.0
    label = "relative_shift_invariant(encode, q, k)\n"
    label += "where encode multiplies by 1 + 0.1 * position, and the first query is 0"
    return Case(_stretches, q, k, label=label)


def _rounding_case(seed):
    label = "relative_shift_invariant(encode, q, k)\n"
    label += "where encode turns as Llama does, on 8 queries and 9 keys of width 16"
    return Case(apply_rope.oracle, normal(seed, 8, 16), normal(seed + 9, 9, 16), label=label)


relative_shift_invariant = Exercise(
    number="3.6",
    name="relative_shift_invariant",
    oracle=_relative_shift_invariant,
    compared_with="the same test in 64 bits at every shift up to 40",
    probe=_plain_bool,
    cases=lambda: [
        _invariance_case(apply_rope.oracle, "turns as Llama does"),
        _invariance_case(turned_back, "turns the other way round", q_words=5),
        _invariance_case(lambda x, positions: x, "returns x as it is"),
        _invariance_case(lambda x, positions: x + 1, "returns x + 1"),
        _invariance_case(
            lambda x, positions: x * positions[:, None], "returns x * positions[:, None]"
        ),
        _invariance_case(_adds_row(lambda p: 0 * p), "adds the same vector at every position"),
        _invariance_case(
            _turns_quarters, "turns by a quarter at each position", make=lambda x: (3 * x).round()
        ),
        _without_last_key_component(),
        _invariance_case(_adds_waves, "adds sines and cosines"),
        _invariance_case(_adds_row(lambda p: p), "adds a random vector for each position"),
        _invariance_case(_stretches, "returns x * (1 + 0.1 * positions[:, None])", q_words=4),
        _invariance_case(_turns(lambda p: 0.1 * p**2), "turns by 0.1 * position ** 2"),
        *(
            _invariance_case(
                _adds_row(lambda p, n=n: p % n),
                f"returns x + torch.randn({n}, 4)[positions % {n}] (always the same table)",
            )
            for n in (13, 11, 7, 5, 3, 2)
        ),
        *(
            _invariance_case(_grows(by), f"returns x + {by} * positions[:, None]", make=torch.abs)
            for by in (0.001, 0.0002)
        ),
        _invariance_case(_shakes, "adds a small random vector for each position"),
        _for_the_queries_only(),
        _first_query_zero(),
        *(_rounding_case(seed) for seed in range(3)),
        _invariance_case(
            _adds_row(lambda p: p // 8), "returns x + torch.randn(999, 4)[positions // 8]"
        ),
        _one_word_repeated(),
    ],
    mistakes=[
        Mistake(
            "vectors_compared",
            "You compare the encoded *vectors*. They may change; what must not change are the "
            "scores, `encode(q, ...) @ encode(k, ...).T`.",
            _shift_test(scores=_encoded),
        ),
        Mistake(
            "lengths_compared",
            "You compare the *lengths* of the encoded vectors. A rotation always keeps them, "
            "and a score may be the same although they change. Compare the scores.",
            _shift_test(scores=_lengths),
        ),
        Mistake(
            "not_moved_together",
            "Queries and keys do not move by the same number. If only one side moves, or each in "
            "another direction, the distances change, and so may the scores. Add the same shift to "
            "both positions.",
            _shift_test(k_shift=lambda s: 0),
        ),
        Mistake(
            "nothing_moves",
            "It says True of every encoding. Is the shift really added to the positions, and are "
            "the scores (not only their shapes) compared? A shift of 0 shows nothing.",
            _shift_test(shifts=(0,)),
        ),
        Mistake(
            "always_false",
            "It says False of every encoding, even of one that ignores the positions. Are you "
            "comparing the same queries and keys, with one shift and with another?",
            lambda encode, q, k: False,
        ),
        Mistake(
            "answer_inverted",
            "True and False are swapped. True means that the scores do *not* change.",
            _shift_test(verdict=lambda found: not all(found)),
        ),
        Mistake(
            "no_room_for_rounding",
            "Sines and cosines are rounded, so scores that should be equal differ in the last "
            "digits. Allow for it: `torch.allclose(..., atol=1e-4)`.",
            _shift_test(same=torch.equal),
        ),
        Mistake(
            "sign_of_the_difference_lost",
            "You ask whether `(a - b).max()` is small. A difference that is very *negative* passes "
            "that: take `.abs()` first, or use `torch.allclose`.",
            _shift_test(same=lambda moved, unmoved: bool((unmoved - moved).max() < 1e-4)),
        ),
        Mistake(
            "too_much_room",
            "You allow so much for rounding that real changes pass. 1e-4 is plenty.",
            _shift_test(same=lambda moved, unmoved: torch.allclose(moved, unmoved, atol=0.1)),
        ),
        Mistake(
            "softmax_compared",
            "You compare the scores after a softmax. It hides what a whole row gains. Compare the "
            "scores themselves.",
            _shift_test(scores=_softmaxed),
        ),
        Mistake(
            "first_query_only",
            "You compare the scores of the first query only. Compare the whole table.",
            _shift_test(scores=_first_row),
        ),
        Mistake(
            "last_shift_only",
            "Only one shift counts: you try no other, or each round overwrites what the one before "
            "has found. It has to hold for *every* shift.",
            _shift_test(shifts=(30,)),
        ),
        Mistake(
            "only_shift_7",
            "You try one shift, 7. An encoding that begins anew after 7 positions passes this "
            "test, and still its scores change at other shifts. Try several, such as 1, 7 and 30.",
            _shift_test(shifts=(7,)),
        ),
        Mistake(
            "only_round_shifts",
            "Your shifts are all multiples of 10. An encoding that begins anew after 2 or 5 "
            "positions passes such a test. Mix them: 1, 7 and 30.",
            _shift_test(shifts=(10, 100)),
        ),
        Mistake(
            "only_small_shifts",
            "You try small shifts only (or a `return` inside the loop ends it after the first). "
            "An encoding that changes every 8 positions passes them. Try larger ones too, "
            "such as 7 and 30.",
            _shift_test(shifts=(1,)),
        ),
        Mistake(
            "any_for_all",
            "You say True as soon as one shift leaves the scores as they were. It has to hold for "
            "every shift: `all`, not `any`.",
            _shift_test(verdict=any),
        ),
        Mistake(
            "only_the_diagonal",
            "You compare only a part of the scores (the diagonal, where query and key stand at the "
            "same position?). Compare the whole table.",
            _shift_test(scores=_diagonal),
        ),
        Mistake(
            "only_a_sum",
            "You compare a sum of all scores (or their mean, or a norm). Single scores can change "
            "while it stays as it was: compare the tables entry by entry, with `torch.allclose`.",
            _shift_test(scores=_sum),
        ),
    ],
    hints=[
        "Write a helper `scores(shift)`: the positions are `torch.arange(len(q)) + shift`, and "
        "`torch.arange(len(k)) + shift` for the keys.",
        "Compare `scores(0)` with the scores at several shifts, small and large.",
        "`all(torch.allclose(scores(0), scores(s), atol=1e-4) for s in (1, 7, 30))`.",
    ],
)
