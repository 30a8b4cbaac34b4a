"""Exercise 20.1, `splice_two`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_sentence


def _fits(ids, image_id, image_tokens, sound_id, sound_tokens):
    for place, tokens in ((image_id, image_tokens), (sound_id, sound_tokens)):
        count = int((ids == place).sum())
        if count != len(tokens):
            raise ValueError(f"{count} placeholders {place} for {len(tokens)} soft tokens")


def _scatter(x, here, tokens):
    return x.masked_scatter(here[:, None].expand_as(x), tokens.to(x.dtype))


def _splice_two(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    _fits(ids, image_id, image_tokens, sound_id, sound_tokens)
    x = _scatter(F.embedding(ids, table), ids == image_id, image_tokens)
    return _scatter(x, ids == sound_id, sound_tokens)


def _splice(
    check=_fits,
    look_up=lambda ids, table: table[ids],
    image=lambda tokens: tokens,
    sound=lambda tokens: tokens,
    put=_scatter,
    exchanged=False,
):
    """Splicing with one step replaced."""

    def mutant(ids, table, image_id, image_tokens, sound_id, sound_tokens):
        check(ids, image_id, image_tokens, sound_id, sound_tokens)
        if exchanged:
            image_id, sound_id = sound_id, image_id
        x = put(look_up(ids, table), ids == image_id, image(image_tokens))
        return put(x, ids == sound_id, sound(sound_tokens))

    return mutant


def _in_a_block(x, here, tokens):
    """All tokens one after the other from the first place on."""
    if not len(tokens):
        return x
    start = int(here.int().argmax())
    return torch.cat([x[:start], tokens, x[start + len(tokens) :]])[: len(x)]


def _always_image_first(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    """One list of soft tokens, images and then sounds, into all places in turn."""
    _fits(ids, image_id, image_tokens, sound_id, sound_tokens)
    here = (ids == image_id) | (ids == sound_id)
    return _scatter(table[ids], here, torch.cat([image_tokens, sound_tokens]))


def _together(ids, image_id, image_tokens, sound_id, sound_tokens):
    places = ((ids == image_id) | (ids == sound_id)).sum()
    if places != len(image_tokens) + len(sound_tokens):
        raise ValueError("the number of placeholders does not fit")


def _first_kind_only(ids, image_id, image_tokens, sound_id, sound_tokens):
    if (ids == image_id).sum() != len(image_tokens):
        raise ValueError("the number of placeholders does not fit")


def _added(x, here, tokens):
    return x + _scatter(torch.zeros_like(x), here, tokens)


def _first_everywhere(x, here, tokens):
    return torch.where(here[:, None], tokens[0], x) if len(tokens) else x


def _into_the_table(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    _fits(ids, image_id, image_tokens, sound_id, sound_tokens)
    table = table.clone()
    for place, tokens in ((image_id, image_tokens), (sound_id, sound_tokens)):
        if len(tokens):
            table[place] = tokens[-1]
    return table[ids]


def _case(seed, ids, n_images, n_sounds, d_model=5, **raises):
    """Placeholders are 8 and 9; other ids are words."""
    table = normal(seed, 12, d_model)
    images, sounds = normal(seed + 20, n_images, d_model), normal(seed + 40, n_sounds, d_model)
    label = f"splice_two(ids={ids}, table (12, {d_model}), 8, {n_images} image tokens, 9, "
    label += f"{n_sounds} sound tokens)"
    return Case(torch.tensor(ids), table, 8, images, 9, sounds, label=label, **raises)


def _by_hand():
    table = torch.arange(10.0)[:, None].expand(-1, 2).clone()
    return Case(
        torch.tensor([9, 1, 8]), table, 8, torch.full((1, 2), 5.0), 9, torch.full((1, 2), 6.0)
    )


splice_two = Exercise(
    number="20.1",
    name="splice_two",
    oracle=_splice_two,
    compared_with="`F.embedding` and `masked_scatter`",
    probe=with_sentence,
    cases=lambda: [
        _case(1, [3, 9, 9, 1, 8, 2, 8, 8, 9, 4], 3, 3),
        _by_hand(),
        _case(2, [8, 8, 8, 1, 9, 9, 9, 9], 3, 4),
        _case(3, [1, 9, 5, 9, 2], 0, 2),
        _case(4, [8, 1, 8, 8], 3, 0, d_model=3),
        _case(5, [1, 2, 3], 0, 0),
        _case(6, [9, 8, 9, 8, 9], 2, 3, d_model=8),
        _case(7, [8, 8, 9, 1], 1, 2, raises=ValueError),
        _case(8, [8, 9, 9, 1], 1, 3, raises=ValueError),
        _case(9, [8, 9, 9, 1], 1, 1, raises=ValueError),
        _case(10, [8, 1, 2], 2, 0, raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "kinds_exchanged",
            "Images stand where the sounds belong, and sounds where the images do.",
            lambda ids, table, i, images, s, sounds: (
                _splice(check=lambda *a: None)(ids, table, s, images, i, sounds)
                if len(images) == len(sounds)
                else _splice_two(ids, table, i, images, s, sounds)
            ),
        ),
        Mistake(
            "always_image_first",
            "You fill all places in turn, first with images and then with sounds. A prompt may "
            "have the sound first: each kind goes to its own placeholder.",
            _always_image_first,
        ),
        Mistake(
            "in_one_block",
            "The tokens of one kind need not be neighbours: fill exactly the places where its "
            "placeholder stands, one after the other.",
            _splice(put=_in_a_block),
        ),
        Mistake(
            "first_token_everywhere",
            "Every place of a kind gets its *first* token. The second place gets the second.",
            _splice(put=_first_everywhere),
        ),
        Mistake(
            "last_token_everywhere",
            "Every place of a kind gets its *last* token, as if the placeholder had one embedding.",
            _into_the_table,
        ),
        Mistake(
            "backwards",
            "The tokens come in the wrong order: the first place gets the first token.",
            _splice(image=lambda t: t.flip(0), sound=lambda t: t.flip(0)),
        ),
        Mistake(
            "sounds_forgotten",
            "The placeholders of the sound still hold the embedding of the placeholder itself.",
            lambda ids, table, i, images, s, sounds: (
                _fits(ids, i, images, s, sounds),
                _scatter(table[ids], ids == i, images),
            )[1],
        ),
        Mistake(
            "images_forgotten",
            "The placeholders of the image still hold the embedding of the placeholder itself.",
            lambda ids, table, i, images, s, sounds: (
                _fits(ids, i, images, s, sounds),
                _scatter(table[ids], ids == s, sounds),
            )[1],
        ),
        Mistake(
            "added",
            "A soft token takes the *place* of the placeholder's embedding. You add the two.",
            _splice(put=_added),
        ),
        Mistake(
            "counted_together",
            "You count the placeholders of both kinds together. Each kind must fit by itself.",
            _splice(check=_together, put=lambda x, here, t: _scatter_what_fits(x, here, t)),
        ),
        Mistake(
            "sounds_not_counted",
            "The number of image placeholders is checked, that of the sounds is not.",
            _splice(check=_first_kind_only, put=lambda x, here, t: _scatter_what_fits(x, here, t)),
        ),
        Mistake(
            "nothing_counted",
            "Another number of placeholders than of tokens should be a ValueError with a sentence.",
            _splice(check=lambda *a: None, put=lambda x, here, t: _scatter_what_fits(x, here, t)),
        ),
    ],
    hints=[
        "`table[ids]` is a copy in which you may write.",
        "`x[ids == image_id] = image_tokens` fills the places of one kind in their order.",
    ],
)


def _scatter_what_fits(x, here, tokens):
    """As far as the tokens and the places go."""
    places = here.nonzero()[: len(tokens), 0]
    x = x.clone()
    x[places] = tokens[: len(places)]
    return x
