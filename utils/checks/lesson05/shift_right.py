"""Exercise 5.1, `shift_right`: its oracle, inputs, mistakes and hints."""

import torch
from transformers.models.bart.modeling_bart import shift_tokens_right

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded


def _shift_right(targets, bos_id):
    return shift_tokens_right(targets, -100, bos_id)


def _column(targets, token):
    return torch.full_like(targets[:, :1], token)


def _ids(seed, *shape):
    """Token numbers from 5 to 100,004."""
    draw = torch.Generator().manual_seed(seeded(seed))
    return torch.randint(5, 100_005, shape, generator=draw)


def _first_row_overwritten(targets, bos_id):
    shifted = _shift_right(targets, 0)
    shifted[0] = bos_id
    return shifted


shift_right = Exercise(
    number="5.1",
    name="shift_right",
    oracle=_shift_right,
    compared_with="`shift_tokens_right` of Hugging Face's BART",
    cases=lambda: [
        Case(torch.tensor([[5, 6, 7, 2], [8, 4, 2, 9]]), 1),
        Case(torch.tensor([[5, 3, 6], [4, 8, 7], [6, 9, 2]]), 1),
        Case(torch.tensor([[4], [6], [5]]), 3),
        Case(torch.tensor([[7, 4, 6, 5, 2]]), 0),
        Case(torch.tensor([[9, 8], [7, 6], [5, 4], [8, 9]]), 2),
        Case(torch.tensor([[5, 6, 7], [8, 9, 2]]), 1),
        Case(torch.tensor([[300, 50_256, 7], [70_000, 65_536, 299]]), 50_257),
        Case(_ids(1, 3, 2), 128_000),
        Case(_ids(2, 2, 40), 4),
    ],
    mistakes=[
        Mistake(
            "not_shifted",
            "The targets come back as they are: at every place the decoder would read the very "
            "word that it should write. Put `bos_id` in front and leave the last column out.",
            lambda targets, bos_id: targets.clone(),
        ),
        Mistake(
            "shifted_left",
            "You shift to the *left*: the decoder would read the word after the one it should "
            "write. `bos_id` comes first, and the last column goes.",
            lambda targets, bos_id: torch.cat([targets[:, 1:], _column(targets, bos_id)], dim=1),
        ),
        Mistake(
            "one_too_long",
            "The rows are longer by one than the targets. The last column is written but never "
            "read: keep only `targets[:, :-1]` behind `bos_id`.",
            lambda targets, bos_id: torch.cat([_column(targets, bos_id), targets], dim=1),
        ),
        Mistake(
            "bos_missing",
            "The last column is gone, but nothing stands in front. Put a column of `bos_id` before "
            "the targets, so that the shape stays `(B, T)`.",
            lambda targets, bos_id: targets[:, :-1],
        ),
        Mistake(
            "rolled_round",
            "`roll` brings the last token round to the front. What the decoder reads first is "
            "`bos_id`, not the end of the answer: write it over the first column.",
            lambda targets, bos_id: targets.roll(1, dims=1),
        ),
        Mistake(
            "first_token_overwritten",
            "`bos_id` replaces the first token, and the others have not moved. It has to *push* "
            "them to the right: the first token goes to column 1.",
            lambda targets, bos_id: torch.cat([_column(targets, bos_id), targets[:, 1:]], dim=1),
        ),
        Mistake(
            "bos_at_the_end",
            "`bos_id` stands at the end. It is what the decoder reads *first*: put it in front.",
            lambda targets, bos_id: torch.cat([targets[:, :-1], _column(targets, bos_id)], dim=1),
        ),
        Mistake(
            "shifted_along_the_batch",
            "You shift from one sentence to the next: row 1 reads the words of row 0. Shift along "
            "the words: `dim=1`.",
            lambda targets, bos_id: torch.cat([torch.full_like(targets[:1], bos_id), targets[:-1]]),
        ),
        Mistake(
            "bos_fills_a_row",
            "`bos_id` fills the first *row*. It belongs into the first *column*, `[:, 0]`, once "
            "for each sentence.",
            _first_row_overwritten,
        ),
        Mistake(
            "shifted_twice",
            "You shift by two places: the decoder would never see the newest word. One `bos_id` in "
            "front is enough.",
            lambda targets, bos_id: _shift_right(_shift_right(targets, bos_id), bos_id),
        ),
        Mistake(
            "bos_id_ignored",
            "There is a 0 in front, whatever `bos_id` is. Fill the first column with `bos_id`.",
            lambda targets, bos_id: _shift_right(targets, 0),
        ),
        Mistake(
            "floats_for_tokens",
            "The numbers are right but they are floats, which no embedding accepts. "
            "`torch.zeros` and `torch.full` with a float make them; `torch.full_like(targets, …)` "
            "keeps whole numbers.",
            lambda targets, bos_id: _shift_right(targets, bos_id).float(),
        ),
    ],
    hints=[
        "Write one row on paper: the targets are `a b c <end>`. What has been written before each "
        "of them?",
        "The result has the shape of the targets: one column comes in front, the last one goes.",
        "`torch.full_like(targets[:, :1], bos_id)` is the new column; `torch.cat([…, …], dim=1)` "
        "puts it before `targets[:, :-1]`.",
    ],
)
