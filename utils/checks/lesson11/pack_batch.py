"""Exercise 11.2, `pack_batch`: its oracle, inputs, mistakes and hints."""

import random

import torch
from torch.nn.utils.rnn import pad_sequence

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson11.common import IGNORED, asserted, drawn_ids, refused, speechless


def _refuse(rows):
    if len(rows) == 0:
        raise ValueError("there are no rows to make a batch of")


def _pack_batch(rows, pad):
    _refuse(rows)
    ids = [torch.tensor(ids, dtype=torch.int64) for ids, _ in rows]
    labels = [torch.tensor(labels, dtype=torch.int64) for _, labels in rows]
    return (
        pad_sequence(ids, batch_first=True, padding_value=pad),
        pad_sequence(labels, batch_first=True, padding_value=IGNORED),
    )


def _longest(rows):
    return max(len(ids) for ids, _ in rows)


def _right(row, T, filler):
    return row[:T] + [filler] * (T - len(row))


def _left(row, T, filler):
    return [filler] * (T - len(row)) + row


def _packed(
    order=lambda rows: rows,
    length=_longest,
    fill_ids=_right,
    fill_labels=_right,
    for_ids=lambda pad: pad,
    for_labels=lambda pad: IGNORED,
    make=torch.tensor,
    back=lambda ids, labels, pad: (ids, labels),
    refuse=_refuse,
):
    """A batch with one step replaced."""

    def mutant(rows, pad):
        refuse(rows)
        rows = order(rows)
        T = length(rows)
        ids = [fill_ids(ids, T, for_ids(pad)) for ids, _ in rows]
        labels = [fill_labels(labels, T, for_labels(pad)) for _, labels in rows]
        return back(make(ids), make(labels), pad)

    return mutant


def _changed(back):
    return _packed(back=back)


def _last_repeated(row, T, filler):
    return row + row[-1:] * (T - len(row))


def _end_lost(ids, labels, pad):
    return ids, labels.masked_fill(ids == pad, IGNORED)


def _all_ids_learned(ids, labels, pad):
    return ids, ids.masked_fill(ids == pad, IGNORED)


def _batch(pack, rows, pad):
    """The two tensors and their dtypes; of no rows the refusal."""
    if not rows:
        return refused(lambda: pack(rows, pad))
    found = pack(rows, pad)
    both = isinstance(found, tuple | list) and all(isinstance(x, torch.Tensor) for x in found)
    if not both:
        return found
    return Seen({"result": tuple(found), "dtypes": ", ".join(str(x.dtype) for x in found)})


def _drawn(seed, pad, *lengths):
    """Rows of these lengths; the padding's id stands at the end of each, and sometimes before."""
    draw, rows = random.Random(seeded(seed)), []
    for i, n in enumerate(lengths):
        ids = [*drawn_ids(seed + 10 * i, n - 1), pad]
        if n > 4:
            ids[draw.randrange(n - 1)] = pad
        prompt = draw.randrange(1 if n < 3 else 2, n) if n > 1 else 0
        rows.append((ids, [IGNORED] * prompt + ids[prompt:]))
    return Case(rows, pad)


def _whole_text():
    """Rows as in pretraining: labels and ids are one and the same list."""
    texts = [drawn_ids(90, 5), drawn_ids(91, 3)]
    return Case([(ids, ids) for ids in texts], 7)


