"""Exercise 2.1, `causal_mask`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson02.common import everything


def _causal_mask(T):
    return nn.Transformer.generate_square_subsequent_mask(T) == 0


causal_mask = Exercise(
    number="2.1",
    name="causal_mask",
    oracle=_causal_mask,
    compared_with="`nn.Transformer.generate_square_subsequent_mask(T) == 0`",
    cases=lambda: [Case(4), Case(3), Case(2), Case(1), Case(5), Case(300)],
    mistakes=[
        Mistake(
            "future_instead_of_past",
            "The triangle is the wrong one: yours lets each word see itself and what comes *after* "
            "it. Query `i` may see key `j` if `j <= i`: the lower triangle, `tril`.",
            lambda T: everything(T, T).triu(),
        ),
        Mistake(
            "true_where_hidden",
            "The triangle is right but turned round: yours is True where a key is *hidden*. "
            "In this course True means allowed: `~mask` turns it over.",
            lambda T: everything(T, T).triu(1),
        ),
        Mistake(
            "nobody_sees_itself",
            "No word sees itself, and the first sees nothing at all. The diagonal belongs to the "
            "mask: `j <= i`, not `j < i`.",
            lambda T: everything(T, T).tril(-1),
        ),
        Mistake(
            "one_word_ahead",
            "Every word sees one word ahead, which is the very word it has to predict. "
            "The last key that query `i` may see is `i` itself: `tril()` without a number.",
            lambda T: everything(T, T).tril(1),
        ),
        Mistake(
            "everything_allowed",
            "Everything is allowed. Half of the table has to become False: the keys after the "
            "query. (`tril` returns a new tensor; it does not change the one that it is called "
            "on.)",
            lambda T: everything(T, T),
        ),
        Mistake(
            "nothing_allowed",
            "Everything is hidden: all entries are False. Keys up to the query itself are True.",
            lambda T: ~everything(T, T),
        ),
        Mistake(
            "only_itself",
            "Every word sees itself and nothing else. It may look at all words before it, too.",
            lambda T: torch.eye(T, dtype=torch.bool),
        ),
        Mistake(
            "numbers_for_bool",
            "The triangle is right, but it consists of numbers, and `~mask` needs True and False: "
            "give `torch.ones` the argument `dtype=torch.bool`, or end with `.bool()`.",
            lambda T: torch.ones(T, T).tril(),
        ),
        Mistake(
            "additive",
            "That is a mask to be *added* to the scores (0 and `-inf`), which some libraries use. "
            "Ours is True and False: the `-inf` comes in exercise 2.3.",
            lambda T: nn.Transformer.generate_square_subsequent_mask(T),
        ),
        Mistake(
            "axes_for_batch_and_heads",
            "The table is right, but it has axes for batch and heads in front. Plain `(T, T)` is "
            "wanted: broadcasting adds axes on the left by itself.",
            lambda T: everything(T, T).tril()[None, None],
        ),
    ],
    hints=[
        "Row `i` is a query, column `j` a key. Write down the row of the third word of four: "
        "which of its columns are True?",
        "`torch.ones(T, T, dtype=torch.bool)` allows everything. One half of it has to go.",
        "`.tril()` keeps the lower triangle and the diagonal. (Or compare "
        "`torch.arange(T)[None, :]` with `torch.arange(T)[:, None]`.)",
    ],
)
