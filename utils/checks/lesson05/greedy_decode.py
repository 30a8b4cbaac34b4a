"""Exercise 5.4, `greedy_decode`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Exercise, Mistake
from utils.checks.lesson05.writing import (
    BOS,
    EOS,
    RandomModel,
    WrittenModel,
    case_of,
    in_use,
    numbered,
    written_by,
)


def _greedy_decode(model, source, bos_id, eos_id, max_T):
    return written_by(model, source, bos_id, eos_id, max_T)


def _greedy_loop(
    first=lambda bos_id, eos_id: bos_id,
    context=lambda y: y,
    position=-1,
    pick=lambda logits: logits.argmax(-1, keepdim=True),
    after_end=lambda token, eos_id: eos_id,
    steps=lambda n: n,
    stops=torch.all,
    kept=slice(1, None),
    encodes_again=False,
):
    """The greedy loop with one step replaced."""

    @torch.no_grad()
    def mutant(model, source, bos_id, eos_id, max_T):
        memory = None
        y = torch.full_like(source[:, :1], first(bos_id, eos_id))
        ended = torch.zeros_like(y, dtype=torch.bool)
        for _ in range(steps(max_T)):
            memory = model.encode(source) if encodes_again or memory is None else memory
            token = pick(model.decode(context(y), memory, source)[:, position])
            token = torch.where(ended, after_end(token, eos_id), token)
            y = torch.cat([y, token], dim=1)
            ended = ended | (token == eos_id)
            if stops(ended):
                break
        return y[:, kept]

    return mutant


def _switching(model, *arguments):
    model.eval()
    return _greedy_decode(model, *arguments)


def _greedy_case(
    source, max_T, end=0.0, eos_id=EOS, bos_id=BOS, vocab_size=9, spread=2.0, ids=None
):
    model = RandomModel(vocab_size, end, spread, eos_id, ids)
    return case_of("greedy_decode", model, source, bos_id, eos_id, max_T)


greedy_decode = Exercise(
    number="5.4",
    name="greedy_decode",
    oracle=_greedy_decode,
    compared_with="`generate(do_sample=False)`, token for token,",
    probe=in_use,
    cases=lambda: numbered(
        "5.4",
        [
            _greedy_case([[8, 6, 7, 7, 0], [7, 5, 4, 8, 3], [7, 3, 0, 0, 0]], 5),
            _greedy_case([[4, 6, 0], [5, 3, 7]], 4),
            _greedy_case([[7, 5, 0, 0], [3, 0, 0, 0], [4, 8, 6, 3], [6, 6, 5, 0]], 8, end=2.0),
            _greedy_case([[5]], 1),
            _greedy_case([[6, 4]], 3, end=-9.0),
            _greedy_case([[3, 8, 0], [4, 5, 6]], 6, end=-9.0, eos_id=7),
            _greedy_case([[3, 8, 0], [4, 5, 6], [6, 6, 3]], 6, end=1.5, eos_id=5),
            _greedy_case([[3, 8, 0], [4, 5, 6]], 5, end=1.0, bos_id=4),
            _greedy_case([[8, 3, 0], [5, 5, 6]], 5, end=1.0, bos_id=6, eos_id=3),
            _greedy_case([[7, 3, 4], [5, 8, 6]], 5, end=1.5, bos_id=2, eos_id=0),
            _greedy_case([[7, 3, 4, 4], [5, 8, 6, 3]], 5, end=1.5, bos_id=0),
            _greedy_case(
                [[300, 5], [70_000, 7]],
                6,
                end=2.0,
                bos_id=65_600,
                eos_id=70_001,
                vocab_size=70_002,
                ids=[3, 257, 300, 40_000, 65_536, 70_000, 70_001],
            ),
            case_of(
                "greedy_decode",
                WrittenModel(
                    {
                        3: {(): {5: 1}, (5,): {2: 1}},
                        4: {(): {6: 1}, (6,): {7: 1}, (6, 7): {2: 1}},
                    }
                ),
                [[3], [4]],
                BOS,
                EOS,
                5,
            ),
        ],
    ),
    mistakes=[
        Mistake(
            "encoded_again_and_again",
            "What is written is right, but the source is encoded at every step. Call "
            "`model.encode(source)` once, before the loop, and give `model.decode` its result.",
            _greedy_loop(encodes_again=True),
        ),
        Mistake(
            "mode_changed",
            "What is written is right, but afterwards the model is in evaluation mode, and a "
            "training that goes on would not notice. Leave its mode to whoever calls.",
            _switching,
        ),
        Mistake(
            "bos_kept",
            "The first token of every row is `bos_id`. You gave it to the decoder, it did not "
            "write it: return `y[:, 1:]`.",
            _greedy_loop(kept=slice(None)),
        ),
        Mistake(
            "goes_on_after_the_end",
            "A row that has written `eos_id` writes other tokens afterwards, while it waits for "
            "the rest of the batch. Remember who has ended, and give them `eos_id` only: "
            "`torch.where(ended, eos_id, token)`.",
            _greedy_loop(after_end=lambda token, eos_id: token),
        ),
        Mistake(
            "end_hard_coded",
            "You look for the token 2, whatever `eos_id` is.",
            lambda model, source, bos_id, eos_id, max_T: _greedy_loop()(
                model, source, bos_id, 2, max_T
            ),
        ),
        Mistake(
            "beginning_hard_coded",
            "You begin with the token 1, whatever `bos_id` is.",
            lambda model, source, bos_id, eos_id, max_T: _greedy_loop()(
                model, source, 1, eos_id, max_T
            ),
        ),
        Mistake(
            "end_ignored",
            "Nothing happens when a row writes `eos_id`: all rows go on to `max_T`. A row that has "
            "ended gets only `eos_id`, and when all have ended, stop. (All in the *same* step is "
            "rare: remember who has ended before.)",
            _greedy_loop(after_end=lambda token, eos_id: token, stops=lambda ended: False),
        ),
        Mistake(
            "never_stops_early",
            "The rows are right, but too long: when every row has written `eos_id`, stop, before "
            "`max_T` is reached.",
            _greedy_loop(stops=lambda ended: False),
        ),
        Mistake(
            "stops_at_the_first_end",
            "You stop when *one* row has written `eos_id`, and cut the others short. Stop when all "
            "have: `ended.all()`.",
            _greedy_loop(stops=torch.any),
        ),
        Mistake(
            "only_the_first_row_stops_it",
            "You look at the first row only to know whether to stop. Stop when *every* row has "
            "written `eos_id`.",
            _greedy_loop(stops=lambda ended: ended[0]),
        ),
        Mistake(
            "padded_with_0",
            "After a row's end you write 0. Here it is `eos_id` again.",
            _greedy_loop(after_end=lambda token, eos_id: 0),
        ),
        Mistake(
            "first_position",
            "You take the logits at the *first* position. Each position predicts the token after "
            "it; the newest comes from the last, `logits[:, -1]`.",
            _greedy_loop(position=0),
        ),
        Mistake(
            "history_lost",
            "Only the newest token is given to the decoder: it has forgotten what it has written. "
            "Give it all tokens so far, from `bos_id` on.",
            _greedy_loop(context=lambda y: y[:, -1:]),
        ),
        Mistake(
            "one_token_too_few",
            "One token is missing. `max_T` counts the new tokens; `bos_id` is not one of them.",
            _greedy_loop(steps=lambda n: n - 1),
        ),
        Mistake(
            "last_column_dropped",
            "The last column is missing. Leave out `bos_id` at the front, nothing at the end: "
            "`y[:, 1:]`.",
            _greedy_loop(kept=slice(1, -1)),
        ),
        Mistake(
            "one_token_too_many",
            "One token too many where no row ends early: the loop runs `max_T` times.",
            _greedy_loop(steps=lambda n: n + 1),
        ),
        Mistake(
            "starts_with_0",
            "You start with 0, the padding. The decoder begins with `bos_id`.",
            _greedy_loop(first=lambda bos_id, eos_id: 0),
        ),
        Mistake(
            "starts_with_eos",
            "You start with `eos_id`. Some models begin so, this one begins with `bos_id`.",
            _greedy_loop(first=lambda bos_id, eos_id: eos_id),
        ),
        Mistake(
            "least_likely",
            "You take the *least* likely token: `argmax`, not `argmin`.",
            _greedy_loop(pick=lambda logits: logits.argmin(-1, keepdim=True)),
        ),
        Mistake(
            "sampled",
            "You draw the next token at random. Greedy takes the most likely one: `argmax`.",
            _greedy_loop(pick=lambda logits: torch.multinomial(logits.softmax(-1), 1)),
        ),
    ],
    hints=[
        "Encode once. Then begin with a column of `bos_id`, `(B, 1)`, and make it longer by one "
        "token in every round.",
        "`model.decode(y, memory, source)[:, -1].argmax(-1, keepdim=True)` is the next column, "
        "`(B, 1)`.",
        "Keep `ended`, `(B, 1)` and bool: `token = torch.where(ended, eos_id, token)`, then "
        "`ended = ended | (token == eos_id)`, and `break` if `ended.all()`.",
    ],
)
