"""Exercise 17.1, `early_fusion`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import tenths
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson17.common import words


def _early_fusion(text, image, kinds, text_mask):
    tokens = torch.cat([text + kinds[0], image + kinds[1]], dim=1)
    return tokens, torch.cat([text_mask, text_mask.new_ones(image.shape[:2])], dim=1)


def _side_by_side(first, second):
    return torch.cat([first, second], dim=1)


def _swapped(first, second):
    return _side_by_side(second, first)


def _early(
    kinds=lambda kinds: kinds,
    tokens=_side_by_side,
    mask=_side_by_side,
    text=lambda text, text_mask: text,
    result=lambda tokens, mask: (tokens, mask),
):
    """Early fusion with one step replaced."""

    def mutant(text_, image, kinds_, text_mask):
        kind = kinds(kinds_)
        asked, patches = text(text_ + kind[0], text_mask), image + kind[1]
        seen = torch.ones(image.shape[:2], dtype=torch.bool)
        return result(tokens(asked, patches), mask(text_mask, seen))

    return mutant


def _early_output(answer, text, image, kinds, text_mask):
    """The answer's result, and what text, image and kinds learn through its tokens."""
    rest = []

    def tokens(*numbers):
        result = answer(*numbers, text_mask)
        if not (isinstance(result, tuple | list) and result):
            return result
        rest[:] = result[1:]
        return result[0]

    found = with_slopes(tokens, text, image, kinds, names=["text", "image", "kinds"])
    if rest and isinstance(found, Seen):
        found["result"] = (found["result"], *rest)
    return found


def _early_case(seed, mask, N, d):
    B, T = mask.shape
    return Case(tenths(seed, B, T, d), tenths(seed + 1, B, N, d), tenths(seed + 2, 2, d), mask)


