"""Exercise 19.1, `conv_stem`: its oracle, inputs, mistakes and hints."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import fill, with_sentence


def _conv_stem(mel, conv1, conv2, positions):
    T = mel.shape[-1]
    if T % 2 or len(positions) < T // 2:
        raise ValueError(f"{T} frames: an even number is needed, {2 * len(positions)} at most")
    x = F.gelu(F.conv1d(mel, conv1.weight, conv1.bias, padding=1))
    x = F.gelu(F.conv1d(x, conv2.weight, conv2.bias, padding=1, stride=2))
    return x.mT + positions[: T // 2]


def _stem(
    act1=F.gelu,
    act2=F.gelu,
    first=lambda mel, conv: conv(mel),
    second=lambda x, conv: conv(x),
    turn=lambda x: x.mT,
    place=lambda x, positions: x + positions[: x.shape[1]],
    refuses=lambda T, n: T % 2 or n < T // 2,
):
    """The stem with one step replaced."""

    def mutant(mel, conv1, conv2, positions):
        T = mel.shape[-1]
        if refuses(T, len(positions)):
            raise ValueError("the number of frames does not fit")
        x = act2(second(act1(first(mel, conv1)), conv2))
        return place(turn(x), positions)

    return mutant


def _probe(answer, mel, positions, n_bands, d_model):
    with torch.random.fork_rng(devices=[]):
        conv1 = fill(nn.Conv1d(n_bands, d_model, 3, padding=1))
        conv2 = fill(nn.Conv1d(d_model, d_model, 3, stride=2, padding=1))
    before = copy.deepcopy((conv1.state_dict(), conv2.state_dict()))
    leaf = mel.clone().requires_grad_()
    out = with_sentence(answer, leaf * 1, conv1, conv2, positions.clone())
    if not isinstance(out, torch.Tensor):
        return out
    found = Seen({"result": out.detach().clone()})
    if out.requires_grad:
        (found["gradient to mel"],) = torch.autograd.grad(out.cos().sum(), leaf, allow_unused=True)
    else:
        found["gradient to mel"] = None
    now = conv1.state_dict(), conv2.state_dict()
    same = all(torch.equal(a[k], b[k]) for a, b in zip(before, now, strict=True) for k in a)
    found["the weights"] = "as they were" if same else "changed"
    return found


def _case(seed, B, n_bands, T, d_model, n_positions, **raises):
    label = f"conv_stem of mel {(B, n_bands, T)}, d_model={d_model}, {n_positions} positions"
    mel, positions = normal(seed, B, n_bands, T), normal(seed + 30, n_positions, d_model)
    return Case(mel, positions, n_bands, d_model, label=label, **raises)


conv_stem = Exercise(
    number="19.1",
    name="conv_stem",
    oracle=_conv_stem,
    compared_with="`F.conv1d` and `F.gelu` with the same weights",
    probe=_probe,
    tolerance=Tolerance(absolute=2e-5, relative=1e-4),
    cases=lambda: [
        _case(1, 2, 5, 12, 6, 10),
        _case(2, 1, 3, 8, 4, 4),
        _case(3, 3, 7, 2, 5, 9),
        _case(4, 1, 80, 40, 16, 50),
        _case(5, 2, 6, 30, 6, 15),
        _case(6, 1, 4, 7, 3, 8, raises=ValueError),
        _case(7, 1, 4, 12, 3, 5, raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "first_gelu_missing",
            "The first convolution is followed by a GELU, too.",
            _stem(act1=lambda x: x),
        ),
        Mistake(
            "second_gelu_missing",
            "The second convolution is followed by a GELU, too.",
            _stem(act2=lambda x: x),
        ),
        Mistake(
            "no_gelu",
            "Both convolutions are followed by a GELU. Without a bend they are one convolution.",
            _stem(act1=lambda x: x, act2=lambda x: x),
        ),
        Mistake(
            "relu",
            "You use ReLU. Whisper has the exact GELU, `F.gelu`.",
            _stem(act1=F.relu, act2=F.relu),
        ),
        Mistake(
            "tanh_gelu",
            "Yours is the approximation of GELU with tanh. Whisper has the exact one.",
            _stem(*[lambda x: F.gelu(x, approximate="tanh")] * 2),
        ),
        Mistake(
            "positions_from_the_end",
            "You take the *last* positions. The sound begins at the first: "
            "`positions[: x.shape[1]]`.",
            _stem(place=lambda x, positions: x + positions[-x.shape[1] :]),
        ),
        Mistake(
            "no_positions",
            "The positions are not added.",
            _stem(place=lambda x, positions: x),
        ),
        Mistake(
            "every_other_position",
            "You take every other position. After the second convolution the slices are counted "
            "anew: 0, 1, 2, …",
            _stem(place=lambda x, positions: x + positions.repeat(2, 1)[: 2 * x.shape[1] : 2]),
        ),
        Mistake(
            "positions_subtracted",
            "You subtract the positions. Add them.",
            _stem(place=lambda x, positions: x - positions[: x.shape[1]]),
        ),
        Mistake(
            "not_transposed",
            "Bands and frames are still exchanged: (B, d_model, T // 2). Turn it round at the end.",
            _stem(turn=lambda x: x, place=lambda x, positions: x + positions[: x.shape[2]].T),
        ),
        Mistake(
            "reshaped",
            "`reshape` or `view` does not exchange axes, it only cuts the row of numbers anew. Use "
            "`transpose(1, 2)` (or `.mT`).",
            _stem(turn=lambda x: x.reshape(x.shape[0], x.shape[2], x.shape[1])),
        ),
        Mistake(
            "gelu_after_the_positions",
            "The positions come last: GELU first, then add them.",
            _stem(act2=lambda x: x, place=lambda x, p: F.gelu(x + p[: x.shape[1]])),
        ),
        Mistake(
            "stride_forgotten",
            "The second convolution is called without its stride of 2. Call the module itself, "
            "`conv2(x)`.",
            _stem(
                second=lambda x, conv: F.conv1d(x, conv.weight, conv.bias, padding=1),
                place=lambda x, p: x + p.repeat(2, 1)[: x.shape[1]],
            ),
        ),
        Mistake(
            "full_length_refused",
            "You refuse a sound that fills all positions. Only *more* than `2 * len(positions)` "
            "frames have no place.",
            _stem(refuses=lambda T, n: T % 2 or n <= T // 2),
        ),
        Mistake(
            "frames_not_checked",
            "All is right but one thing: an odd number of frames, or more than there are "
            "positions for, needs a `ValueError` with a sentence.",
            _stem(
                refuses=lambda T, n: False,
                place=lambda x, p: x + p.repeat(2, 1)[: x.shape[1]],
            ),
        ),
    ],
    hints=[
        "`x = F.gelu(conv1(mel))`, then the second in the same way: (B, d_model, T // 2).",
        "`x.transpose(1, 2)` brings the time forward; `positions[: x.shape[1]]` has as many rows.",
        "Look at the frames first: odd, or more than `2 * len(positions)`, is a `ValueError`.",
    ],
)
