"""Exercise 15.4 (stretch), `tubelets`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import counted, normal
from utils.checks.engine.probes import learned


def _tubelets(video, depth, size):
    n = video.shape[1] * depth * size * size
    kernel = torch.eye(n, dtype=video.dtype, device=video.device)
    kernel = kernel.reshape(n, -1, depth, size, size)
    return F.conv3d(video, kernel, stride=(depth, size, size)).flatten(2).transpose(1, 2)


def _blocks(order=(0, 2, 4, 6, 1, 3, 5, 7), inside_last=True):
    """The video cut by one `reshape` and put in order by one `permute`, either replaced."""

    def mutant(video, depth, size):
        B, C, *lengths = video.shape
        split = [(length // n, n) for length, n in zip(lengths, (depth, size, size), strict=True)]
        axes = [n for pair in split for n in (pair if inside_last else pair[::-1])]
        x = video.reshape(B, C, *axes).permute(order)
        return x.reshape(B, -1, C * depth * size * size)

    return mutant


def _reshaped(video, depth, size):
    return video.reshape(len(video), -1, video.shape[1] * depth * size * size)


def _frames_averaged(video, depth, size):
    x = _tubelets(video, depth, size)
    return x.reshape(*x.shape[:2], video.shape[1], depth, size * size).mean(3).flatten(2)


def _tubelets_by_hand(video, depth, size):
    B, C, F_, H, W = video.shape
    x = video.reshape(B, C, F_ // depth, depth, H // size, size, W // size, size)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(B, -1, C * depth * size * size)


tubelets = Exercise(
    number="15.4",
    name="tubelets",
    oracle=_tubelets,
    compared_with="`F.conv3d` with a kernel that copies",
    probe=learned,
    cases=lambda: [
        Case(counted(2, 4, 6, 4, 6), 2, 2),
        Case(counted(1, 1, 2, 2, 2), 2, 1),
        Case(counted(1, 1, 2, 2, 2), 1, 2),
        Case(normal(1, 3, 2, 6, 6, 3), 2, 3),
        Case(counted(1, 4, 4, 4, 4), 2, 2),
        Case(normal(2, 1, 3, 3, 4, 2).double(), 3, 2),
        Case(normal(3, 2, 2, 4, 3, 2), 2, 1),
        Case(normal(4, 2, 4, 2, 4, 4).transpose(1, 2), 2, 2),
        Case(counted(1, 1, 8, 16, 16), 2, 4),
        Case(normal(5, 1, 2, 18, 2, 34), 2, 2),
        Case(normal(6, 1, 2, 2, 4, 6).requires_grad_(), 2, 2),
    ],
    mistakes=[
        Mistake(
            "depth_written_in",
            "You cut boxes of 2 frames, whatever `depth` is. Use `depth` in the `reshape`.",
            lambda video, depth, size: _tubelets_by_hand(video, 2, size),
        ),
        Mistake(
            "time_fastest",
            "You go through time first and the picture later. The first tubelets all begin at "
            "frame 0: time is the *slowest* of the three, then rows, then columns.",
            _blocks((0, 4, 6, 2, 1, 3, 5, 7)),
        ),
        Mistake(
            "rows_and_columns_swapped",
            "Within a picture the tubelets go down first. They go like reading: left to right, "
            "then the next row.",
            _blocks((0, 2, 6, 4, 1, 3, 5, 7)),
        ),
        Mistake(
            "time_inside_last",
            "Inside each tubelet time comes last. The order inside is channel, time, row, column.",
            _blocks((0, 2, 4, 6, 1, 5, 7, 3)),
        ),
        Mistake(
            "time_before_channel",
            "Inside each tubelet time comes before the channel. The order inside is channel, time, "
            "row, column.",
            _blocks((0, 2, 4, 6, 3, 1, 5, 7)),
        ),
        Mistake(
            "channels_last",
            "Inside each tubelet the channel comes last. Here it is first: channel, time, row, "
            "column.",
            _blocks((0, 2, 4, 6, 3, 5, 7, 1)),
        ),
        Mistake(
            "patch_transposed",
            "Inside each tubelet the columns come before the rows, so every picture in it lies on "
            "its side. The order inside is channel, time, row, column.",
            _blocks((0, 2, 4, 6, 1, 3, 7, 5)),
        ),
        Mistake(
            "plain_reshape",
            "The shape is right, but one `reshape` alone cuts the video into stretches, not into "
            "blocks. Split F, H and W into two axes each, then `permute`, then reshape.",
            _reshaped,
        ),
        Mistake(
            "every_other_pixel",
            "Each of your tubelets gathers pixels from all over the video. In the `reshape`, F "
            "becomes `F // depth, depth`, in this order: first which tubelet, then which frame in "
            "it. H and W likewise.",
            _blocks((0, 3, 5, 7, 1, 2, 4, 6), inside_last=False),
        ),
        Mistake(
            "not_transposed",
            "The last two axes are exchanged. Tokens come first: `(B, N, C * depth * size * "
            "size)`.",
            lambda video, depth, size: _tubelets(video, depth, size).transpose(1, 2),
        ),
        Mistake(
            "every_frame_by_itself",
            "You cut every frame by itself into patches. A tubelet goes through `depth` frames: it "
            "holds `C * depth * size * size` numbers, and there are fewer of them.",
            lambda video, depth, size: _tubelets(video, 1, size),
        ),
        Mistake(
            "frames_averaged",
            "You take the mean over the frames of a tubelet, and what moves is lost. Keep all "
            "`depth` frames, one behind the other.",
            _frames_averaged,
        ),
        Mistake(
            "frames_for_channels",
            "You take the channels for the frames. The shape of the video is `(B, C, F, H, W)`: "
            "channels come first, then frames.",
            lambda video, depth, size: _tubelets(video.transpose(1, 2), depth, size),
        ),
        Mistake(
            "batch_of_one_squeezed",
            "For a single video the batch is gone: is there a `squeeze()`? Keep the shape "
            "`(B, N, C * depth * size * size)`, also for B = 1.",
            lambda video, depth, size: _tubelets(video, depth, size).squeeze(),
        ),
        Mistake(
            "batch_lost",
            "The boxes of all videos stand in one long row. Keep the axis of the batch: "
            "`reshape(B, -1, C * depth * size * size)`.",
            lambda video, depth, size: _tubelets(video, depth, size).flatten(0, 1),
        ),
        Mistake(
            "boxes_not_flattened",
            "The boxes are right, but each is still a small film, `(C, depth, size, size)`. A "
            "token is one row of numbers: `flatten(2)`.",
            lambda video, depth, size: _tubelets(video, depth, size).unflatten(
                2, (-1, depth, size, size)
            ),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient comes back to the video: is there a "
            "`detach`, a `.data`, a `no_grad`, a `torch.tensor(…)`, or a way through NumPy?",
            lambda video, depth, size: _tubelets(video, depth, size).detach(),
        ),
    ],
    hints=[
        "It is `patchify` with one axis more: F, too, becomes two axes, `F // depth` and `depth`.",
        "`video.reshape(B, C, F // depth, depth, H // size, size, W // size, size)` has eight "
        "axes: 0 is the batch and 1 the channel. Which three choose the tubelet?",
        "`x.permute(0, 2, 4, 6, 1, 3, 5, 7)`, and then a `reshape` to `(B, N, C * depth * size * "
        "size)`.",
    ],
)
