"""Exercise 9.5, `sample`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.compare import ChangesInput, Seen, Tolerance, as_array
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, tenths
from utils.checks.engine.probes import same
from utils.checks.lesson09.common import INF

SEED = 20_260  # set before the answer is called: is it still there afterwards?


def _sample(logits):
    return torch.distributions.Categorical(logits=logits).sample()


def _drawn(answer, logits, rows=None):
    """What an answer draws: in one call, or so often that its frequencies can be told.

    Args:
        answer: the learner's function.
        logits: `(kinds, vocab_size)`.
        rows: None for one call on `logits` as they are; else how often each of them stands in the
            batch, one under the other.

    Returns:
        In one call: the tokens and their dtype. Often: how often each token is drawn from each
        row of `logits`, and what shows where there is no chance in it; then the frequencies are
        left out, for *which* token one draw hits says nothing about the mistake.

    Raises:
        ChangesInput: the answer changed its logits.
    """
    torch.manual_seed(SEED)
    if rows is None:
        tokens = answer(logits)
        whole = isinstance(tokens, torch.Tensor)
        return Seen({"result": tokens, "dtype": str(tokens.dtype)}) if whole else tokens
    batch = logits.repeat(rows, 1)
    out = answer(batch)
    if not same(batch, logits.repeat(rows, 1)):
        raise ChangesInput
    if as_array(out) is None and not isinstance(out, list):
        return out
    many = torch.as_tensor(out).flatten()
    if len(many) != len(batch):
        return Seen({"there is one token for each row": False, "result": None})
    few = [torch.as_tensor(answer(logits.repeat(60, 1))) for _ in range(24)]
    by_kind = many.long().reshape(rows, len(logits)).T  # (kinds, rows)
    is_token = torch.arange(logits.shape[1]) == by_kind[..., None]  # (kinds, rows, vocab_size)
    same_calls = all(torch.equal(few[0], other) for other in few)
    same_rows = bool((by_kind == by_kind[:, :1]).all())
    seen = {
        "there is one token for each row": True,
        "the random seed is set inside": torch.initial_seed() != SEED,
        "every call draws the same tokens": same_calls,
        "all rows with the same logits get the same token": same_rows,
        "numbers that are no token of the vocabulary are drawn": not is_token.any(-1).all(),
        "tokens whose logit is -inf are drawn": bool(is_token.any(1)[logits == -INF].any()),
    }
    tells = same_calls == same_rows  # both: nothing is drawn; neither: all is
    often = is_token.float().mean(1).squeeze(0)  # ([kinds,] vocab_size)
    return Seen(seen | {"result": often if tells else None})


def _case(logits, rows):
    """Many rows of the same logits, as Python that can be pasted."""
    kinds, vocab_size = logits.shape
    numbers = str([[round(x, 1) for x in row] for row in logits.tolist()])
    numbers = numbers.replace("inf", "torch.inf")
    label = f"logits = torch.tensor({numbers}).repeat({rows}, 1)\n"
    if kinds == 1:
        label += f"sample(logits).bincount(minlength={vocab_size}) / {rows}"
    else:
        label += f"[sample(logits)[i::{kinds}].bincount(minlength={vocab_size}) / {rows} "
        label += f"for i in range({kinds})]"
    return Case(logits, label=label, rows=rows)


def _three_kinds():
    logits = (tenths(2, 3, 5) / 2).round(decimals=1)
    allowed = torch.tensor([[1, 0, 1, 1, 1], [1, 1, 1, 0, 1], [0, 1, 1, 1, 0]]).bool()
    return torch.where(allowed, logits, -INF)


def _certain(rows):
    """Two tokens, of which one is at -inf in each row: nothing is left to chance."""
    first = normal(3, rows) > 0
    return torch.where(torch.stack([first, ~first], dim=1), 0.7, -INF)


def _large_vocabulary():
    logits = torch.full((1, 70_000), -INF)
    logits[0, 69_990] = 2.0
    return logits


def _by(draw):
    """An answer that draws from probabilities: (B, vocab_size) -> (B,)."""
    return lambda logits: draw(logits.softmax(-1))


def _from(weights):
    """An answer that draws from other weights than the probabilities."""
    return lambda logits: torch.multinomial(weights(logits), 1).squeeze(1)


def _counting(offset=0, random=lambda B: torch.rand(B, 1), weights=lambda x: x.softmax(-1)):
    """How often the cumulative sum stays below a random number: another way to draw."""

    def mutant(logits):
        return (weights(logits).cumsum(-1) < random(len(logits))).sum(-1) + offset

    return mutant


def _ranked(logits):
    return torch.multinomial(logits.sort(descending=True).values.softmax(-1), 1).squeeze(1)


def _seeded(logits):
    torch.manual_seed(0)
    return _sample(logits)


def _own_generator(logits):
    generator = torch.Generator().manual_seed(0)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)


sample = Exercise(
    number="9.5",
    name="sample",
    oracle=_sample,
    compared_with="`torch.distributions.Categorical(logits=logits).sample()`, how often each token "
    "is drawn,",
    probe=_drawn,
    tolerance=Tolerance(absolute=0.06, relative=0.0),  # six standard deviations for 5,000 rows
    seconds=20.0,
    cases=lambda: [
        _case(torch.tensor([[1.0, -0.5, 1.6, 0.2, -1.0]]), 8_000),
        Case(torch.tensor([[-INF, 0.0, -INF], [3.0, -INF, -INF]])),
        _case(torch.tensor([[0.0, 0.0, -INF]]), 8_000),
        _case(_three_kinds(), 5_000),
        Case(torch.tensor([[100.0, -INF, -INF], [-INF, -INF, -200.0]])),
        Case(torch.tensor([[0.3]])),
        Case(_certain(7)),
        Case(_certain(300)),
        Case(_large_vocabulary()),
    ],
    mistakes=[
        Mistake(
            "argmax",
            "You take the likeliest token: that is greedy decoding, the same every time. *Draw* "
            "one, each with its probability: `torch.multinomial`.",
            lambda logits: logits.argmax(-1),
        ),
        Mistake(
            "uniform",
            "Every token is drawn equally often, whatever its logit. The probabilities are the "
            "softmax of the logits.",
            lambda logits: torch.randint(logits.shape[1], (len(logits),)),
        ),
        Mistake(
            "logits_as_weights",
            "You draw with the *logits* as weights (and the negative ones as 0). Take their "
            "softmax first.",
            _from(lambda logits: logits.clamp(min=0)),
        ),
        Mistake(
            "softmax_over_the_batch",
            "The softmax runs over the rows of the batch: the vocabulary is the last axis, `-1`.",
            _from(lambda logits: logits.softmax(0)),
        ),
        Mistake(
            "softmax_twice",
            "The softmax is taken twice (`Categorical(logits=…)` and `F.softmax` take logits, not "
            "probabilities): the draw is too wild, and even a token at `-inf` can come.",
            _from(lambda logits: logits.softmax(-1).softmax(-1)),
        ),
        Mistake(
            "one_draw_for_the_batch",
            "One token is drawn for the whole batch. Each row gets a draw of its own.",
            _by(lambda p: torch.multinomial(p[0], 1).expand(len(p))),
        ),
        Mistake(
            "one_random_number_for_all_rows",
            "All rows share one random number, so that equal rows get equal tokens. Draw one for "
            "each row: `torch.rand(B, 1)`.",
            _counting(random=lambda B: torch.rand(1)),
        ),
        Mistake(
            "first_row_only",
            "You draw for the first row only. Wanted is a token for each: `(B,)`.",
            _by(lambda p: torch.multinomial(p[0], 1)),
        ),
        Mistake(
            "axis_kept",
            "The draws are right, but of shape `(B, 1)`, as `torch.multinomial` gives them. Wanted "
            "is `(B,)`: `[:, 0]`.",
            _by(lambda p: torch.multinomial(p, 1)),
        ),
        Mistake(
            "axis_lost",
            "For a batch of one row the axis is lost: `squeeze()` drops every axis of length 1. "
            "`[:, 0]` drops only the second.",
            _by(lambda p: torch.multinomial(p, 1).squeeze()),
        ),
        Mistake(
            "seed_set_inside",
            "You set the random seed inside, so that every call draws the same. Whoever wants to "
            "repeat a draw sets the seed once, outside.",
            _seeded,
        ),
        Mistake(
            "the_same_every_call",
            "Every call draws the same: is there a generator that is made (and seeded) inside, or "
            "a draw that is kept? Use PyTorch's own generator, and do not seed it.",
            _own_generator,
        ),
        Mistake(
            "one_too_high",
            "Your count is one too high: as many cumulative sums as lie *below* the random number, "
            "so many tokens come before the one that is drawn.",
            _counting(offset=1),
        ),
        Mistake(
            "one_too_low",
            "Your count is one too low: as many cumulative sums as lie *below* the random number, "
            "so many tokens come before the one that is drawn.",
            _counting(offset=-1),
        ),
        Mistake(
            "not_normalised",
            "You compare a random number below 1 with the cumulative sum of the exponentials, "
            "which goes far beyond 1. Divide by their sum first: softmax.",
            _counting(weights=lambda logits: logits.exp()),
        ),
        Mistake(
            "rank_for_token",
            "You sort, draw, and return the *rank*. Say which token stands at it: "
            "`order.gather(1, rank)`. (A draw needs no sorting.)",
            _ranked,
        ),
        Mistake(
            "normal_noise",
            "Normal noise on the logits and `argmax` is a draw, but not with these probabilities. "
            "(With *Gumbel* noise, −log(−log u), it would be.)",
            lambda logits: (logits + torch.randn_like(logits)).argmax(-1),
        ),
        Mistake(
            "probabilities_returned",
            "You return the probabilities. Now draw a token with them: `torch.multinomial`.",
            lambda logits: logits.softmax(-1),
        ),
        Mistake(
            "floats",
            "The tokens are right, but floats. A token is a whole number, int64: the model looks "
            "it up in a table.",
            _by(lambda p: torch.multinomial(p, 1).squeeze(1).float()),
        ),
    ],
    hints=[
        "Two steps: probabilities from logits, then a draw with these probabilities.",
        "`torch.multinomial(probs, num_samples=1)` draws one token for each row, `(B, 1)`.",
        "`[:, 0]` takes the second axis away.",
    ],
)
