"""Lesson 03: position. Answers take and return torch tensors."""

import functools

import torch
import torch.nn.functional as F
from transformers import LlamaConfig
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.distilbert.modeling_distilbert import create_sinusoidal_embeddings
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance, is_tensor
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import with_slopes

LESSON = Lesson("03", "Position", "03_position")


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- 3.1 add_positions ----------------------------------------------------------------------


def _add_positions(x, table):
    return x + F.embedding(torch.arange(x.shape[1]), table)


def _adds(rows):
    """The sum, with other rows of the table."""
    return lambda x, table: x + rows(table, *x.shape[:2])


def _first_sentence_only(x, table):
    first = x[:1] + table[: x.shape[1]]
    return torch.cat([first, x[1:]])


def _positions_beside(x, table):
    return torch.cat([x, table[: x.shape[1]].expand(len(x), -1, -1)], dim=-1)


add_positions = Exercise(
    number="3.1",
    name="add_positions",
    oracle=_add_positions,
    compared_with="`x + F.embedding(torch.arange(T), table)` and its gradients",
    probe=with_slopes,
    cases=lambda: [
        Case(_normal(1, 2, 3, 4), _normal(2, 8, 4)),
        Case(_normal(3, 3, 3, 2), _normal(4, 10, 2)),
        Case(_normal(5, 1, 2, 3), _normal(6, 4, 3)),
        Case(_normal(7, 2, 4, 3), _normal(8, 4, 3)),
        Case(_normal(9, 5, 2, 3), _normal(10, 6, 3)),
        Case(_normal(11, 2, 1, 2), _normal(12, 3, 2)),
    ],
    mistakes=[
        Mistake(
            "subtracted",
            "You subtract the rows; add them.",
            lambda x, table: x - table[: x.shape[1]],
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient gets through: is there a `detach`, a `.data`, "
            "or a way through NumPy or a list? A learned table would never learn.",
            lambda x, table: _add_positions(x, table).detach(),
        ),
        Mistake(
            "no_gradient_for_the_table",
            "The numbers are right, but no gradient reaches the table: is there a `detach`, a "
            "`.data`, or a new tensor made of its numbers? A learned table would never learn.",
            lambda x, table: _add_positions(x, table.detach()),
        ),
        Mistake(
            "rows_by_sentence",
            "The rows go to the *sentences*: all words of a sentence get the same row, and each "
            "sentence another. It is the place within the sentence that counts: rows 0 to T - 1, "
            "and the same ones for every sentence.",
            _adds(lambda table, b, t: table[:b, None]),
        ),
        Mistake(
            "number_of_sentences_for_length",
            "You take as many rows as there are *sentences*. In `(B, T, d_model)` the length is "
            "`x.shape[1]`; `x.shape[0]` and `len(x)` are the number of sentences.",
            _adds(lambda table, b, t: table[:b]),
        ),
        Mistake(
            "counted_from_one",
            "You begin with row 1. The first word stands at position 0 and gets row 0.",
            _adds(lambda table, b, t: table[1 : t + 1]),
        ),
        Mistake(
            "last_rows",
            "You take the *last* T rows of the table. A sentence begins at row 0, however long it "
            "is: `table[:T]`.",
            _adds(lambda table, b, t: table[-t:]),
        ),
        Mistake(
            "row_0_for_all",
            "Every word gets row 0, so the words still do not know where they stand. Word `t` "
            "gets row `t`.",
            _adds(lambda table, b, t: table[0]),
        ),
        Mistake(
            "row_T_for_all",
            "Every word gets the same row, number T. `table[T]` is one row; the first T rows are "
            "`table[:T]`, with a colon.",
            _adds(lambda table, b, t: table[t]),
        ),
        Mistake(
            "order_reversed",
            "The rows are in reversed order: word 0 gets row T - 1. Word `t` gets row `t`.",
            _adds(lambda table, b, t: table[:t].flip(0)),
        ),
        Mistake(
            "counted_through_the_batch",
            "You go on counting in the next sentence. Every sentence begins at row 0 again; "
            "broadcasting gives each the same T rows.",
            _adds(lambda table, b, t: table[torch.arange(b * t)].view(b, t, -1)),
        ),
        Mistake(
            "first_sentence_only",
            "Only the first sentence gets its positions. Add the same T rows to every sentence; "
            "`x + rows` does that by itself.",
            _first_sentence_only,
        ),
        Mistake(
            "multiplied",
            "You multiply words and positions. Add them.",
            lambda x, table: x * table[: x.shape[1]],
        ),
        Mistake(
            "concatenated",
            "You put the position *beside* the word, so the vectors are twice as wide. Add it: "
            "the result has the shape of `x`.",
            _positions_beside,
        ),
        Mistake(
            "nothing_added",
            "You return `x` as it came. Add the rows of `table` to it.",
            lambda x, table: x,
        ),
        Mistake(
            "only_the_positions",
            "You return the rows of the table alone: the words are gone. Add the rows to `x`.",
            lambda x, table: table[: x.shape[1]].expand_as(x),
        ),
    ],
    hints=[
        "Which row does the third word of the first sentence get, and which the third word of the "
        "second?",
        "The length T is `x.shape[1]`. The table may have more rows than you need.",
        "`table[:T]` has shape `(T, d_model)`; broadcasting lays it over every sentence of `x`.",
    ],
)

