"""Exercise 7.1, `get_batch`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.compare import Seen, Tolerance, difference
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson07.common import tokens

SENTENCE, NO_SENTENCE = "ValueError with a sentence", "ValueError without a sentence"


def _refuse(ids, T):
    if len(ids) <= T:
        raise ValueError(f"a text of {len(ids)} tokens is too short for pieces of {T} and a target")


def _get_batch(ids, batch_size, T, generator):
    _refuse(ids, T)
    places = torch.randint(len(ids) - T, (batch_size,), generator=generator)
    pieces = ids.unfold(0, T + 1, 1)[places]  # (batch_size, T + 1)
    return pieces[:, :-1], pieces[:, 1:]


def _drawn(n, batch_size, T, generator):
    return torch.randint(n - T, (batch_size,), generator=generator)


def _cut(ids, places, T):
    x = torch.stack([ids[i : i + T] for i in places])
    return x, torch.stack([ids[i + 1 : i + T + 1] for i in places])


def _batch(draw=_drawn, cut=_cut, refuse=_refuse):
    """Cutting with one step replaced."""

    def mutant(ids, batch_size, T, generator):
        refuse(ids, T)
        return cut(ids, draw(len(ids), batch_size, T, generator), T)

    return mutant


def _one_too_many(n, batch_size, T, generator):
    return torch.randint(n - T + 1, (batch_size,), generator=generator)


def _one_too_few(n, batch_size, T, generator):
    return torch.randint(n - T - 1, (batch_size,), generator=generator)


def _anywhere(n, batch_size, T, generator):
    return torch.randint(n, (batch_size,), generator=generator)


def _without_generator(n, batch_size, T, generator):
    return torch.randint(n - T, (batch_size,))


def _seeded_inside(n, batch_size, T, generator):
    return _drawn(n, batch_size, T, generator.manual_seed(0))


def _same_for_all(n, batch_size, T, generator):
    return torch.randint(n - T, (1,), generator=generator).expand(batch_size)


def _multiples(n, batch_size, T, generator):
    return torch.randint(max((n - 1) // T, 1), (batch_size,), generator=generator) * T


def _permuted(n, batch_size, T, generator):
    return torch.randperm(n - T, generator=generator)[:batch_size]


def _drawn_twice(ids, batch_size, T, generator):
    _refuse(ids, T)
    x, _ = _cut(ids, _drawn(len(ids), batch_size, T, generator), T)
    _, y = _cut(ids, _drawn(len(ids), batch_size, T, generator), T)
    return x, y


def _changed(change):
    """The right batch, changed afterwards."""
    return lambda *inputs: change(*_get_batch(*inputs))


def _one_further(ids, places, T):
    padded = torch.cat([ids, ids[:1]])
    return _cut(ids, places, T)[0], torch.stack([padded[i + 2 : i + T + 2] for i in places])


def _asserted(ids, T):
    assert len(ids) > T


def _without_a_sentence(ids, T):
    if len(ids) <= T:
        raise ValueError


def _too_late(ids, T):
    _refuse(ids, T - 1)


def _too_strict(ids, T):
    _refuse(ids, T + 1)


def _two_batches(answer, ids, batch_size, T, seed):
    """Two calls with one generator, and where it stands then; of a short text the error."""
    if len(ids) <= T:
        return _refusal(answer, ids, batch_size, T, torch.Generator())
    if len(ids) == T + 1:  # one place only: nothing needs to be drawn
        return _refusal(answer, ids, batch_size, T, torch.Generator())
    (first, again, after), wanted = (
        _in_a_row(get, ids, batch_size, T, *seed) for get in (answer, _get_batch)
    )
    if not isinstance(first, tuple | list):
        return first
    stuck = _same(first, again) and not _same(*wanted[:2])
    if stuck:  # whichever seed was set: only that is told
        first, again, after = wanted
    return Seen(
        {
            "result": tuple(first),
            "the next batch is another one": not stuck,
            "the next batch, with the same generator": again,
            "what the generator draws after two batches": after,
        }
    )


def _in_a_row(get, ids, batch_size, T, seed):
    generator = torch.Generator().manual_seed(seed)
    batches = [get(ids, batch_size, T, generator) for _ in range(2)]
    return *batches, torch.randint(1_000_000, (), generator=generator).item()


def _same(batch, other):
    pairs = zip(batch, other, strict=False)
    return all(not difference(a, b, Tolerance()) for a, b in pairs)


def _refusal(answer, *inputs):
    try:
        return answer(*inputs)
    except ValueError as error:
        return SENTENCE if len(str(error).split()) > 1 else NO_SENTENCE
    except NotImplementedError:
        raise
    except Exception as error:
        return f"{type(error).__name__}, not ValueError"


def _case(seed, n, batch_size, T, vocab_size, known=None):
    ids = tokens(seed, vocab_size, n) if known is None else torch.tensor(known)
    text = f"torch.tensor({ids.tolist()})" if n <= 12 else f"ids with len(ids) = {n:_}"
    label = f"get_batch({text}, batch_size={batch_size}, T={T}, generator=generator),\n"
    label += f"where generator = torch.Generator().manual_seed({seeded(seed)})"
    return Case(ids, batch_size, T, (seeded(seed),), label=label)


get_batch = Exercise(
    number="7.1",
    name="get_batch",
    oracle=_get_batch,
    compared_with="`ids.unfold(0, T + 1, 1)[places]`",
    probe=_two_batches,
    cases=lambda: [
        _case(1, 40, 5, 4, 1000),
        _case(5, 5, 2, 3, 0, known=[10, 11, 12, 13, 14]),  # places [1, 0]
        _case(2, 8, 6, 7, 50),  # one place only
        _case(3, 9, 3, 1, 70_000),
        _case(4, 300, 1, 256, 2**40),
        _case(6, 7, 30, 2, 7),
        _case(7, 2000, 4, 65, 70_000),
        _case(11, 70_000, 3, 5, 10),
        _case(8, 4, 2, 4, 100),
        _case(9, 3, 2, 8, 100),
        _case(10, 1, 1, 1, 100),
    ],
    mistakes=[
        Mistake(
            "targets_are_the_inputs",
            "`y` is the same as `x`: the model would learn to copy. The target of each token is "
            "the one *after* it, so `y` is cut one place further on: `ids[i + 1 : i + T + 1]`.",
            _changed(lambda x, y: (x, x)),
        ),
        Mistake(
            "swapped",
            "`x` and `y` are swapped: you return the targets first. The inputs come first, "
            "`return x, y`.",
            _changed(lambda x, y: (y, x)),
        ),
        Mistake(
            "targets_two_ahead",
            "Your targets are two places further on than the inputs. One is enough: "
            "`ids[i + 1 : i + T + 1]`.",
            _batch(cut=_one_further),
        ),
        Mistake(
            "rolled_round",
            "The last target of each row is the row's own first token: `roll` moves in a circle. "
            "Cut the targets out of `ids`, where the next token stands.",
            _changed(lambda x, y: (x, x.roll(-1, dims=1))),
        ),
        Mistake(
            "last_target_only",
            "Each row has a single target. Every position is a question of its own, with the token "
            "that comes next as its answer: `y` has the shape of `x`.",
            _changed(lambda x, y: (x, y[:, -1])),
        ),
        Mistake(
            "one_target_too_few",
            "`y` is one token too short. Python leaves out the upper end of a slice: "
            "`ids[i + 1 : i + T + 1]` has T tokens.",
            _changed(lambda x, y: (x, y[:, :-1])),
        ),
        Mistake(
            "pieces_of_T",
            "You cut pieces of T tokens and take inputs and targets out of them, so both are one "
            "too short. Cut `ids[i : i + T + 1]`, T + 1 tokens.",
            _changed(lambda x, y: (x[:, :-1], y[:, :-1])),
        ),
        Mistake(
            "nothing_returned",
            "A short text is refused, but for a longer one you return nothing: `return x, y`.",
            _changed(lambda x, y: None),
        ),
        Mistake(
            "one_input_too_many",
            "`x` is one token too long. The pieces of T + 1 tokens are good for both, but the last "
            "token of each has no target: `x = pieces[:, :-1]`.",
            _changed(lambda x, y: (torch.cat([x, y[:, -1:]], dim=1), y)),
        ),
        Mistake(
            "columns_for_rows",
            "Your batch lies on its side, `(T, batch_size)`. Each piece is a row: stack along the "
            "first axis.",
            _changed(lambda x, y: (x.T, y.T)),
        ),
        Mistake(
            "one_place_too_few",
            "You never draw the last place. The highest start is `len(ids) - T - 1`, and "
            "`torch.randint` leaves out its upper end already: `torch.randint(len(ids) - T, …)`.",
            _batch(draw=_one_too_few),
        ),
        Mistake(
            "one_place_too_many",
            "You draw from one place too many: the piece that starts there has no token left for "
            "its last target. Draw with `torch.randint(len(ids) - T, …)`.",
            _batch(draw=_one_too_many),
        ),
        Mistake(
            "places_anywhere",
            "You draw places up to the end of the text, where no whole piece is left. Draw with "
            "`torch.randint(len(ids) - T, …)`.",
            _batch(draw=_anywhere),
        ),
        Mistake(
            "generator_not_used",
            "The places do not come from `generator`, so nobody can repeat your run. Pass it on: "
            "`torch.randint(…, generator=generator)`.",
            _batch(draw=_without_generator),
        ),
        Mistake(
            "same_places_at_every_call",
            "Every call draws the same places. Is a seed set inside, or a batch kept? Use "
            "`generator` as it is: it goes on from where the last call left it.",
            _batch(draw=_seeded_inside),
        ),
        Mistake(
            "drawn_twice",
            "You draw once for `x` and once more for `y`, so a row's targets come from somewhere "
            "else. Draw the places once and use them for both.",
            _drawn_twice,
        ),
        Mistake(
            "one_place_for_all",
            "All rows are the same piece: you draw a single place. Draw `(batch_size,)` of them.",
            _batch(draw=_same_for_all),
        ),
        Mistake(
            "multiples_of_T",
            "Your pieces start at multiples of T only. A piece may start at any place up to "
            "`len(ids) - T - 1`.",
            _batch(draw=_multiples),
        ),
        Mistake(
            "not_twice",
            "You take each place once at most (`randperm`). The task draws them independently, "
            "with one `torch.randint`.",
            _batch(draw=_permuted),
        ),
        Mistake(
            "short_text_not_refused",
            "The batches are right, but a text with `len(ids) <= T` has no piece with targets, and "
            'you let PyTorch stumble over it. Say so: `raise ValueError("…")` with a sentence.',
            _batch(refuse=lambda ids, T: None),
        ),
        Mistake(
            "refused_with_assert",
            "The batches are right, and a short text is refused, but with an `AssertionError`. "
            'Write `raise ValueError("…")`: `assert` is switched off by `python -O`.',
            _batch(refuse=_asserted),
        ),
        Mistake(
            "refused_without_a_sentence",
            "The batches are right, and a short text is refused, but without a word: whoever reads "
            'it wants to know what was too short. `raise ValueError("…")` with a sentence.',
            _batch(refuse=_without_a_sentence),
        ),
        Mistake(
            "refused_one_too_late",
            "A text of exactly T tokens is too short as well, for its last token has no target. "
            "Refuse `len(ids) <= T`.",
            _batch(refuse=_too_late),
        ),
        Mistake(
            "refuses_one_too_many",
            "A text of T + 1 tokens is just long enough, for one piece and its targets, and you "
            "refuse it. Refuse `len(ids) <= T`.",
            _batch(refuse=_too_strict),
        ),
    ],
    hints=[
        "First refuse a text with `len(ids) <= T`. Then draw the places with the call in the task.",
        "For one place i, `ids[i : i + T]` is a row of x and `ids[i + 1 : i + T + 1]` the same row "
        "of y.",
        "`x = torch.stack([ids[i : i + T] for i in places])`, and `y` likewise, one further on.",
    ],
)
