"""Exercise 3.3, `apply_rope`: its oracle, inputs, mistakes and hints."""

import functools

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from utils.checks.engine.compare import Seen, Tolerance, is_tensor
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson03.sinusoidal import in_turn


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


def halves(x):
    """Pairs as Llama makes them: component i with i + d/2."""
    return x.chunk(2, dim=-1)


def neighbours(x):
    """Pairs as the paper makes them: component 2i with 2i + 1."""
    return x[..., 0::2], x[..., 1::2]


def joined(first, second):
    """Two halves side by side again."""
    return torch.cat([first, second], dim=-1)


def turn_by(first, second, cos, sin):
    """Pairs turned by angles of these cosines and sines."""
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
    first, second = halves(x)
    crossed = joined(-second, first)
    return x * angle.cos().to(x.dtype) + crossed * angle.sin().to(x.dtype)


def rope_with(
    pairs=halves,
    speed=lambda c, half, theta: theta ** (-c / half),
    angle=lambda x, positions, speed: positions[:, None] * speed,
    turn=turn_by,
    join=joined,
    cast=lambda angle, x: angle.to(x.dtype),
):
    """The rotation with one step replaced."""

    def mutant(x, positions, theta=10000.0):
        half = x.shape[-1] // 2
        turned = angle(x, positions, speed(torch.arange(half), half, theta))
        return join(*turn(*pairs(x), cast(turned.cos(), x), cast(turned.sin(), x)))

    return mutant


def places(seed, T):
    """Drawn positions below 60; other ones in a later call."""
    return torch.randint(60, (T,), generator=torch.Generator().manual_seed(seeded(seed)))