# --- 3.2 sinusoidal -------------------------------------------------------------------------


def _sinusoidal(T, d_model):
    return create_sinusoidal_embeddings(T, d_model, torch.empty(T, d_model))


def _in_turn(sines, cosines):
    return torch.stack([sines, cosines], dim=-1).flatten(-2)


def _overlapping(sines, cosines):
    return torch.cat([sines, cosines[:, -1:], torch.zeros_like(sines)[:, 1:]], dim=-1)


def _waves(
    speed=lambda i, d_model: 10000.0 ** (-2 * i / d_model),
    cosines_speed=None,
    start=0,
    angle=lambda t, speed: t * speed,
    layout=_in_turn,
):
    """The table of sines and cosines with one step replaced."""

    def mutant(T, d_model):
        t, i = torch.arange(start, T + start)[:, None], torch.arange(d_model // 2)
        sines = angle(t, speed(i, d_model)).sin()
        return layout(sines, angle(t, (cosines_speed or speed)(i, d_model)).cos())

    return mutant


sinusoidal = Exercise(
    number="3.2",
    name="sinusoidal",
    oracle=_sinusoidal,
    compared_with="the paper's formula in 64 bits, as DistilBERT has it,",
    cases=lambda: [
        Case(2, 6),
        Case(3, 4),
        Case(6, 6),
        Case(5, 12),
        Case(1, 4),
        Case(4, 2),
        Case(50, 8),
        Case(300, 4),
    ],
    tolerance=Tolerance(absolute=5e-5, relative=1e-5),
    mistakes=[
        Mistake(
            "sines_first_then_cosines",
            "All sines come first and then all cosines. Many libraries do that, and it serves as "
            "well; here they take turns as in the paper: sines in columns 0, 2, 4, and so on, "
            "each cosine right after its sine.",
            _waves(layout=lambda s, c: torch.cat([s, c], dim=-1)),
        ),
        Mistake(
            "sines_and_cosines_swapped",
            "Sines and cosines are swapped: the even columns hold the sines. Row 0 reads "
            "0, 1, 0, 1.",
            _waves(layout=lambda s, c: _in_turn(c, s)),
        ),
        Mistake(
            "only_sines",
            "All columns are sines. The odd columns, `[:, 1::2]`, hold the cosines.",
            _waves(layout=lambda s, c: s.repeat_interleave(2, dim=-1)),
        ),
        Mistake(
            "columns_overlap",
            "The columns of one pair are overwritten by the next. Pair `i` fills the columns "
            "`2 * i` and `2 * i + 1`, not `i` and `i + 1`.",
            _waves(layout=_overlapping),
        ),
        Mistake(
            "two_forgotten",
            "The 2 of the exponent is missing: pair `i` goes with `2 * i / d_model`, so that the "
            "exponents run from 0 nearly to 1.",
            _waves(speed=lambda i, d_model: 10000.0 ** (-i / d_model)),
        ),
        Mistake(
            "two_counted_twice",
            "The 2 is counted twice. If your `i` runs 0, 2, 4, and so on, it is the paper's 2i "
            "already: divide it by `d_model` as it is.",
            _waves(speed=lambda i, d_model: 10000.0 ** (-4 * i / d_model)),
        ),
        Mistake(
            "cosines_with_their_own_frequency",
            "The sines are right, but each cosine turns a little slower than its sine. The two "
            "columns of a pair share one exponent, `2 * i / d_model`; column `2 * i + 1` does not "
            "get an exponent of its own.",
            _waves(cosines_speed=lambda i, d_model: 10000.0 ** (-(2 * i + 1) / d_model)),
        ),
        Mistake(
            "two_times_the_column",
            "You put the number of the *column* in place of `i`, and multiply by 2 once more. "
            "Columns `2 * i` and `2 * i + 1` are a pair and share the exponent `2 * i / d_model`.",
            _waves(
                speed=lambda i, d_model: 10000.0 ** (-4 * i / d_model),
                cosines_speed=lambda i, d_model: 10000.0 ** (-2 * (2 * i + 1) / d_model),
            ),
        ),
        Mistake(
            "positions_from_one",
            "You count the positions from 1. Row 0 belongs to position 0: sines 0, cosines 1.",
            _waves(start=1),
        ),
        Mistake(
            "multiplied_for_divided",
            "You multiply `t` by the power of 10000 where the formula divides: the waves must get "
            "slower from pair to pair. Mind the sign of the exponent.",
            _waves(speed=lambda i, d_model: 10000.0 ** (2 * i / d_model)),
        ),
        Mistake(
            "one_frequency_for_all",
            "All pairs turn at the same speed, so position 44 looks like position 0 (44 radians "
            "are nearly 7 full turns). Divide `t` by `10000 ** (2 * i / d_model)`, with `/` in the "
            "exponent and not `//`.",
            _waves(speed=lambda i, d_model: torch.ones(len(i))),
        ),
        Mistake(
            "base_1000",
            "A zero is missing: the paper's base is 10000, yours is 1000.",
            _waves(speed=lambda i, d_model: 1000.0 ** (-2 * i / d_model)),
        ),
        Mistake(
            "base_e",
            "You take `exp` of the exponent, so the base is e. Write `10000 ** (...)`, or multiply "
            "the exponent by the logarithm of 10000 first.",
            _waves(speed=lambda i, d_model: torch.exp(-2 * i / d_model)),
        ),
        Mistake(
            "last_pair_at_10000",
            "Your last pair has the divisor 10000 exactly: you divide by `d_model / 2 - 1`. Some "
            "libraries do that; the paper's exponent is `2 * i / d_model`.",
            _waves(speed=lambda i, d_model: 10000.0 ** (-i / max(d_model // 2 - 1, 1))),
        ),
        Mistake(
            "degrees",
            "You take the angles for degrees. `torch.sin` wants radians, and the formula gives "
            "them: nothing to convert.",
            _waves(angle=lambda t, speed: torch.deg2rad(t * speed)),
        ),
        Mistake(
            "transposed",
            "Rows and columns are swapped: a *row* is a position, so the shape is `(T, d_model)`.",
            _waves(layout=lambda s, c: _in_turn(s, c).T),
        ),
    ],
    hints=[
        "There are d_model / 2 speeds, one for each pair of columns. Make them first.",
        "`t` of shape `(T, 1)` divided by `10000 ** (2 * i / d_model)` of shape `(d_model / 2,)` "
        "gives all angles, `(T, d_model / 2)`.",
        "Fill an empty table in two steps: `table[:, 0::2] = angle.sin()`, and `1::2` for cosines.",
    ],
)

# --- 3.3 apply_rope -------------------------------------------------------------------------


@functools.cache
def _rotary(d_head: int, theta: float) -> LlamaRotaryEmbedding:
    """Llama's module for cosines and sines."""
    rope = {"rope_type": "default", "rope_theta": theta}
    config = LlamaConfig(hidden_size=d_head, num_attention_heads=1, rope_parameters=rope)
    return LlamaRotaryEmbedding(config)


def _apply_rope(x, positions, theta=10000.0):
    cos, sin = _rotary(x.shape[-1], float(theta))(x, positions[None])
    stacked = x.reshape(1, -1, *x.shape[-2:])
    return apply_rotary_pos_emb(stacked, stacked, cos, sin)[0].reshape(x.shape)


def _halves(x):
    return x.chunk(2, dim=-1)


def _neighbours(x):
    return x[..., 0::2], x[..., 1::2]


def _joined(first, second):
    return torch.cat([first, second], dim=-1)


def _turn(first, second, cos, sin):
    return first * cos - second * sin, first * sin + second * cos


def _turn_with_overwritten_first(first, second, cos, sin):
    first = first * cos - second * sin
    return first, first * sin + second * cos


def _low_precision(x, positions, speed):
    return positions.to(x.dtype)[:, None] * speed.to(x.dtype)


def _along_the_heads(x, positions, speed):
    angle = positions[:, None] * speed
    return angle[:, None] if x.ndim > 2 else angle


def _neighbours_share_a_speed(x, positions, theta=10000.0):
    half = x.shape[-1] // 2
    speed = theta ** (-torch.arange(half) / half)
    angle = (positions[:, None] * speed).repeat_interleave(2, dim=-1)
    first, second = _halves(x)
    crossed = _joined(-second, first)
    return x * angle.cos().to(x.dtype) + crossed * angle.sin().to(x.dtype)


def _rope(
    pairs=_halves,
    speed=lambda c, half, theta: theta ** (-c / half),
    angle=lambda x, positions, speed: positions[:, None] * speed,
    turn=_turn,
    join=_joined,
    cast=lambda angle, x: angle.to(x.dtype),
):
    """The rotation with one step replaced."""

    def mutant(x, positions, theta=10000.0):
        half = x.shape[-1] // 2
        turned = angle(x, positions, speed(torch.arange(half), half, theta))
        return join(*turn(*pairs(x), cast(turned.cos(), x), cast(turned.sin(), x)))

    return mutant


def _kept_dtype(answer, x, *args, **kwargs):
    """The result; where `x` is in 16 bits with its dtype, which must be the same."""
    result = answer(x, *args, **kwargs)
    if x.dtype == torch.bfloat16 and is_tensor(result):
        return str(result.dtype), result
    return result


def _bfloat16_case(positions, x):
    """Entries are 0 or a power of 2, and one of each pair is 0, so nothing is rounded but cos, sin.

    An answer that turns in float32 and rounds at the end therefore gets the same bits. (The
    positions are such that no cosine or sine lies near the border between two 16-bit numbers.)
    """
    x = torch.tensor(x, dtype=torch.bfloat16)
    label = f"apply_rope(\n    x of shape {tuple(x.shape)}, dtype bfloat16,\n"
    label += f"    positions={positions})"
    return Case(x, torch.tensor(positions), label=label)


apply_rope = Exercise(
    number="3.3",
    name="apply_rope",
    oracle=_apply_rope,
    compared_with="Llama's rotation in `transformers`",
    probe=_kept_dtype,
    cases=lambda: [
        Case(_normal(1, 2, 3, 5, 6), torch.arange(5)),
        Case(_normal(2, 2, 4), torch.tensor([1, 3])),
        Case(_normal(3, 2, 4, 8), torch.tensor([5, 6, 7, 8])),
        Case(_normal(4, 1, 3, 3, 4), torch.tensor([0, 4, 9])),
        Case(_normal(5, 3, 3, 6), torch.tensor([30, 12, 7]), theta=100000.0),
        Case(_normal(6, 2, 3, 1, 4), torch.tensor([2]), 500.0),
        Case(_normal(7, 2, 2), torch.tensor([5001, 5002])),
        _bfloat16_case(
            [1003, 1006, 989],
            [[[1.0, 0.0], [0.0, 2.0], [-0.5, 0.0]], [[0.0, -1.0], [0.5, 0.0], [0.0, 4.0]]],
        ),
        _bfloat16_case([1001, 1007], [[[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, -2.0, 0.0]]]),
    ],
    tolerance=Tolerance(absolute=1e-4, relative=1e-4),
    mistakes=[
        Mistake(
            "neighbours_paired",
            "You pair neighbours: (0, 1), (2, 3), and so on. That is right too (GPT-J does it), "
            "but it is another convention, and weights trained with one fail with the other. Here, "
            "as in Llama, component `c` goes with `c + d_head / 2`.",
            _rope(pairs=_neighbours, join=_in_turn),
        ),
        Mistake(
            "neighbours_read_halves_written",
            "You read pairs of neighbours, and write the results into two halves: the components "
            "change their places. Read halves as well: `x[..., :half]` and `x[..., half:]`.",
            _rope(pairs=_neighbours),
        ),
        Mistake(
            "halves_read_neighbours_written",
            "The pairs are right, but you write their results side by side: the components change "
            "their places. First all first components, then all second ones: "
            "`torch.cat([...], dim=-1)`.",
            _rope(join=_in_turn),
        ),
        Mistake(
            "speeds_of_neighbours",
            "Two conventions are mixed: the pairs are `c` and `c + d_head / 2`, but neighbours get "
            "the same speed. The two of a pair must turn by the same angle: put the angles one "
            "after the other, `torch.cat([angle, angle], dim=-1)`, not each twice in a row.",
            _neighbours_share_a_speed,
        ),
        Mistake(
            "second_half_first",
            "The two halves of the result are swapped: what became of `first` comes first.",
            _rope(join=lambda first, second: _joined(second, first)),
        ),
        Mistake(
            "turned_the_other_way",
            "You turn the other way round. The minus belongs in the first line: "
            "`first * cos - second * sin`, and `first * sin + second * cos`.",
            _rope(turn=lambda a, b, cos, sin: _turn(a, b, cos, -sin)),
        ),
        Mistake(
            "minus_missing",
            "Both lines have a plus: that is no rotation, the vectors change their length. "
            "`first * cos - second * sin`.",
            _rope(turn=lambda a, b, cos, sin: (a * cos + b * sin, a * sin + b * cos)),
        ),
        Mistake(
            "halves_not_crossed",
            "Each half is multiplied with its own cosine *and* its own sine. A rotation mixes the "
            "two: the sine takes the *other* component of the pair.",
            _rope(turn=lambda a, b, cos, sin: (a * cos - a * sin, b * cos + b * sin)),
        ),
        Mistake(
            "first_overwritten",
            "You overwrite `first` and then use it again for `second`, already turned. Both lines "
            "need the old values: compute both before you give either its name.",
            _rope(turn=_turn_with_overwritten_first),
        ),
        Mistake(
            "cosine_and_sine_swapped",
            "Cosine and sine are swapped: at position 0 (angle 0) nothing should change, "
            "so `first` meets the cosine.",
            _rope(turn=lambda a, b, cos, sin: _turn(a, b, sin, cos)),
        ),
        Mistake(
            "second_component_left",
            "The second component of each pair stays as it was. Both turn: the second becomes "
            "`first * sin + second * cos`.",
            _rope(turn=lambda a, b, cos, sin: (a * cos - b * sin, b)),
        ),
        Mistake(
            "theta_ignored",
            "`theta` is not used: your base is always 10000. Newer models take 500000 or more.",
            _rope(speed=lambda c, half, theta: 10000.0 ** (-c / half)),
        ),
        Mistake(
            "two_forgotten",
            "The 2 of the exponent is missing. Pair `c` has the speed "
            "`theta ** (-2 * c / d_head)`, which is `theta ** (-c / half)`.",
            _rope(speed=lambda c, half, theta: theta ** (-c / (2 * half))),
        ),
        Mistake(
            "two_counted_twice",
            "The 2 is counted twice: if your numbers run 0, 2, 4, and so on, divide them by "
            "`d_head` as they are.",
            _rope(speed=lambda c, half, theta: theta ** (-2 * c / half)),
        ),
        Mistake(
            "exponent_without_minus",
            "The exponent needs its minus: the pairs turn slower and slower, the first one "
            "fastest. Yours turn faster and faster.",
            _rope(speed=lambda c, half, theta: theta ** (c / half)),
        ),
        Mistake(
            "speeds_reversed",
            "The speeds are in reversed order: the first pair is the fastest, with speed 1.",
            _rope(speed=lambda c, half, theta: theta ** (-c.flip(0) / half)),
        ),
        Mistake(
            "one_speed_for_all",
            "All pairs turn at the same speed. Pair `c` has the speed "
            "`theta ** (-2 * c / d_head)`: the first is fast, the last slow.",
            _rope(speed=lambda c, half, theta: torch.ones(half)),
        ),
        Mistake(
            "positions_ignored",
            "You count the positions 0, 1, 2 yourself. Take those that you are given: they may "
            "begin anywhere, and have gaps.",
            _rope(angle=lambda x, p, speed: torch.arange(len(p))[:, None] * speed),
        ),
        Mistake(
            "same_angle_at_every_position",
            "The angle does not depend on the position: every word is turned alike. "
            "It is `positions[:, None] * speed`, of shape `(T, half)`.",
            _rope(angle=lambda x, p, speed: speed.expand(len(p), -1)),
        ),
        Mistake(
            "along_the_heads",
            "The positions run along the axis of the heads. That raises no error when there are as "
            "many heads as words. Angles of shape `(T, half)` find their place by themselves: "
            "the last axes of `x` are `(T, d_head)`.",
            _rope(angle=_along_the_heads),
        ),
        Mistake(
            "extra_axes",
            "Right for four axes, but `x` may have any number of axes before `(T, d_head)`, and "
            "yours always returns four or more. Leave the angles `(T, half)`: broadcasting adds "
            "what is missing.",
            _rope(angle=lambda x, p, speed: (p[:, None] * speed)[None, None]),
        ),
        Mistake(
            "angles_in_low_precision",
            "The angles are computed in the precision of `x`. In bfloat16 there is no 1003, only "
            "1000 and 1004, and a whole radian is lost. Compute angles in float32; only their "
            "cosines and sines go to `x.dtype`.",
            _rope(angle=_low_precision),
        ),
        Mistake(
            "float32_returned",
            "For `x` in bfloat16 the result is in float32. Return the dtype that you were given: "
            "`cos.to(x.dtype)`, and `sin` as well.",
            _rope(cast=lambda angle, x: angle.float()),
        ),
    ],
    hints=[
        "First the speeds, one for each pair; then the angles, `(T, half)`; then turn each pair "
        "by its angle.",
        "`angle = positions[:, None] * speed`, in float32, and `angle.cos().to(x.dtype)`.",
        "`first, second = x[..., :half], x[..., half:]`, and at the end "
        "`torch.cat([first * cos - second * sin, ...], dim=-1)`.",
    ],
)

# --- 3.4 rope_attention ---------------------------------------------------------------------


def _rope_attention(q, k, v, positions):
    return F.scaled_dot_product_attention(_apply_rope(q, positions), _apply_rope(k, positions), v)


def _still(x, positions):
    return x


def _attends(
    q_turn=_apply_rope,
    k_turn=_apply_rope,
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


_turned_back = _rope(turn=lambda a, b, cos, sin: _turn(a, b, cos, -sin))
_turned_by_neighbours = _rope(pairs=_neighbours, join=_in_turn)
_turned_in_order = _rope(angle=lambda x, p, speed: torch.arange(len(p))[:, None] * speed)


def _turned_twice(x, positions):
    return _apply_rope(x, 2 * positions)


def _attention_case(seed, *shape, positions):
    q, k, v = _normal(seed, 3, *shape)
    return Case(q, k, v, torch.tensor(positions))


rope_attention = Exercise(
    number="3.4",
    name="rope_attention",
    oracle=_rope_attention,
    compared_with="`F.scaled_dot_product_attention` with Llama's rotation",
    cases=lambda: [
        _attention_case(1, 2, 3, 4, 6, positions=[0, 1, 2, 3]),
        _attention_case(2, 1, 1, 2, 4, positions=[1, 3]),
        _attention_case(3, 1, 2, 3, 8, positions=[2, 5, 11]),
        _attention_case(4, 1, 4, 4, 4, positions=[6, 7, 8, 9]),
        _attention_case(5, 3, 2, 1, 4, positions=[2]),
    ],
    tolerance=Tolerance(absolute=1e-4, relative=1e-4),
    mistakes=[
        Mistake(
            "values_rotated",
            "The values are rotated as well. Position decides *who attends to whom*; what is then "
            "handed over, `v`, stays as it is.",
            _attends(v_turn=_apply_rope),
        ),
        Mistake(
            "output_rotated",
            "You rotate the output. Rotate `q` and `k` only; what attention returns stays as it "
            "is.",
            _attends(out_turn=_apply_rope),
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
            _attends(k_turn=_turned_back),
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
            _attends(q_turn=_turned_back),
        ),
        Mistake(
            "other_theta",
            "Your θ is not 10,000, the default of `apply_rope`.",
            _attends(
                q_turn=lambda x, p: _apply_rope(x, p, 100_000.0),
                k_turn=lambda x, p: _apply_rope(x, p, 100_000.0),
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

# --- 3.5 alibi_bias -------------------------------------------------------------------------


def _alibi_bias(n_heads, T):
    """BLOOM's slope * j, moved along each row until its diagonal is 0 (the softmax allows it)."""
    by_key = build_alibi_tensor(torch.ones(1, T, dtype=torch.long), n_heads, torch.float32)
    return by_key - by_key.transpose(1, 2)


def _biases(
    slope=lambda h, n_heads: 2.0 ** (-8 * (h + 1) / n_heads),
    distance=lambda i, j: i - j,
    bias=lambda slope, distance: -slope * distance,
):
    """The biases with one step replaced."""

    def mutant(n_heads, T):
        h, t = torch.arange(n_heads), torch.arange(T)
        return bias(slope(h, n_heads)[:, None, None], distance(t[:, None], t[None, :]))

    return mutant


def _visible(answer, n_heads, T):
    """The biases with 0 for what a causal mask hides, whatever stood there."""
    result = answer(n_heads, T)
    return result.tril() if is_tensor(result) and result.ndim >= 2 else result


alibi_bias = Exercise(
    number="3.5",
    name="alibi_bias",
    oracle=_alibi_bias,
    compared_with="BLOOM's biases in `transformers`, where j ≤ i,",
    probe=_visible,
    cases=lambda: [
        Case(2, 3),
        Case(1, 2),
        Case(4, 5),
        Case(4, 4),
        Case(8, 3),
        Case(16, 6),
        Case(2, 1),
    ],
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    mistakes=[
        Mistake(
            "far_words_preferred",
            "The sign is the wrong way round: the bias grows with the distance, so far words are "
            "preferred. For j ≤ i it is never positive: minus the slope times `i - j`. (If you "
            "wrote `-slope * (j - i)`, query and key are swapped.)",
            _biases(bias=lambda slope, distance: slope * distance),
        ),
        Mistake(
            "heads_counted_from_zero",
            "Your first head has slope 1: the exponent counts from 1. Head `h` of 0, 1, 2, … has "
            "`2 ** (-8 * (h + 1) / n_heads)`.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8 * h / n_heads)),
        ),
        Mistake(
            "slopes_for_eight_heads",
            "The slopes 1/2, 1/4, 1/8, … are those of 8 heads. With n heads they run to 1/256 in "
            "n steps: `2 ** (-8 * (h + 1) / n_heads)`.",
            _biases(slope=lambda h, n_heads: 2.0 ** -(h + 1.0)),
        ),
        Mistake(
            "eight_forgotten",
            "The 8 of the exponent is missing: `2 ** (-8 * (h + 1) / n_heads)`. The last head then "
            "has the slope 1/256.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-(h + 1) / n_heads)),
        ),
        Mistake(
            "exponent_without_minus",
            "The exponent needs its minus: your slopes grow above 1. They must shrink, from head "
            "to head.",
            _biases(slope=lambda h, n_heads: 2.0 ** (8 * (h + 1) / n_heads)),
        ),
        Mistake(
            "one_slope_for_all_heads",
            "All heads have the first head's slope. Each has its own, so that some look near and "
            "others far.",
            _biases(slope=lambda h, n_heads: (2.0 ** (-8 / n_heads)) * torch.ones(n_heads)),
        ),
        Mistake(
            "slopes_reversed",
            "The slopes are in reversed order: head 0 has the largest, the last head 1/256.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8 * (n_heads - h) / n_heads)),
        ),
        Mistake(
            "no_slope",
            "The distance is there, but no slope: multiply it by the slope of each head.",
            _biases(slope=lambda h, n_heads: torch.ones(n_heads)),
        ),
        Mistake(
            "distance_squared",
            "You square the distance. The bias of ALiBi is *linear*: slope times `i - j`.",
            _biases(distance=lambda i, j: (i - j) ** 2),
        ),
        Mistake(
            "diagonal_not_zero",
            "The distances are one too large: a word's distance from itself is 0, and so is its "
            "bias.",
            _biases(distance=lambda i, j: i - j + 1),
        ),
        Mistake(
            "not_divided_by_the_number_of_heads",
            "The exponent is -8 * (h + 1) / n_heads; yours is not divided by the number of heads.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8.0 * (h + 1))),
        ),
        Mistake(
            "exponent_rounded",
            "`//` rounds the exponent down to a whole number. Divide with `/`.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8 * (h + 1) // n_heads).float()),
        ),
        Mistake(
            "only_the_key_position",
            "You have slope · j, without the query's position. The softmax would not notice (each "
            "row is off by a constant, and BLOOM stores it like that), but here the diagonal "
            "shall be 0: `-slope * (i - j)`.",
            _biases(distance=lambda i, j: 0 * i - j),
        ),
        Mistake(
            "only_the_query_position",
            "The bias depends on the query's position alone: it is the same along a row, and the "
            "softmax cancels it. It has to be the distance of the two, `i - j`.",
            _biases(distance=lambda i, j: i - 0 * j),
        ),
        Mistake(
            "heads_last",
            "The heads stand on the last axis. They come first: `(n_heads, T, T)`.",
            _biases(bias=lambda slope, distance: (-slope * distance).permute(1, 2, 0)),
        ),
    ],
    hints=[
        "Two parts: a slope for each head, and a table of distances that all heads share.",
        "`t[:, None] - t[None, :]` with `t = torch.arange(T)` has `i - j` at `[i, j]`.",
        "Slopes of shape `(n_heads, 1, 1)` times distances `(T, T)` give `(n_heads, T, T)`.",
    ],
)

# --- 3.6 relative_shift_invariant (stretch) -------------------------------------------------


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
        return _joined(*_turn(*_halves(x), turned.cos().to(x.dtype), turned.sin().to(x.dtype)))

    return encode


def _turns_quarters(x, positions):
    first, second = _halves(x)
    quarters = torch.stack([x, _joined(-second, first), -x, _joined(second, -first)])
    return quarters[positions.long() % 4, torch.arange(len(x))]


def _adds_row(row):
    """Add row(position) of a table of random vectors."""

    def encode(x, positions):
        return x + _normal(9, 4096, x.shape[-1])[row(positions.long()) % 4096].to(x.dtype)

    return encode


def _adds_waves(x, positions):
    angle = positions[:, None] * torch.tensor([1.0, 0.01])
    return x + _in_turn(angle.sin(), angle.cos()).to(x.dtype)


def _stretches(x, positions):
    return x * (1 + 0.1 * positions[:, None]).to(x.dtype)


def _stretches_last(x, positions):
    stretch = torch.ones(x.shape)
    stretch[:, -1] += positions
    return x * stretch.to(x.dtype)


def _plain_bool(answer, *args):
    """True or False, also where the answer is a tensor with one of the two in it."""
    result = answer(*args)
    one = is_tensor(result) and result.dtype == torch.bool and result.numel() == 1
    return result.item() if one else result


def _invariance_case(encode, what, q_words=3, make=lambda x: x):
    q, k = _normal(31, q_words, 4), _normal(32, 4, 4)
    label = f"relative_shift_invariant(encode, q, k)\nwhere encode {what}"
    return Case(encode, make(q), make(k), label=label)


def _without_last_key_component():
    q, k = _normal(31, 3, 4), _normal(32, 4, 4)
    k[:, -1] = 0.0
    label = "relative_shift_invariant(encode, q, k)\n"
    label += "where encode multiplies the last component by 1 + position, and it is 0 in k"
    return Case(_stretches_last, q, k, label=label)


def _one_word_repeated():
    """A step by one changes the rows among themselves, and the columns: no sum shows it."""
    q, k = _normal(31, 1, 4).repeat(2, 1), _normal(32, 1, 4).repeat(2, 1)
    label = "relative_shift_invariant(encode, q, k)\nwhere encode adds one of 2 vectors, "
    label += "number position % 2, and all words are the same"
    return Case(_adds_row(lambda p: p % 2), q, k, label=label)


def _grows(x, positions):
    return x + 0.001 * positions[:, None].to(x.dtype)


def _shakes(x, positions):
    return x + 0.03 * (_adds_row(lambda p: p)(x, positions) - x)


def _first_into_last(x, positions):
    new = x.clone()
    new[:, -1] += x[:, 0] * positions.to(x.dtype)
    return new


def _for_the_queries_only():
    q, k = _normal(31, 3, 4), _normal(32, 4, 4)
    k[:, 0], k[:, -1] = 0.0, 1.0  # every score of a query changes by the same number
    label = "relative_shift_invariant(encode, q, k)\nwhere encode adds position times the first "
    label += "component to the last; the keys' first component is 0, their last 1"
    return Case(_first_into_last, q, k, label=label)


def _first_query_zero():
    q, k = _normal(31, 3, 4), _normal(32, 4, 4)
    q[0] = 0.0
    label = "relative_shift_invariant(encode, q, k)\n"
    label += "where encode multiplies by 1 + 0.1 * position, and the first query is 0"
    return Case(_stretches, q, k, label=label)


def _rounding_case(seed):
    label = "relative_shift_invariant(encode, q, k)\n"
    label += "where encode turns as Llama does, on 8 queries and 9 keys of width 16"
    return Case(_apply_rope, _normal(seed, 8, 16), _normal(seed + 9, 9, 16), label=label)


relative_shift_invariant = Exercise(
    number="3.6",
    name="relative_shift_invariant",
    oracle=_relative_shift_invariant,
    compared_with="the same test in 64 bits at every shift up to 40",
    probe=_plain_bool,
    cases=lambda: [
        _invariance_case(_apply_rope, "turns as Llama does"),
        _invariance_case(_turned_back, "turns the other way round", q_words=5),
        _invariance_case(lambda x, positions: x, "returns x as it is"),
        _invariance_case(_adds_row(lambda p: 0 * p), "adds the same vector at every position"),
        _invariance_case(
            _turns_quarters, "turns by a quarter at each position", make=lambda x: (3 * x).round()
        ),
        _without_last_key_component(),
        _invariance_case(_adds_waves, "adds sines and cosines"),
        _invariance_case(_adds_row(lambda p: p), "adds a random vector for each position"),
        _invariance_case(_stretches, "multiplies by 1 + 0.1 * position", q_words=4),
        _invariance_case(_turns(lambda p: 0.1 * p**2), "turns by 0.1 * position ** 2"),
        *(
            _invariance_case(
                _adds_row(lambda p, n=n: p % n), f"adds one of {n} vectors, number position % {n}"
            )
            for n in (13, 11, 7, 5, 3, 2)
        ),
        _invariance_case(_grows, "adds 0.001 * position", make=torch.abs),
        _invariance_case(_shakes, "adds a small random vector for each position"),
        _for_the_queries_only(),
        _first_query_zero(),
        *(_rounding_case(seed) for seed in range(3)),
        _invariance_case(
            _adds_row(lambda p: p // 8), "adds a vector that changes every 8 positions"
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
            _shift_test(same=lambda moved, unmoved: torch.allclose(moved, unmoved, atol=1.0)),
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
            "Only the last shift counts: each round overwrites what the one before has found. It "
            "has to hold for *every* shift.",
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