pack_batch = Exercise(
    number="11.2",
    name="pack_batch",
    oracle=_pack_batch,
    compared_with="`torch.nn.utils.rnn.pad_sequence`",
    probe=_batch,
    cases=lambda: [
        _drawn(1, 2, 5, 9, 3, 7),
        Case([([5, 8, 2], [-100, 8, 2]), ([6, 2], [-100, 2])], 2),  # the example of the task
        Case([([7, 2], [-100, 2]), ([4, 9, 6, 2], [-100, -100, 6, 2])], 0),
        Case([([3, 0, 5, 1], [-100, 0, 5, 1]), ([0], [0]), ([6, 1], [-100, 1])], 0),
        Case([([5, 6, 2], [-100, 6, 2]), ([8, 3, 2], [-100, -100, 2])], 2),
        Case([([4, 1, 2], [-100, 1, 2])], 9),
        Case([([1], [1])], 1),
        _drawn(2, 70_000, 4, 4, 11, 2, 6, 1),
        _drawn(3, 49_151, 17, 1, 16),
        _drawn(4, 2, 33, 70),
        _drawn(5, 3, 2, 6, 3, 5, 4, 5, 2, 6, 3),
        _whole_text(),
        Case([], 2),
        Case([], 0),
    ],
    mistakes=[
        Mistake(
            "padded_on_the_left",
            "You fill up on the left. The padding belongs on the right, where no token can see it: "
            "`ids + [pad] * missing`.",
            _packed(fill_ids=_left, fill_labels=_left),
        ),
        Mistake(
            "labels_padded_on_the_left",
            "The ids are filled up on the right and the labels on the left, so no label stands at "
            "its token any more. Fill up both on the right.",
            _packed(fill_labels=_left),
        ),
        Mistake(
            "padding_learned",
            "The labels are filled up with `pad`, so the model would learn to write padding. Fill "
            "the labels up with -100.",
            _packed(for_labels=lambda pad: pad),
        ),
        Mistake(
            "end_masked_where_it_is_pad",
            "You write -100 wherever an id equals `pad`, and the token that ends an answer may be "
            "the same: the model would never learn to stop. Fill the labels up by their length.",
            _changed(_end_lost),
        ),
        Mistake(
            "labels_made_of_the_ids",
            "You make the labels out of the ids, so the prompt is learned again. Each row brings "
            "its own labels: fill those up with -100.",
            _changed(_all_ids_learned),
        ),
        Mistake(
            "cut_to_the_shortest",
            "You cut all rows to the shortest one, and the ends of the answers are lost. Fill the "
            "shorter ones up: `T` is the *longest* row.",
            _packed(length=lambda rows: min(len(ids) for ids, _ in rows)),
        ),
        Mistake(
            "length_of_the_first_row",
            "You take the length of the first row for all of them. `T` is the longest: "
            "`max(len(ids) for ids, _ in rows)`.",
            _packed(length=lambda rows: len(rows[0][0])),
        ),
        Mistake(
            "one_column_too_many",
            "There is one column of nothing but padding at the end. `T` is the length of the "
            "longest row, and no more.",
            _packed(length=lambda rows: _longest(rows) + 1),
        ),
        Mistake(
            "multiple_of_8",
            "You round the length up to a multiple of 8. Graphics cards like that, but here `T` is "
            "the length of the longest row.",
            _packed(length=lambda rows: -(-_longest(rows) // 8) * 8),
        ),
        Mistake(
            "zero_for_pad",
            "You fill the ids up with 0, whatever `pad` is. Take `pad`.",
            _packed(for_ids=lambda pad: 0),
        ),
        Mistake(
            "ids_padded_with_minus_100",
            "The ids are filled up with -100, and there is no such token: the embedding would stop "
            "with an error. -100 is for the labels; take `pad` for the ids.",
            _packed(for_ids=lambda pad: IGNORED),
        ),
        Mistake(
            "fillers_swapped",
            "The ids are filled up with -100 and the labels with `pad`. It is the other way round.",
            _packed(for_ids=lambda pad: IGNORED, for_labels=lambda pad: pad),
        ),
        Mistake(
            "labels_padded_with_zero",
            "The labels are filled up with 0, which is a token like any other and would be "
            "learned. Fill them up with -100.",
            _packed(for_labels=lambda pad: 0),
        ),
        Mistake(
            "labels_padded_with_minus_1",
            "The labels are filled up with -1. The number that the loss leaves out is -100.",
            _packed(for_labels=lambda pad: -1),
        ),
        Mistake(
            "last_token_repeated",
            "You repeat the last token of short rows. Fill up with `pad`, and the labels with "
            "-100.",
            _packed(fill_ids=_last_repeated, fill_labels=_last_repeated),
        ),
        Mistake(
            "sorted_by_length",
            "The rows come out sorted by their length. Leave them in the order in which they were "
            "given.",
            _packed(order=lambda rows: sorted(rows, key=lambda row: len(row[0]))),
        ),
        Mistake(
            "longest_first",
            "The rows come out with the longest first. Leave them in the order in which they were "
            "given.",
            _packed(order=lambda rows: sorted(rows, key=lambda row: -len(row[0]))),
        ),
        Mistake(
            "time_first",
            "The shape is `(T, B)`. The rows of the batch come first: `pad_sequence` needs "
            "`batch_first=True`.",
            _changed(lambda ids, labels, pad: (ids.T, labels.T)),
        ),
        Mistake(
            "swapped",
            "You return the labels before the ids. The order is `ids, labels`.",
            _changed(lambda ids, labels, pad: (labels, ids)),
        ),
        Mistake(
            "only_the_ids",
            "You return the ids alone. The labels are wanted too: `return ids, labels`.",
            _changed(lambda ids, labels, pad: ids),
        ),
        Mistake(
            "with_a_mask",
            "You return an attention mask as well. Only the ids and the labels are wanted: with "
            "padding on the right no mask is needed.",
            _changed(lambda ids, labels, pad: (ids, labels, (ids != pad).long())),
        ),
        Mistake(
            "lists",
            "The numbers are right, but they come back as lists. The model wants tensors: "
            "`torch.tensor(ids), torch.tensor(labels)`.",
            _packed(make=list),
        ),
        Mistake(
            "floats",
            "The numbers are right, but they are floats. An embedding looks rows up by whole "
            "numbers: make the tensors int64, as `torch.tensor` does of lists of ints.",
            _packed(make=lambda rows: torch.tensor(rows).float()),
        ),
        Mistake(
            "int32",
            "The numbers are right, but in int32. The loss takes labels in int64 only: leave the "
            "dtype to `torch.tensor`, or say `dtype=torch.int64`.",
            _packed(make=lambda rows: torch.tensor(rows, dtype=torch.int32)),
        ),
        Mistake(
            "no_rows_accepted",
            "All is right but one thing: a batch of no rows has to be refused. "
            '`if not rows: raise ValueError("…")`, with a sentence of your own.',
            _packed(
                refuse=lambda rows: None,
                length=lambda rows: max((len(ids) for ids, _ in rows), default=0),
            ),
        ),
        Mistake(
            "refused_with_assert",
            "A batch of no rows is refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            _packed(refuse=lambda rows: asserted(len(rows) > 0)),
        ),
        Mistake(
            "refused_without_a_sentence",
            "A batch of no rows is refused, but without a word. Say what is wrong: "
            '`raise ValueError("…")` with a sentence.',
            _packed(refuse=lambda rows: speechless(len(rows) > 0)),
        ),
    ],
    hints=[
        "First refuse an empty list, then find the length of the longest row: "
        "`T = max(len(ids) for ids, _ in rows)`.",
        "A row that is `T - len(ids)` tokens short becomes `ids + [pad] * (T - len(ids))`: `+` "
        "makes a new list and leaves the row as it is.",
        "Do the same for the labels with -100 in place of `pad`, and turn both lists of lists into "
        "tensors with `torch.tensor`.",
    ],
)
