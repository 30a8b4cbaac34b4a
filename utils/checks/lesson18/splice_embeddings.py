"""Exercise 18.2, `splice_embeddings`: its oracle, inputs, mistakes and hints."""

import traceback

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.engine.probes import with_slopes

NOT_REFUSED = "a result, or another error"


def _splice_embeddings(input_ids, table, soft_tokens, image_id):
    words, places = F.embedding(input_ids, table), _places(input_ids, soft_tokens, image_id)
    return words.masked_scatter(places[..., None].expand_as(words), soft_tokens.to(words.dtype))


def _places(input_ids, soft_tokens, image_id):
    """Where the soft tokens go, (B, T) and bool; ValueError if a row has not as many places."""
    places, N = input_ids == image_id, soft_tokens.shape[1]
    counts = places.sum(1).tolist()
    if len(soft_tokens) != len(input_ids) or any(count != N for count in counts):
        raise ValueError(f"each row needs {N} places for a picture, and the rows have {counts}")
    return places


def _fill_places(words, places, soft_tokens):
    return words.masked_scatter(places[..., None].expand_as(words), soft_tokens)


def _splice(
    look_up=lambda input_ids, table: table[input_ids],
    places=_places,
    picture=lambda soft_tokens: soft_tokens,
    put=_fill_places,
):
    """Splicing with one step replaced."""

    def mutant(input_ids, table, soft_tokens, image_id):
        where = places(input_ids, soft_tokens, image_id)
        return put(look_up(input_ids, table), where, picture(soft_tokens))

    return mutant


def _counted_together(input_ids, soft_tokens, image_id):
    places = input_ids == image_id
    if places.sum() != soft_tokens.shape[:2].numel():
        raise ValueError
    return places


def _counted_by_assert(input_ids, soft_tokens, image_id):
    places = input_ids == image_id
    assert (places.sum(1) == soft_tokens.shape[1]).all()
    return places


def _too_few_only(input_ids, soft_tokens, image_id):
    places = input_ids == image_id
    if (places.sum(1) < soft_tokens.shape[1]).any():
        raise ValueError
    return places


def _assigned(words, places, soft_tokens):
    words = words.clone()
    words[places] = soft_tokens.flatten(0, 1)
    return words


def _in_one_block(words, places, soft_tokens):
    """All soft tokens one after the other from the first place on."""
    rows = []
    for row, start, soft in zip(words, places.int().argmax(1).tolist(), soft_tokens, strict=True):
        rows.append(torch.cat([row[:start], soft, row[start + len(soft) :]])[: len(row)])
    return torch.stack(rows)


def _in_front_of_the_words(words, places, soft_tokens):
    """The placeholders taken out, and the soft tokens put before what is left."""
    left = [row[~here] for row, here in zip(words, places, strict=True)]
    return torch.cat([soft_tokens, torch.stack(left)], dim=1)


def _spliced(answer, input_ids, table, soft_tokens, image_id):
    """The embeddings, and the gradients that the table and the soft tokens get.

    Where a row has not N places, all that is no `ValueError` is the same: a result, or an error
    that PyTorch raises by chance.
    """
    try:
        _places(input_ids, soft_tokens, image_id)
        refused = False
    except ValueError:
        refused = True
    names = ["table", "soft_tokens"]
    try:
        found = with_slopes(
            lambda table, soft_tokens: answer(input_ids, table, soft_tokens, image_id),
            table,
            soft_tokens,
            names=names,
        )
    except (AssertionError, RuntimeError, IndexError) as error:
        deliberate = traceback.extract_tb(error.__traceback__)[-1].line.startswith("raise ")
        if not refused or deliberate or isinstance(error, NotImplementedError):
            raise
        return "an AssertionError" if isinstance(error, AssertionError) else NOT_REFUSED
    return NOT_REFUSED if refused and isinstance(found, Seen) else found


def _splice_case(input_ids, n_places, d_model, image_id, vocab_size=0, refused=""):
    input_ids = torch.tensor(input_ids)
    vocab_size = vocab_size or 9 + input_ids.shape[1]
    if seeded(0):  # the places are others too
        input_ids = input_ids.flip(1)
    seed = 10 * input_ids.shape[1] + d_model
    table = normal(seed, vocab_size, d_model)
    soft_tokens = normal(seed + 1, len(input_ids), n_places, d_model)
    label = f"splice_embeddings(\n    input_ids=torch.tensor({input_ids.tolist()}),\n    "
    label += f"table=torch.randn({vocab_size}, {d_model}), "
    label += f"soft_tokens=torch.randn{tuple(soft_tokens.shape)}, image_id={image_id})"
    if refused:
        label += f"  # ValueError: {refused}"
    raises = ValueError if refused else None
    return Case(input_ids, table, soft_tokens, image_id, label=label, raises=raises)


