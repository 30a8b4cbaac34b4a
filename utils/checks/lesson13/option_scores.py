"""Exercise 13.2, `option_scores`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.probes import with_sentence
from utils.checks.lesson09.common import drawn_tokens, tiny_model


def _usable(prompt, options):
    if not prompt:
        raise ValueError("the prompt is empty: nothing comes before the options")
    if not options or not all(options):
        raise ValueError("an option without tokens has no probability to compare")


def _option_scores(model, prompt, options, normalise=True):
    """Hugging Face's own loss, with the prompt left out by labels of -100."""
    _usable(prompt, options)
    scores = []
    with torch.no_grad():
        for option in options:
            ids = torch.tensor([[*prompt, *option]])
            labels = torch.tensor([[-100] * len(prompt) + [*option]])
            mean = -model(ids, labels=labels).loss
            scores.append(mean if normalise else mean * len(option))
    return torch.stack(scores)


def _scored(
    row=lambda prompt, option: [*prompt, *option],
    log_p=lambda logits: logits.log_softmax(-1),
    shift=1,
    first=lambda prompt, option: len(prompt),
    last=lambda prompt, option: len(prompt) + len(option),
    pick=lambda log_p, ids: log_p.gather(-1, ids[:, None])[:, 0],
    reduce=lambda picked, prompt, option, normalise: picked.mean() if normalise else picked.sum(),
    finish=lambda scores: scores,
    refuse=_usable,
):
    """The scores of options with one step replaced."""

    @torch.no_grad()
    def mutant(model, prompt, options, normalise=True):
        refuse(prompt, options)
        scores = []
        for option in options:
            ids = torch.tensor(row(prompt, option))
            logits = log_p(model(ids[None]).logits[0])
            where = torch.arange(first(prompt, option), last(prompt, option))
            picked = pick(logits[where - shift], ids[where])
            scores.append(reduce(picked, prompt, option, normalise))
        return finish(torch.stack(scores))

    return mutant


@torch.no_grad()
def _padding_counted(model, prompt, options, normalise=True):
    _usable(prompt, options)
    T = max(map(len, options))
    rows = torch.tensor([[*prompt, *o, *[0] * (T - len(o))] for o in options])
    log_p = model(rows).logits.log_softmax(-1)[:, len(prompt) - 1 : -1]
    picked = log_p.gather(-1, rows[:, len(prompt) :, None])[..., 0]
    return picked.mean(1) if normalise else picked.sum(1)


@torch.no_grad()
def _padded_on_the_left(model, prompt, options, normalise=True):
    """Positions and attention do not know of the padding."""
    _usable(prompt, options)
    T = max(map(len, options))
    rows = torch.tensor([[*[0] * (T - len(o)), *prompt, *o] for o in options])
    log_p = model(rows).logits.log_softmax(-1)
    scores = []
    for logits, ids, option in zip(log_p, rows, options, strict=True):
        n = len(option)
        picked = logits[-n - 1 : -1].gather(-1, ids[-n:, None])[:, 0]
        scores.append(picked.mean() if normalise else picked.sum())
    return torch.stack(scores)


def _one_after_the_other(model, prompt, options, normalise=True):
    """Each option is written after those before it."""
    _usable(prompt, options)
    scores, before = [], [*prompt]
    for option in options:
        scores.append(_option_scores(model, before, [option], normalise)[0])
        before += option
    return torch.stack(scores)


def _grown_prompt(model, prompt, options, normalise=True):
    _usable(prompt, options)
    scores = []
    for option in options:
        scores.append(_option_scores(model, prompt, [option], normalise)[0])
        prompt += option
    return torch.stack(scores)


def _spread(picked, prompt, option, normalise):
    return picked.sum() / (len(prompt) + len(option) if normalise else 1)


def _probe(answer, prompt, options, *normalise, mode=False):
    model = tiny_model().train(mode)
    before = {name: p.clone() for name, p in model.state_dict().items()}
    out = with_sentence(answer, model, prompt, options, *normalise)
    if not isinstance(out, torch.Tensor):
        return out
    kept = all(torch.equal(before[name], p) for name, p in model.state_dict().items())
    return Seen(
        {
            "result": out.detach(),
            "the model": "as it was" if kept else "its weights have changed",
            "the model's mode": "training" if model.training else "evaluation",
        }
    )


def _case(seed, n_prompt, lengths, *rest):
    prompt = drawn_tokens(seed, n_prompt)
    options = [drawn_tokens(100 * seed + i, n) for i, n in enumerate(lengths, 1)]
    given = "".join(f", normalise={value}" for value in rest)
    label = f"option_scores(model, prompt={prompt}, options={options}{given})"
    return Case(prompt, options, *rest, label=label)


def _refused(prompt, options):
    label = f"option_scores(model, prompt={prompt}, options={options})"
    return Case(prompt, options, label=label, raises=ValueError)


