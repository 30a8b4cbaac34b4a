"""Exercise 6.2, `merge`: its oracle, inputs, mistakes and hints."""

import random

from tokenizers import Tokenizer
from tokenizers.models import BPE

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson06.common import joined


def _merge(ids, pair, new_id):
    """The `tokenizers` library with this pair as its only merge."""
    sign = {i: chr(0x4E00 + k) for k, i in enumerate(sorted({*ids, *pair}))}
    vocab = {s: i for i, s in sign.items()}
    both = sign[pair[0]] + sign[pair[1]]
    model = BPE(vocab=vocab | {both: new_id}, merges=[(sign[pair[0]], sign[pair[1]])])
    text = "".join(sign[i] for i in ids)
    return Tokenizer(model).encode(text).ids if text else []


def _from_the_right(ids, pair, new_id):
    return joined(list(ids)[::-1], pair[::-1], new_id)[::-1]


def _overlapping(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids):
        here = tuple(ids[i : i + 2]) == tuple(pair)
        after = i > 0 and tuple(ids[i - 1 : i + 1]) == tuple(pair)
        if here or not after:
            out.append(new_id if here else ids[i])
        i += 1
    return out


def _first_only(ids, pair, new_id):
    for i in range(len(ids) - 1):
        if tuple(ids[i : i + 2]) == tuple(pair):
            return [*ids[:i], new_id, *ids[i + 2 :]]
    return list(ids)


def _walk(here=lambda a, b, pair: (a, b) == pair, put=None, step=2, end=True):
    """The walk along the ids with one step replaced."""

    def mutant(ids, pair, new_id):
        out, i = [], 0
        while i < len(ids) - 1:
            if here(ids[i], ids[i + 1], tuple(pair)):
                out += put(ids[i], ids[i + 1], new_id) if put else [new_id]
                i += step
            else:
                out.append(ids[i])
                i += 1
        if i < len(ids) and end:
            out.append(ids[i])
        return out

    return mutant


def _each_alone(ids, pair, new_id):
    return [new_id if i in pair else i for i in ids]


def _case(seed, ids, length, pair, new_id):
    draw = random.Random(seeded(seed))
    drawn = [int(str(i)) for i in draw.choices(ids, k=length)]  # equal, and not the same objects
    return Case(drawn, pair, new_id)


merge = Exercise(
    number="6.2",
    name="merge",
    oracle=_merge,
    compared_with="the `tokenizers` library with this one merge",
    cases=lambda: [
        Case([1, 2, 3, 1, 2, 2, 1, 1, 2], (1, 2), 256),
        Case([97, 97, 97], (97, 97), 256),
        Case([97, 98, 99, 97, 98], (97, 98), 256),
        Case([5, 5, 5, 5, 5], (5, 5), 300),
        Case((5, 6, 5), (5, 6), 300),  # a tuple, as words are
        Case((98, 97, 110, 97, 110, 97), (97, 110), 256),
        Case([11, 2, 1, 23, 1, 2], (1, 2), 256),  # no text
        Case([5, 6], (5, 6), 300),
        Case([6, 5], (5, 6), 300),
        Case([], (1, 2), 256),
        Case([9], (9, 9), 256),
        Case([4, 1, 7, 2, 1, 2, 8], (1, 2), 256),
        _case(1, [70_000, 300], 30, (70_000, 300), 70_001),
        _case(2, [40_000, 257], 30, (257, 257), 40_001),
    ],
    mistakes=[
        Mistake(
            "lists_only",
            "It does nothing with a tuple, and words are tuples: a slice of one is a tuple, and "
            "none equals a list. Compare `(ids[i], ids[i + 1]) == pair`, which works on both.",
            lambda ids, pair, new_id: (
                joined(ids, pair, new_id) if isinstance(ids, list) else [*ids]
            ),
        ),
        Mistake(
            "first_only",
            "Only the first occurrence is merged. Go on to the end of the list.",
            _first_only,
        ),
        Mistake(
            "overlapping",
            "Of `a a a` you make two new ids: the middle one is used twice. After a merge go on "
            "*behind* both: `i += 2`.",
            _overlapping,
        ),
        Mistake(
            "from_the_right",
            "Of `a a a` you merge the last two. It goes from the left: the first two.",
            _from_the_right,
        ),
        Mistake(
            "second_kept",
            "The second id of a merged pair is still there. After a merge go on *behind* both: "
            "`i += 2`.",
            _walk(step=1),
        ),
        Mistake(
            "one_skipped",
            "After a merge one id too many is skipped: `i += 2`, not 3.",
            _walk(step=3),
        ),
        Mistake(
            "last_lost",
            "The last id gets lost when it is not part of a merge. The loop looks at `i + 1`, so "
            "what is left over has to be added.",
            _walk(end=False),
        ),
        Mistake(
            "either_order",
            "`(2, 1)` is merged as well as `(1, 2)`. The order matters: compare with the pair as "
            "it is.",
            _walk(here=lambda a, b, pair: (a, b) in (pair, pair[::-1])),
        ),
        Mistake(
            "first_id_decides",
            "You look at the first id of the pair alone. Both have to match.",
            _walk(here=lambda a, b, pair: a == pair[0]),
        ),
        Mistake(
            "each_id_alone",
            "Every id that occurs in the pair is replaced. It takes both, one after the other, to "
            "make *one* new id.",
            _each_alone,
        ),
        Mistake(
            "two_new_ids",
            "A merged pair becomes two new ids. It becomes one: the list gets shorter.",
            _walk(put=lambda a, b, new_id: [new_id, new_id]),
        ),
        Mistake(
            "pair_left_out",
            "The pair disappears, and nothing stands in its place. Append `new_id`.",
            _walk(put=lambda a, b, new_id: []),
        ),
        Mistake(
            "new_id_beside",
            "The new id is put beside the pair. It takes its place.",
            _walk(put=lambda a, b, new_id: [a, b, new_id]),
        ),
        Mistake(
            "nothing_merged",
            "Nothing is merged. A list and a tuple are never equal in Python: "
            "`ids[i:i + 2] == pair` is always False. Compare `(ids[i], ids[i + 1]) == pair`.",
            lambda ids, pair, new_id: list(ids),
        ),
    ],
    hints=[
        "Walk along the list with an index `i` of your own, in a `while` loop: sometimes it moves "
        "by one, sometimes by two.",
        "If `i` is not the last place and `(ids[i], ids[i + 1]) == pair`, append `new_id` and go "
        "two places on. Otherwise append `ids[i]` and go one on.",
        "`while i < len(ids):` and inside it the question `i + 1 < len(ids) and …`: then the last "
        "id is not forgotten.",
    ],
)