splice_embeddings = Exercise(
    number="18.2",
    name="splice_embeddings",
    oracle=_splice_embeddings,
    compared_with="`F.embedding` and `masked_scatter`, as Hugging Face's LLaVA does it,",
    probe=_spliced,
    cases=lambda: [  # no two that are right have a shape in common
        _splice_case([[3, 7, 7, 5, 7, 1], [7, 2, 8, 7, 7, 4]], 3, 4, image_id=7),
        _splice_case([[0, 4, 0], [6, 0, 0], [0, 0, 5]], 2, 2, image_id=0),
        _splice_case([[1, 8, 8, 8, 8, 2, 3], [5, 6, 8, 8, 8, 8, 4]], 4, 3, image_id=8),
        _splice_case([[4, 2, 5, 1]], 1, 2, image_id=5),
        _splice_case([[6]], 1, 3, image_id=6),
        _splice_case([[3, 3], [3, 3], [3, 3]], 2, 2, image_id=3),
        Case(  # the example of the task
            torch.tensor([[1, 9, 2]]),
            torch.arange(10.0)[:, None].expand(10, 2).clone(),
            torch.tensor([[[5.0, 5.0]]]),
            9,
            label="splice_embeddings(\n    input_ids=torch.tensor([[1, 9, 2]]),\n    table="
            "torch.arange(10.0)[:, None].repeat(1, 2),\n    "
            "soft_tokens=torch.tensor([[[5.0, 5.0]]]), image_id=9)",
        ),
        # 111 and 4463 are what is left of 69,999 in 8 and in 16 bits
        _splice_case([[69_999, 111, 4463, 69_999, 65_700]], 2, 1, 69_999, vocab_size=70_000),
        _splice_case(
            [[7, 7, 3, 7], [1, 7, 2, 4]],
            2,
            3,
            image_id=7,
            refused="row 0 has 3 places and row 1 has 1, for 2 soft tokens",
        ),
        _splice_case(
            [[7, 3, 7, 1, 5], [1, 6, 2, 4, 5]],
            2,
            2,
            image_id=7,
            refused="row 1 has no place for its 2 soft tokens",
        ),
        _splice_case(
            [[7, 7, 3, 1], [7, 7, 2, 7]],
            2,
            3,
            image_id=7,
            refused="row 1 has 3 places for its 2 soft tokens",
        ),
        _splice_case([[1, 7, 7]], 1, 2, image_id=7, refused="2 places for 1 soft token"),
    ],
    mistakes=[
        Mistake(
            "number_of_places_not_checked",
            "All is well while every row has N places. Where one has more or fewer, a picture goes "
            "astray, perhaps into another row's text. Count them row by row, with "
            "`(input_ids == image_id).sum(1)`, and raise `ValueError` if a count is not N.",
            _splice(
                places=lambda input_ids, soft_tokens, image_id: input_ids == image_id, put=_assigned
            ),
        ),
        Mistake(
            "counted_over_all_rows",
            "You count the places of all rows together. One row may have too many and another too "
            "few, and a picture goes astray. Count row by row: "
            "`(input_ids == image_id).sum(1)`.",
            _splice(places=_counted_together),
        ),
        Mistake(
            "assert_for_value_error",
            "The count is right, but `assert` raises an `AssertionError` (and nothing at all under "
            "`python -O`). Write `if …: raise ValueError(…)`.",
            _splice(places=_counted_by_assert),
        ),
        Mistake(
            "too_many_places_allowed",
            "A row with too few places is refused, one with too many is not. It must have exactly "
            "N: compare with `!=`.",
            _splice(places=_too_few_only, put=_assigned),
        ),
        Mistake(
            "one_place_too_late",
            "Every soft token stands one place after its placeholder. It takes the very place "
            "where `input_ids == image_id`.",
            _splice(
                places=lambda *given: _places(*given).roll(1, dims=1),
            ),
        ),
        Mistake(
            "soft_tokens_in_front",
            "You put the picture in front of everything, and the placeholders are still there: the "
            "result is too long. The soft tokens *replace* the embeddings where `input_ids == "
            "image_id`.",
            _splice(put=lambda words, places, soft: torch.cat([soft, words], dim=1)),
        ),
        Mistake(
            "soft_tokens_at_the_end",
            "You put the picture after everything, and the placeholders are still there: the "
            "result is too long. The soft tokens *replace* the embeddings where `input_ids == "
            "image_id`.",
            _splice(put=lambda words, places, soft: torch.cat([words, soft], dim=1)),
        ),
        Mistake(
            "picture_moved_to_the_front",
            "The placeholders are gone and the length is right, but the picture always comes "
            "first. Each soft token stays where its placeholder was, between the words.",
            _splice(put=_in_front_of_the_words),
        ),
        Mistake(
            "in_one_block",
            "You find the first place and put all soft tokens there, one after the other. The "
            "places need not be neighbours: fill exactly those where `input_ids == image_id`.",
            _splice(put=_in_one_block),
        ),
        Mistake(
            "reversed_order",
            "The soft tokens of a row come in reverse. The first place gets `soft_tokens[b, 0]`.",
            _splice(picture=lambda soft_tokens: soft_tokens.flip(1)),
        ),
        Mistake(
            "places_of_the_first_row",
            "You look for the places in the first row only. They differ from row to row.",
            _splice(places=lambda *given: _places(*given)[:1].expand(given[0].shape)),
        ),
        Mistake(
            "first_picture_for_every_row",
            "Every row gets the first picture. Row `b` gets `soft_tokens[b]`.",
            _splice(picture=lambda soft_tokens: soft_tokens[:1].expand_as(soft_tokens)),
        ),
        Mistake(
            "first_soft_token_at_every_place",
            "Every place of a row gets the row's first soft token. They are used in order: place "
            "number i gets `soft_tokens[b, i]`.",
            _splice(picture=lambda soft_tokens: soft_tokens[:, :1].expand_as(soft_tokens)),
        ),
        Mistake(
            "only_the_first_place",
            "Only the first place of each row is filled; the others keep the embedding of the "
            "placeholder. There are N of them.",
            _splice(
                put=lambda words, places, soft: _fill_places(
                    words, places & (places.cumsum(1) == 1), soft[:, :1]
                )
            ),
        ),
        Mistake(
            "added_to_the_placeholder",
            "You add the soft tokens to the placeholder's embedding. They *replace* it.",
            _splice(
                put=lambda words, places, soft: (
                    words + _fill_places(torch.zeros_like(words), places, soft)
                )
            ),
        ),
        Mistake(
            "mask_upside_down",
            "The mask is upside down: the soft tokens replace the *words*. It must be True where "
            "`input_ids == image_id`.",
            _splice(places=lambda *given: ~_places(*given)),
        ),
        Mistake(
            "nothing_replaced",
            "The soft tokens are not used: what comes back are the word embeddings. (Methods "
            "without an underscore at the end, as `masked_scatter`, return a new tensor; and "
            "`x[mask][i] = …` writes into a copy.)",
            _splice(put=lambda words, places, soft: words),
        ),
        Mistake(
            "soft_tokens_detached",
            "The numbers are right, but no gradient reaches the soft tokens, so the projector "
            "would never learn: is there a `detach`, a `.data`, a `no_grad`?",
            _splice(picture=lambda soft_tokens: soft_tokens.detach()),
        ),
        Mistake(
            "table_detached",
            "The numbers are right, but no gradient reaches `table`. Whether the words learn is "
            "for `freeze` to decide, not here: look them up with `table[input_ids]`. "
            "(`nn.Embedding.from_pretrained` freezes its table.)",
            _splice(look_up=lambda input_ids, table: table.detach()[input_ids]),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient reaches the soft tokens or the table, so the "
            "projector would never learn: is there a `detach`, a `.data`, a `no_grad`?",
            _splice(put=lambda *given: _fill_places(*given).detach()),
        ),
    ],
    hints=[
        "First look up all words as if there were no picture; then write the soft tokens over the "
        "placeholders. A bool mask `(B, T)` says where these are.",
        "`table[input_ids]` is `(B, T, d_model)`. `places = input_ids == image_id` has N times "
        "True in every row; if `places.sum(1)` says otherwise, raise `ValueError`.",
        "`embeds[places]` has shape `(B * N, d_model)`, row after row, and so has "
        "`soft_tokens.flatten(0, 1)`: assign the one to the other, on a new tensor.",
    ],
)
