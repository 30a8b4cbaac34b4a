"""Exercise 2.7 (stretch), `leaks_future`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson02.common import everything


def _leaks_future(attend, T, d_model):
    """A derivative by a later input that is not 0; and, where there are none, other outputs."""
    x = torch.randn(1, T, d_model)
    with torch.no_grad():
        differs = _probing()(attend, T, d_model)
    try:
        slopes = torch.autograd.functional.jacobian(attend, x).abs().amax((0, 2, 3, 5))  # (T, T)
    except RuntimeError:  # the layer has no derivatives
        return differs
    return differs or bool((slopes.nan_to_num().triu(1) > 1e-5 * slopes.nan_to_num().max()).any())


def _mixing(weights):
    """A layer whose output i is the sum of `weights[i, j]` times input j."""
    return lambda x: weights.to(x.dtype) @ x


def _attending(mask):
    return lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=mask)


def _one_leak(T, i, j, weight=2):
    """Each word stays as it is, but for output i, which takes up some of input j."""
    weights = torch.eye(T)
    weights[i, j] = weight
    said = f"W @ x, where W = torch.eye({T}) and then W[{i}, {j}] = {weight}"
    return said, _mixing(weights)


def _running_mean(T):
    return everything(T, T).tril() / torch.arange(1, T + 1)[:, None]


def _noisy(x):
    """As on many machines: two runs do not agree to the last bit."""
    out = F.scaled_dot_product_attention(x, x, x, is_causal=True)
    return out * (1 + 3e-7 * torch.randn(out.shape))


def _attends(words):
    """As in many models: the words are made alike first, so some changes to them are lost."""
    return lambda x: _attending(None)(words(x))


def _layers(T):
    """Layers of T words, as Python, and as functions."""
    attention = "F.scaled_dot_product_attention(x, x, x, "
    return {
        f"{attention}is_causal=True)": _attending(everything(T, T).tril()),
        "torch.tanh(x)": torch.tanh,
        "1 * x": lambda x: 1 * x,
        "x.flip(1)": lambda x: x.flip(1),
        "x - x.mean(1, keepdim=True)": lambda x: x - x.mean(1, keepdim=True),
        f"{attention}attn_mask=None)": _attending(everything(T, T)),
        f"{attention}attn_mask=torch.ones({T}, {T}).bool().tril(1))": _attending(
            everything(T, T).tril(1)
        ),
        "10 * (x @ x.mT).softmax(-1).tril() @ x": lambda x: 10 * (x @ x.mT).softmax(-1).tril() @ x,
        "the mean of the words so far": _mixing(_running_mean(T)),
        "each word's predecessor": _mixing(torch.ones(T, T).tril(-1).triu(-1)),
        "each word's successor": _mixing(torch.ones(T, T).triu(1).tril(1)),
        "x.mean(1, keepdim=True).expand_as(x)": lambda x: x.mean(1, keepdim=True).expand_as(x),
        "torch.ones_like(x)": torch.ones_like,
        "causal attention, with noise in the last digit": _noisy,
        "attention without a mask to words made of length 1": _attends(
            lambda x: F.normalize(x, dim=-1)
        ),
        "attention without a mask to words whose mean is taken away": _attends(
            lambda x: x - x.mean(-1, keepdim=True)
        ),
        "x + x[:, -1:] * torch.tensor([0.0, 0.0, 2.0])": lambda x: (
            x + x[:, -1:] * torch.tensor([0.0, 0.0, 2.0])
        ),
        "x + x[:, -1:, :1] * torch.tensor([2.0, -2.0, 0.0])": lambda x: (
            x + x[:, -1:, :1] * torch.tensor([2.0, -2.0, 0.0])
        ),
        "x + x.square().sum()": lambda x: x + x.square().sum(),
    }


def _hidden_leaks(T):
    """Leaks at one place only, or large, or small."""
    return dict(
        (
            _one_leak(T, 0, 1),
            _one_leak(T, 0, 1, -2),
            _one_leak(T, T - 2, T - 1),
            _one_leak(T, 0, T - 1),
            _one_leak(T, 1, T - 2),
            _one_leak(T, 0, 1, 0.01),
            _one_leak(T, T - 1, 0),
            ("10000 times the mean of the words so far", _mixing(1e4 * _running_mean(T))),
            ("0.01 * x.mean(1, keepdim=True).expand_as(x)", _mixing(0.01 * torch.ones(T, T) / T)),
        )
    )


def _detected(answer, layer, T, d_model):
    """What the answer says of a layer that takes one sentence of T words and nothing else."""

    def attend(x):
        if tuple(x.shape) != (1, T, d_model):
            raise ValueError(f"this layer takes (1, {T}, {d_model}), and got {tuple(x.shape)}")
        return layer(x)

    return answer(attend, T, d_model)


def _cases(layers, T, d_model):
    for said, layer in layers.items():
        label = f"leaks_future(layer, T={T}, d_model={d_model})\nwhere layer(x) is {said}"
        yield Case(layer, T, d_model, label=label)


def _probing(
    cuts=lambda T: range(1, T),
    changed=lambda t: slice(t, None),
    compared=lambda t: slice(None, t),
    fresh=True,
    size=1.0,
    change=None,
    same=lambda a, b: torch.allclose(a, b, rtol=1e-4, atol=1e-6),
):
    """The detector with one step replaced: where it changes the input, and where it looks."""

    def mutant(attend, T, d_model):
        x = torch.randn(1, T, d_model)
        before, y = attend(x), x.clone()
        for t in cuts(T):
            y = x.clone() if fresh else y
            old = x[:, changed(t)]
            y[:, changed(t)] = change(old) if change else old + size * torch.randn_like(old)
            if not same(attend(y)[:, compared(t)], before[:, compared(t)]):
                return True
        return False

    return mutant


def _first_component(words):
    new = words.clone()
    new[..., 0] += 1 + torch.rand(1)
    return new


def _inputs_with_outputs(attend, T, d_model):
    x = torch.randn(1, T, d_model)
    return not torch.allclose(attend(x), x)


leaks_future = Exercise(
    number="2.7",
    name="leaks_future",
    oracle=_leaks_future,
    compared_with="`torch.autograd.functional.jacobian`, and new words at every place,",
    probe=_detected,
    cases=lambda: [
        *_cases(_layers(5), 5, 3),
        *_cases(_hidden_leaks(6), 6, 2),
        *_cases(dict([*_layers(2).items()][:5]), 2, 4),
        *_cases(dict([_one_leak(40, 38, 39), _one_leak(40, 39, 0)]), 40, 2),
    ],
    mistakes=[
        Mistake(
            "past_changed",
            "You change the *earlier* words and look at the later outputs: that they differ is "
            "what attention is for. Change the words from `t` on, and look at the outputs before.",
            _probing(changed=lambda t: slice(None, t), compared=lambda t: slice(t, None)),
        ),
        Mistake(
            "first_word_changed",
            "You change the first word and look at all outputs. They may all depend on it, for it "
            "is the past of all. Change *later* words, and look at the outputs before them.",
            _probing(
                cuts=lambda T: [0], changed=lambda t: slice(1), compared=lambda t: slice(None)
            ),
        ),
        Mistake(
            "all_outputs_compared",
            "You compare all outputs. A word may change its own output and those after it: "
            "compare only the outputs *before* the change, `[:, :t]`.",
            _probing(compared=lambda t: slice(None)),
        ),
        Mistake(
            "own_output_compared",
            "One output too many: a word may change its own. If the words from `t` on are new, "
            "compare `[:, :t]`, which ends before `t`.",
            _probing(compared=lambda t: slice(t + 1)),
        ),
        Mistake(
            "last_output_before_t_left_out",
            "One output too few: `[:, :t]` ends before `t` by itself. A leak of one word ahead "
            "slips through yours.",
            _probing(compared=lambda t: slice(t - 1)),
        ),
        Mistake(
            "only_the_neighbour",
            "You change word `t` and look at output `t - 1` alone. A leak may reach further back: "
            "look at all outputs before `t`.",
            _probing(changed=lambda t: slice(t, t + 1), compared=lambda t: slice(t - 1, t)),
        ),
        Mistake(
            "last_word_only",
            "Only the last word's change counts: you change no other, or each round of the loop "
            "overwrites what the one before has found. A leak may come from any word after the "
            "first: let `t` run over `range(1, T)`, and return True at the first difference.",
            _probing(cuts=lambda T: [T - 1]),
        ),
        Mistake(
            "first_cut_only",
            "It finds a leak only where output 0 is touched. Is there a `return False` inside the "
            "loop, or do you ask that *all* outputs differ? One different output is enough for "
            "True, and False can be said only when every `t` has been tried.",
            _probing(cuts=lambda T: [1]),
        ),
        Mistake(
            "middle_cut_only",
            "You cut the words once, in the middle. A leak within one of the halves slips through: "
            "try every `t` in `range(1, T)`.",
            _probing(cuts=lambda T: [T // 2]),
        ),
        Mistake(
            "last_cut_missing",
            "The loop ends one too early: `range(1, T)` goes up to `T - 1`, the last word.",
            _probing(cuts=lambda T: range(1, T - 1)),
        ),
        Mistake(
            "all_components_shifted_alike",
            "You add the same number to every component of a word. A layer that normalises its "
            "words first takes that away again, and you see nothing. Put *random* words there.",
            _probing(change=lambda words: words + 1),
        ),
        Mistake(
            "words_multiplied",
            "You multiply the words by a number. A layer that normalises its words first takes "
            "that away again, and you see nothing. Put *random* words there.",
            _probing(change=lambda words: 3 * words),
        ),
        Mistake(
            "sign_changed",
            "You put the same words there with the sign turned. A layer that squares its words "
            "sees no difference, and you see nothing. Put *random* words there.",
            _probing(change=lambda words: -words),
        ),
        Mistake(
            "too_much_room",
            "You allow so much for rounding that a small leak passes. The default of "
            "`torch.allclose`, or an `atol` of 1e-6, is room enough.",
            _probing(same=lambda a, b: torch.allclose(a, b, atol=0.1)),
        ),
        Mistake(
            "one_component_changed",
            "You change only the first component of a word. A leak through another one slips "
            "through: change the whole word.",
            _probing(change=_first_component),
        ),
        Mistake(
            "no_room_for_rounding",
            "Two runs of the same layer need not agree to the last digit, and yours takes that "
            "for a leak. Compare with `torch.allclose`.",
            _probing(same=torch.equal),
        ),
        Mistake(
            "cuts_from_2",
            "Your `t` starts at 2: a leak of word 1 into output 0 slips through.",
            _probing(cuts=lambda T: range(2, T)),
        ),
        Mistake(
            "copy_not_fresh",
            "Changes pile up: when the words from 2 on are tried, word 1 is still changed from the "
            "round before. Start each round from a fresh `x.clone()`.",
            _probing(fresh=False),
        ),
        Mistake(
            "inverted",
            "The answer is turned round: True means that something leaks.",
            lambda attend, T, d_model: not _leaks_future(attend, T, d_model),
        ),
        Mistake(
            "always_false",
            "It says False of every layer, even of attention without a mask. Is anything changed "
            "at all? Words are on axis 1: `y[:, t:] = …`, not `y[t:] = …`. And is the change "
            "large enough for `allclose` to see?",
            _probing(size=0.0),
        ),
        Mistake(
            "always_true",
            "It says True of every layer, even of one that answers 1 to everything. Are you "
            "comparing two results of `attend`, for inputs that agree up to `t`?",
            lambda attend, T, d_model: True,
        ),
        Mistake(
            "inputs_compared_with_outputs",
            "You compare the outputs with the inputs. Compare two *outputs*: of `x`, and of a copy "
            "in which later words are different.",
            _inputs_with_outputs,
        ),
    ],
    hints=[
        "If nothing leaks, new words from position `t` on cannot change any output before `t`.",
        "`before = attend(x)` once. Then for each `t` from 1 to `T - 1` a copy, `y = x.clone()`, "
        "with other random words in `y[:, t:]`.",
        "Compare `attend(y)[:, :t]` with `before[:, :t]` by `torch.allclose`. One difference is "
        "enough for True; False only after the loop.",
    ],
)
