"""Exercise 15.1, `patchify`: its oracle, inputs, mistakes and hints."""

import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import counted, normal
from utils.checks.engine.probes import learned


def _patchify(images, size):
    return F.unfold(images, size, stride=size).transpose(1, 2)


def _squares(order=(0, 2, 4, 1, 3, 5), pixels_last=True):
    """The image cut by one `reshape` and put in order by one `permute`, either of them replaced."""

    def mutant(images, size):
        B, C, H, W = images.shape
        rows, columns = (H // size, size), (W // size, size)
        if not pixels_last:
            rows, columns = rows[::-1], columns[::-1]
        return images.reshape(B, C, *rows, *columns).permute(order)

    return mutant


def _patches(order=(0, 2, 4, 1, 3, 5), **options):
    """As `_squares`, with the axes joined to `(B, N, C * size * size)`."""
    return lambda images, size: _squares(order, **options)(images, size).reshape(
        len(images), -1, _numbers(images, size)
    )


def _numbers(images, size):
    return images.shape[1] * size * size


patchify = Exercise(
    number="15.1",
    name="patchify",
    oracle=_patchify,
    compared_with="`F.unfold`",
    probe=learned,
    cases=lambda: [
        Case(counted(2, 3, 4, 6), 2),
        Case(counted(1, 1, 2, 4), 2),
        Case(normal(1, 3, 2, 9, 6), 3),
        Case(counted(1, 1, 4, 4), 2),
        Case(counted(1, 4, 4, 4), 2),
        Case(counted(2, 2, 2, 3), 1),
        Case(normal(2, 1, 3, 4, 4).double(), 4),
        Case(normal(3, 2, 4, 6, 3).permute(0, 3, 1, 2), 2),
        Case(normal(5, 2, 3, 18, 34), 2),
        Case(normal(4, 1, 2, 6, 4).requires_grad_(), 2),
    ],
    mistakes=[
        Mistake(
            "batch_of_one_squeezed",
            "For a single image the batch is gone: is there a `squeeze()`? Keep the shape "
            "`(B, N, C * size * size)`, also for B = 1.",
            lambda images, size: _patchify(images, size).squeeze(),
        ),
        Mistake(
            "rows_and_columns_swapped",
            "The patches go down the image first. They go like reading: left to right, then the "
            "next row. In the `permute`, the axis of patch rows comes before that of patch "
            "columns.",
            _patches((0, 4, 2, 1, 3, 5)),
        ),
        Mistake(
            "patch_transposed",
            "Inside each patch the columns come before the rows, so every patch lies on its side. "
            "Put the row within the patch before the column within the patch.",
            _patches((0, 2, 4, 1, 5, 3)),
        ),
        Mistake(
            "channels_last",
            "Inside each patch the channels come last. Many write it so, but here the channel is "
            "first: all the red of a patch, then all the green. The order is channel, row, column.",
            _patches((0, 2, 4, 3, 5, 1)),
        ),
        Mistake(
            "plain_reshape",
            "The shape is right, but one `reshape` alone cuts the image into stretches of its "
            "rows, not into squares. Split H and W into two axes each, then move them with "
            "`permute`, then reshape.",
            lambda images, size: images.reshape(len(images), -1, _numbers(images, size)),
        ),
        Mistake(
            "not_transposed",
            "The last two axes are exchanged: `F.unfold` puts the patches last. Tokens come "
            "first: `transpose(1, 2)`.",
            lambda images, size: F.unfold(images, size, stride=size),
        ),
        Mistake(
            "overlapping",
            "Your patches overlap: the window moves on by one pixel. It moves on by a whole patch: "
            "`stride=size`.",
            lambda images, size: F.unfold(images, size).transpose(1, 2),
        ),
        Mistake(
            "every_other_pixel",
            "Each of your patches gathers pixels from all over the image. In the `reshape`, H "
            "becomes `H // size, size`, in this order: first which patch, then which pixel in it. "
            "W likewise.",
            _patches((0, 3, 5, 1, 2, 4), pixels_last=False),
        ),
        Mistake(
            "a_token_for_each_channel",
            "Each channel of a patch has become a token of its own. All channels of a patch belong "
            "into one token, of `C * size * size` numbers.",
            lambda images, size: _squares((0, 1, 2, 4, 3, 5))(images, size).reshape(
                len(images), -1, size * size
            ),
        ),
        Mistake(
            "batch_lost",
            "The patches of all images stand in one long row. Keep the axis of the batch: "
            "`reshape(B, -1, C * size * size)`.",
            lambda images, size: _squares()(images, size).reshape(-1, _numbers(images, size)),
        ),
        Mistake(
            "patches_not_flattened",
            "The patches are right, but each is still a small image, `(C, size, size)`. A token is "
            "one row of numbers: `flatten(2)`.",
            lambda images, size: _squares()(images, size).flatten(1, 2),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient comes back to the images: is there a "
            "`detach`, a `.data`, a `no_grad`, a `torch.tensor(…)`, or a way through NumPy?",
            lambda images, size: _patchify(images, size).detach(),
        ),
    ],
    hints=[
        "Where does a pixel go? Its row says two things: which patch row it is in, and which row "
        "inside that patch. So H is two axes, `H // size` and `size`. W as well.",
        "`images.reshape(B, C, H // size, size, W // size, size)` has six axes. Bring the two that "
        "choose the patch to the front, behind B.",
        "`x.permute(0, 2, 4, 1, 3, 5)` has shape `(B, rows, columns, C, size, size)`. Which "
        "`reshape` makes `(B, N, C * size * size)` of it?",
    ],
)