option_scores = Exercise(
    number="13.2",
    name="option_scores",
    oracle=_option_scores,
    compared_with="Hugging Face's loss with labels of -100 for the prompt",
    probe=_probe,
    tolerance=Tolerance(absolute=1e-4, relative=1e-4),
    cases=lambda: [
        _case(1, 4, (2, 3, 1)),
        _case(2, 5, (1, 2, 3, 4), False),
        _case(3, 3, (2, 2)),
        _case(4, 1, (3, 1)),
        _case(5, 2, (1, 1, 1, 1)),
        _case(6, 7, (5,), False),
        _case(7, 3, (4, 1, 6)),
        _case(8, 6, (2, 5), True),
        _refused([3, 4], [[5], []]),
        _refused([], [[5], [6]]),
        _refused([3, 4], []),
    ],
    mistakes=[
        Mistake(
            "not_shifted",
            "You read the logits *at* a token to score that token. They predict the next one: "
            "logits[t − 1] score token t.",
            _scored(shift=0),
        ),
        Mistake(
            "shifted_too_far",
            "You read the logits two places before the token. It is one.",
            _scored(shift=2, first=lambda p, o: max(len(p), 2)),
        ),
        Mistake(
            "prompt_counted",
            "The prompt's tokens are counted as well. They are the same for all options: count "
            "the option's only.",
            _scored(first=lambda p, o: 1),
        ),
        Mistake(
            "first_token_missed",
            "The option's first token is not counted. It is predicted by the logits at the last "
            "token of the prompt.",
            _scored(first=lambda p, o: len(p) + 1),
        ),
        Mistake(
            "prompt_left_out",
            "The prompt is left out: you score the option by itself. It has to follow the prompt.",
            _scored(row=lambda p, o: o, first=lambda p, o: 1, last=lambda p, o: len(o)),
        ),
        Mistake(
            "softmax_over_positions",
            "Your softmax runs over the places of the row. The tokens of the vocabulary compete: "
            "`log_softmax(-1)`.",
            _scored(log_p=lambda logits: logits.log_softmax(0)),
        ),
        Mistake(
            "last_token_missed",
            "The option's last token is not counted.",
            _scored(
                last=lambda p, o: len(p) + len(o) - 1,
                reduce=lambda x, p, o, normalise: x.sum() / (len(o) if normalise else 1),
            ),
        ),
        Mistake(
            "only_the_first_token",
            "Only the option's first token is counted. All of its tokens are.",
            _scored(last=lambda p, o: len(p) + 1),
        ),
        Mistake(
            "never_normalised",
            "`normalise=True` asks for the mean over the option's tokens. You always add up.",
            _scored(reduce=lambda x, p, o, normalise: x.sum()),
        ),
        Mistake(
            "always_normalised",
            "`normalise=False` asks for the sum. You always take the mean.",
            _scored(reduce=lambda x, p, o, normalise: x.mean()),
        ),
        Mistake(
            "the_other_way_round",
            "Sum and mean are exchanged: `normalise=True` asks for the mean.",
            _scored(reduce=lambda x, p, o, normalise: x.sum() if normalise else x.mean()),
        ),
        Mistake(
            "divided_by_the_whole_length",
            "You divide by the tokens of prompt and option together. Divide by the option's only.",
            _scored(reduce=_spread),
        ),
        Mistake(
            "losses",
            "You return losses, which are positive: the best option then has the *smallest*. Asked "
            "for are log-probabilities.",
            _scored(finish=lambda scores: -scores),
        ),
        Mistake(
            "probabilities",
            "You return probabilities. Asked for are their logarithms.",
            _scored(finish=lambda scores: scores.exp()),
        ),
        Mistake(
            "logits_added",
            "You add up the logits themselves. Only `log_softmax` makes them comparable.",
            _scored(log_p=lambda logits: logits),
        ),
        Mistake(
            "probabilities_added",
            "You add up probabilities. It is their logarithms that add up.",
            _scored(log_p=lambda logits: logits.softmax(-1)),
        ),
        Mistake(
            "softmax_over_the_options",
            "You return a softmax over the options. Asked for are the scores themselves.",
            _scored(finish=lambda scores: scores.softmax(0)),
        ),
        Mistake(
            "index_of_the_best",
            "You return which option is best. Asked for are the scores of all.",
            _scored(finish=lambda scores: scores.argmax()),
        ),
        Mistake(
            "likeliest_for_given",
            "You take the likeliest token at each place, whatever the option says. Pick the "
            "option's with `gather`.",
            _scored(pick=lambda log_p, ids: log_p.max(-1).values),
        ),
        Mistake(
            "padding_counted",
            "You pad shorter options and count the padding. Leave it out of the sum, and divide "
            "by the option's own length.",
            _padding_counted,
        ),
        Mistake(
            "padded_on_the_left",
            "You pad on the left, and the model takes the padding for words. Pad on the right "
            "(later tokens change nothing before them), or give it a mask and positions.",
            _padded_on_the_left,
        ),
        Mistake(
            "options_written_one_after_the_other",
            "The second option is scored after the first. Each must follow the prompt itself.",
            _one_after_the_other,
        ),
        Mistake(
            "empty_option_accepted",
            "All is right but one thing: an option without tokens has no probability to compare. "
            "Raise a `ValueError` with a sentence.",
            _scored(
                refuse=lambda p, o: _usable(p, [x or [1] for x in o]),
                last=lambda p, o: len(p) + max(len(o), 1),
                row=lambda p, o: [*p, *(o or [1])],
            ),
        ),
    ],
    hints=[
        "Put prompt and option into one row, and ask the model for its logits, "
        "`model(torch.tensor([prompt + option])).logits[0]`, under `torch.no_grad()`.",
        "The logits at place t predict the token at place t + 1. So the option's tokens are "
        "predicted by the logits from place `len(prompt) - 1` to the last but one.",
        "`log_p = logits[len(prompt) - 1 : -1].log_softmax(-1)`, then "
        "`log_p.gather(-1, torch.tensor(option)[:, None])`, of which you take the mean or the sum.",
    ],
)
