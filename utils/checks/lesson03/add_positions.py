"""Exercise 3.1, `add_positions`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_slopes


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
        Case(normal(1, 2, 3, 4), normal(2, 8, 4)),
        Case(
            torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]]), torch.tensor([[10.0], [20.0], [30.0]])
        ),
        Case(normal(3, 3, 3, 2), normal(4, 10, 2)),
        Case(normal(5, 1, 2, 3), normal(6, 4, 3)),
        Case(normal(7, 2, 4, 3), normal(8, 4, 3)),
        Case(normal(9, 5, 2, 3), normal(10, 6, 3)),
        Case(normal(11, 2, 1, 2), normal(12, 3, 2)),
        Case(normal(13, 1, 300, 1), normal(14, 300, 1)),
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