def _with_dtype(answer, x, *args, **kwargs):
    """The result, its dtype, and (where 16 bits do not drown it in rounding) the gradient."""
    dtype = None

    def noted(x):
        nonlocal dtype
        result = answer(x, *args, **kwargs)
        dtype = str(result.dtype) if is_tensor(result) else None
        return result

    found = noted(x) if x.dtype == torch.bfloat16 else with_slopes(noted, x)
    if dtype is None:
        return found
    return Seen({"result": found, "dtype": dtype} if is_tensor(found) else found | {"dtype": dtype})


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
    compared_with="Llama's rotation in `transformers` and its gradient",
    probe=_with_dtype,
    cases=lambda: [
        Case(normal(1, 2, 3, 5, 6), torch.arange(5)),
        Case(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])),
        Case(normal(2, 2, 4), torch.tensor([1, 3])),
        Case(normal(3, 2, 4, 8), torch.tensor([5, 6, 7, 8])),
        Case(normal(4, 1, 3, 3, 4), torch.tensor([0, 4, 9])),
        Case(normal(5, 3, 3, 6), torch.tensor([30, 12, 7]), theta=100000.0),
        Case(normal(6, 2, 3, 1, 4), torch.tensor([2]), 500.0),
        Case(normal(7, 2, 2), torch.tensor([5001, 5002])),
        Case(normal(8, 2, 2), torch.tensor([70000, 4464])),
        Case(normal(9, 2, 3, 4), places(10, 3)),
        Case(normal(11, 1, 3, 3, 4), torch.tensor([0, 1, 2])),
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
            rope_with(pairs=neighbours, join=in_turn),
        ),
        Mistake(
            "neighbours_read_halves_written",
            "You read pairs of neighbours, and write the results into two halves: the components "
            "change their places. Read halves as well: `x[..., :half]` and `x[..., half:]`.",
            rope_with(pairs=neighbours),
        ),
        Mistake(
            "halves_read_neighbours_written",
            "The pairs are right, but you write their results side by side: the components change "
            "their places. First all first components, then all second ones: "
            "`torch.cat([...], dim=-1)`.",
            rope_with(join=in_turn),
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
            rope_with(join=lambda first, second: joined(second, first)),
        ),
        Mistake(
            "turned_the_other_way",
            "You turn the other way round. The minus belongs in the first line: "
            "`first * cos - second * sin`, and `first * sin + second * cos`.",
            rope_with(turn=lambda a, b, cos, sin: turn_by(a, b, cos, -sin)),
        ),
        Mistake(
            "minus_missing",
            "Both lines have a plus: that is no rotation, the vectors change their length. "
            "`first * cos - second * sin`.",
            rope_with(turn=lambda a, b, cos, sin: (a * cos + b * sin, a * sin + b * cos)),
        ),
        Mistake(
            "halves_not_crossed",
            "Each half is multiplied with its own cosine *and* its own sine. A rotation mixes the "
            "two: the sine takes the *other* component of the pair.",
            rope_with(turn=lambda a, b, cos, sin: (a * cos - a * sin, b * cos + b * sin)),
        ),
        Mistake(
            "first_overwritten",
            "You overwrite `first` and then use it again for `second`, already turned. Both lines "
            "need the old values: compute both before you give either its name.",
            rope_with(turn=_turn_with_overwritten_first),
        ),
        Mistake(
            "cosine_and_sine_swapped",
            "Cosine and sine are swapped: at position 0 (angle 0) nothing should change, "
            "so `first` meets the cosine.",
            rope_with(turn=lambda a, b, cos, sin: turn_by(a, b, sin, cos)),
        ),
        Mistake(
            "second_component_left",
            "The second component of each pair stays as it was. Both turn: the second becomes "
            "`first * sin + second * cos`.",
            rope_with(turn=lambda a, b, cos, sin: (a * cos - b * sin, b)),
        ),
        Mistake(
            "theta_ignored",
            "`theta` is not used: your base is always 10000. Newer models take 500000 or more.",
            rope_with(speed=lambda c, half, theta: 10000.0 ** (-c / half)),
        ),
        Mistake(
            "two_forgotten",
            "The 2 of the exponent is missing. Pair `c` has the speed "
            "`theta ** (-2 * c / d_head)`, which is `theta ** (-c / half)`.",
            rope_with(speed=lambda c, half, theta: theta ** (-c / (2 * half))),
        ),
        Mistake(
            "two_counted_twice",
            "The 2 is counted twice: if your numbers run 0, 2, 4, and so on, divide them by "
            "`d_head` as they are.",
            rope_with(speed=lambda c, half, theta: theta ** (-2 * c / half)),
        ),
        Mistake(
            "exponent_without_minus",
            "The exponent needs its minus: the pairs turn slower and slower, the first one "
            "fastest. Yours turn faster and faster.",
            rope_with(speed=lambda c, half, theta: theta ** (c / half)),
        ),
        Mistake(
            "speeds_reversed",
            "The speeds are in reversed order: the first pair is the fastest, with speed 1.",
            rope_with(speed=lambda c, half, theta: theta ** (-c.flip(0) / half)),
        ),
        Mistake(
            "one_speed_for_all",
            "All pairs turn at the same speed. Pair `c` has the speed "
            "`theta ** (-2 * c / d_head)`: the first is fast, the last slow.",
            rope_with(speed=lambda c, half, theta: torch.ones(half)),
        ),
        Mistake(
            "exponent_rounded",
            "`//` rounds the exponent down to a whole number: all pairs but the first get one "
            "speed. Divide with `/`.",
            rope_with(speed=lambda c, half, theta: theta ** (-c // half)),
        ),
        Mistake(
            "nothing_turned",
            "You return `x` as it came: nothing is turned.",
            lambda x, positions, theta=10000.0: x.clone(),
        ),
        Mistake(
            "positions_squared",
            "The position counts twice, as if the angle were its square times the speed. It is "
            "`positions[:, None] * speed`, once.",
            rope_with(angle=lambda x, p, speed: (p**2)[:, None] * speed),
        ),
        Mistake(
            "positions_ignored",
            "You count the positions 0, 1, 2 yourself. Take those that you are given: they may "
            "begin anywhere, and have gaps.",
            rope_with(angle=lambda x, p, speed: torch.arange(len(p))[:, None] * speed),
        ),
        Mistake(
            "same_angle_at_every_position",
            "The angle does not depend on the position: every word is turned alike. "
            "It is `positions[:, None] * speed`, of shape `(T, half)`.",
            rope_with(angle=lambda x, p, speed: speed.expand(len(p), -1)),
        ),
        Mistake(
            "along_the_heads",
            "The positions run along the axis of the heads. That raises no error when there are as "
            "many heads as words. Angles of shape `(T, half)` find their place by themselves: "
            "the last axes of `x` are `(T, d_head)`.",
            rope_with(angle=_along_the_heads),
        ),
        Mistake(
            "extra_axes",
            "Right for four axes, but `x` may have any number of axes before `(T, d_head)`, and "
            "yours always returns four or more. Leave the angles `(T, half)`: broadcasting adds "
            "what is missing.",
            rope_with(angle=lambda x, p, speed: (p[:, None] * speed)[None, None]),
        ),
        Mistake(
            "angles_in_low_precision",
            "The angles are computed in the precision of `x`. In bfloat16 there is no 1003, only "
            "1000 and 1004, and a whole radian is lost. Compute angles in float32; only their "
            "cosines and sines go to `x.dtype`.",
            rope_with(angle=_low_precision),
        ),
        Mistake(
            "float32_returned",
            "For `x` in bfloat16 the result is in float32. Return the dtype that you were given: "
            "`cos.to(x.dtype)`, and `sin` as well.",
            rope_with(cast=lambda angle, x: angle.float()),
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