early_fusion = Exercise(
    number="17.1",
    name="early_fusion",
    oracle=_early_fusion,
    compared_with="`torch.cat`",
    probe=_early_output,
    cases=lambda: [  # no two have a shape in common
        _early_case(10, words(3, 3, 1), 2, 2),
        _early_case(20, words(5, 2, 5, 4), 4, 3),
        _early_case(30, words(2, 1, 2, 2), 2, 6),
        _early_case(40, words(4, 3).flip(1), 4, 4),
        _early_case(50, words(2, 1), 1, 1),  # the example of the task
        _early_case(60, words(3, 2, 3, 0, 1, 2), 1, 5),
        _early_case(70, words(1, 1), 3, 7),
        _early_case(80, words(3, 3, 2), 4, 8),
    ],
    mistakes=[
        Mistake(
            "kinds_not_learned",
            "The numbers are right, but no gradient reaches `kinds`: the two vectors would never "
            "be learned. Is there a `detach`, or a new tensor made of their numbers?",
            _early(kinds=lambda kinds: kinds.detach()),
        ),
        Mistake(
            "image_first",
            "The image stands in front. Text first, then the image, in the tokens and in the mask: "
            "`torch.cat([text, image], dim=1)`.",
            _early(tokens=_swapped, mask=_swapped),
        ),
        Mistake(
            "mask_for_the_other_order",
            "The tokens are text, image, but the mask is in the order image, text. No error tells "
            "you so: the model would read the padding of the question and overlook as many "
            "patches. Join both in the same order.",
            _early(mask=_swapped),
        ),
        Mistake(
            "tokens_for_the_other_order",
            "The mask is in the order text, image, but the tokens are image, text. No error tells "
            "you so: the model would take image tokens for padding. Join both in the same order, "
            "text first.",
            _early(tokens=_swapped),
        ),
        Mistake(
            "kinds_swapped",
            "The kinds are swapped: `kinds[0]` is for the text, `kinds[1]` for the image.",
            _early(kinds=lambda kinds: kinds.flip(0)),
        ),
        Mistake(
            "kinds_forgotten",
            "`kinds` is not used, so nothing says which token is a word and which a piece of the "
            "image. Add `kinds[0]` to every text token and `kinds[1]` to every image token.",
            _early(kinds=torch.zeros_like),
        ),
        Mistake(
            "text_kind_for_both",
            "`kinds[0]` is added to the text *and* to the image, so it tells them apart no longer. "
            "The image gets `kinds[1]`.",
            _early(kinds=lambda kinds: kinds[[0, 0]]),
        ),
        Mistake(
            "image_kind_forgotten",
            "Only the text gets its kind. Add `kinds[1]` to every image token as well.",
            _early(kinds=lambda kinds: kinds * torch.tensor([[1], [0]])),
        ),
        Mistake(
            "text_kind_forgotten",
            "Only the image gets its kind. Add `kinds[0]` to every text token as well.",
            _early(kinds=lambda kinds: kinds * torch.tensor([[0], [1]])),
        ),
        Mistake(
            "mask_upside_down",
            "The mask is True for padding. It is True where attention is *allowed*: join "
            "`text_mask` as it is with True for every image token.",
            _early(mask=lambda text, seen: ~_side_by_side(text, seen)),
        ),
        Mistake(
            "text_mask_upside_down",
            "The image's half of the mask is right, the text's half is turned over: `text_mask` is "
            "True for real words already, so take it as it is, without `~`.",
            _early(mask=lambda text, seen: _side_by_side(~text, seen)),
        ),
        Mistake(
            "mask_without_the_image",
            "The mask is as long as the text only. There is one entry for each token, so N more, "
            "all True, for the image: `torch.ones(B, N, dtype=torch.bool)`.",
            _early(mask=lambda text, seen: text),
        ),
        Mistake(
            "image_masked_out",
            "The image's half of the mask is False, so nobody may look at the picture. It is True "
            "for every image token: `torch.ones`, not `torch.zeros`.",
            _early(mask=lambda text, seen: _side_by_side(text, ~seen)),
        ),
        Mistake(
            "mask_of_numbers",
            "The mask holds the numbers 1 and 0. It has to be bool: `torch.ones` makes floats when "
            "it is not asked otherwise, so give it `dtype=torch.bool`.",
            _early(mask=lambda text, seen: _side_by_side(text, seen).float()),
        ),
        Mistake(
            "mask_not_returned",
            "You return the tokens without their mask. Return both: `return tokens, mask`.",
            _early(result=lambda tokens, mask: tokens),
        ),
        Mistake(
            "mask_before_tokens",
            "Both are right, but the mask comes first. Return the tokens first: "
            "`return tokens, mask`.",
            _early(result=lambda tokens, mask: (mask, tokens)),
        ),
        Mistake(
            "image_ignored",
            "The image is not there: you return the text and its mask alone. Join the two along "
            "the tokens: `torch.cat([text, image], dim=1)`.",
            _early(tokens=lambda asked, patches: asked, mask=lambda text, seen: text),
        ),
        Mistake(
            "padding_set_to_zero",
            "You set the padding to 0. That hides nothing, since 0 is a token like another; the "
            "mask alone says what counts. Leave the tokens as they are.",
            _early(text=lambda asked, mask: asked * mask[..., None]),
        ),
        Mistake(
            "joined_along_the_batch",
            "`torch.cat` joins along the batch unless it is told otherwise, and then the image is "
            "another *example*. Join along the tokens: `dim=1`.",
            _early(
                tokens=lambda asked, patches: torch.cat([asked, patches]),
                mask=lambda text, seen: torch.cat([text, seen]),
            ),
        ),
    ],
    hints=[
        "Three steps: add to each token what kind it is, join the tokens, join the masks in the "
        "same order.",
        "`text + kinds[0]` has shape `(B, T, d)`. The image's half of the mask has shape `(B, N)`: "
        "`torch.ones(B, N, dtype=torch.bool)`.",
        "`torch.cat([text + kinds[0], image + kinds[1]], dim=1)` are the tokens. The mask is made "
        "by another `torch.cat` with `dim=1`.",
    ],
)
