"""Exercise 9.7 (stretch), `beam_search`: its oracle, inputs, mistakes and hints."""

import random
import warnings

import torch
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson09.common import drawn_tokens

TREE = {  # what may follow "the cat …", and how likely it is
    "cat": {"sat": 0.5, "slept": 0.4, "purred": 0.1},
    "cat sat": {"down": 0.4, "still": 0.3, "up": 0.2, "there": 0.1},
    "cat slept": {".": 0.6, "all": 0.4},
    "cat sat down": {".": 0.6, "again": 0.4},
    "cat slept all": {"day": 1.0},
}

TREE_WORDS = ". cat sat slept purred down still up there again all day".split()  # noqa: SIM905


def tree_log_probs(tokens: list[int]) -> torch.Tensor:
    """Log-probability of each of the 12 words after `tokens`, read off a small tree.

    Args:
        tokens: word numbers so far, beginning with 1, "cat".

    Returns:
        `(12,)` log-probabilities; -inf for a word that cannot follow.
    """
    probs = torch.zeros(len(TREE_WORDS))
    branches = TREE.get(" ".join(TREE_WORDS[token] for token in tokens), {".": 1.0})
    for word, p in branches.items():
        probs[TREE_WORDS.index(word)] = p
    return probs.log()


def random_log_probs(seed: int, vocab_size: int, spread: float, end_bias: float, eos_id: int = 0):
    """A function from tokens to log-probabilities, drawn at random for every context; no ties."""

    def next_log_probs(tokens):
        draw = random.Random(f"{seed} {tuple(int(token) for token in tokens)}")
        logits = [draw.gauss(0, spread) for _ in range(vocab_size)]
        logits[eos_id] += end_bias
        return torch.tensor(logits).log_softmax(-1)

    return next_log_probs


class FunctionLM(PreTrainedModel, GenerationMixin):
    """Any function from tokens to log-probabilities as a Hugging Face model, for `generate`."""

    config_class = PreTrainedConfig
    main_input_name = "input_ids"

    def __init__(self, next_log_probs, eos_id: int) -> None:
        super().__init__(PreTrainedConfig())
        self.next_log_probs = next_log_probs
        self.anchor = torch.nn.Parameter(torch.zeros(1))  # generate asks a parameter for its device
        self.generation_config = GenerationConfig(
            eos_token_id=eos_id, pad_token_id=eos_id, use_cache=False
        )

    def forward(self, input_ids, **_):
        """Logits of the next token: (B, T) -> (B, 1, vocab_size)."""
        rows = [self.next_log_probs(row) for row in input_ids.tolist()]
        return CausalLMOutput(logits=torch.stack(rows)[:, None])


def _beam_search(
    next_log_probs, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0
) -> list[int]:
    tokens = torch.tensor([prompt])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            FunctionLM(next_log_probs, eos_id)
            .generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                num_beams=n_beams,
                do_sample=False,
                max_new_tokens=max_new_tokens,
                length_penalty=length_penalty,
                early_stopping="never",
            )[0]
            .tolist()
        )


def _beams(
    length=lambda tokens, prompt: len(tokens),
    power=None,
    probabilities=False,
    per_beam=False,
    keeps=2,
    stores=True,
    extends=False,
    last_only=False,
    stops_at=None,
    pick=max,
    best_first=True,
    each_keeps=None,
    with_prompt=True,
    width=lambda n: n,
    counts=lambda n: n,
    score_of=lambda total, length, penalty: total / length**penalty,
):
    """Beam search with one step replaced."""

    def mutant(next_log_probs, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
        n_beams = width(n_beams)
        penalty = length_penalty if power is None else power
        running, finished = [(0.0, [])], []
        for step in range(1, max_new_tokens + 1):
            candidates = []
            for score, tokens in running:
                after = next_log_probs(prompt + tokens)
                after = after.exp() if probabilities else after
                start = 0.0 if last_only else score
                own = [(start + x, tokens + [i]) for i, x in enumerate(after.tolist())]
                own = sorted(own, reverse=True)[: each_keeps(n_beams) if each_keeps else None]
                candidates += own[:1] if per_beam and step > 1 else own
            candidates = sorted(candidates, reverse=best_first)[: keeps * n_beams]
            for score, tokens in candidates[: counts(n_beams)]:
                ends = tokens[-1] == eos_id and stores and not extends
                if ends or step == max_new_tokens:
                    value = score_of(score, length(tokens, prompt), penalty)
                    finished.append((value, tokens))
            running = [c for c in candidates if extends or c[1][-1] != eos_id][:n_beams]
            if not running or (stops_at and len(finished) >= stops_at(n_beams)):
                break
        best = pick(finished)[1]
        return prompt + best if with_prompt else best

    return mutant


def _greedy(next_log_probs, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    tokens = [*prompt]
    for _ in range(max_new_tokens):
        tokens.append(int(next_log_probs(tokens).argmax()))
        if tokens[-1] == eos_id:
            break
    return tokens


def _beam_case(seed, vocab_size, spread, end_bias, prompt, n_beams, max_new_tokens, penalty, eos=0):
    made = f"random_log_probs({seed}, {vocab_size}, {spread}, {end_bias}, {eos})"
    label = "# from utils.checks.lesson09.beam_search import random_log_probs\n"
    label += f"beam_search({made}, {prompt}, {n_beams}, {max_new_tokens}, {eos}, {penalty})"
    model = random_log_probs(seed, vocab_size, spread, end_bias, eos)
    return Case(model, prompt, n_beams, max_new_tokens, eos, penalty, label=label)


def _tree_case(n_beams):
    label = "# from utils.checks.lesson09.beam_search import tree_log_probs\n"
    label += f"beam_search(tree_log_probs, [1], {n_beams}, 5, 0)"
    return Case(tree_log_probs, [1], n_beams, 5, 0, label=label)


beam_search = Exercise(
    number="9.7",
    name="beam_search",
    oracle=_beam_search,
    compared_with='`generate(num_beams=…, early_stopping="never")`, token for token,',
    cases=lambda: [
        _beam_case(671, 8, 1.5, 1.5, [4, 1], 3, 6, 2.0),
        _tree_case(2),
        _beam_case(414, 9, 2.0, 1.5, [2, 5, 3], 3, 6, 1.0),
        _beam_case(92, 9, 2.0, 0.0, [3, 2, 6], 4, 6, 0.5),
        _beam_case(3, 7, 1.0, 1.0, [2, 1], 1, 3, 2.0),
        _beam_case(23, 6, 1.0, 1.0, [2, 1], 2, 5, 2.0),
        _beam_case(472, 5, 1.0, 0.0, [2, 3, 1], 2, 4, 0.0),
        *[_beam_case(i, 7, 1.5, i % 2, [2, 1], 2 + i % 2, 4, 1.0) for i in range(4)],
        _beam_case(5, 7, 1.5, 2.0, [3, 5, 3], 2, 5, 1.0, eos=3),  # an end token in the prompt
        _beam_case(32, 7, 2.5, 1.5, [2, 1], 2, 5, 1.0, eos=3),
        _beam_case(6, 9, 1.5, 3.0, [1], 3, 1, 1.0, eos=8),
        _beam_case(7, 320, 2.0, 4.0, [300, 299], 2, 4, 1.0, eos=310),
        *[_beam_case(seeded(i), 7, 1.5, 1.0, drawn_tokens(i, 2), 2, 4, 1.0, 4) for i in (8, 9)],
    ],
    mistakes=[
        Mistake(
            "no_length_normalisation",
            "The sums of log-probabilities are compared as they are: every further word makes a "
            "sum smaller, so the shortest sentence wins. Divide by `length ** length_penalty`.",
            _beams(power=0.0),
        ),
        Mistake(
            "length_penalty_ignored",
            "You divide by the length, whatever `length_penalty` is: it is the exponent of the "
            "length.",
            _beams(power=1.0),
        ),
        Mistake(
            "prompt_counted_in_length",
            "You divide by the length of prompt and answer. Only new tokens count.",
            _beams(length=lambda tokens, prompt: len(prompt) + len(tokens)),
        ),
        Mistake(
            "end_not_counted",
            "The end token is left out of the length. It was chosen and paid for, so it counts.",
            _beams(length=lambda tokens, prompt: max(len(tokens) - 1, 1)),
        ),
        Mistake(
            "each_beam_keeps_one",
            "Each beam keeps its own best continuation. All continuations of all beams compete for "
            "the places: two of the best may come from one beam.",
            _beams(per_beam=True),
        ),
        Mistake(
            "each_beam_keeps_n",
            "Of each beam you keep only its n_beams best continuations. If one of them ends, a "
            "better one further down is lost: sort *all* continuations together, and take "
            "2 · n_beams.",
            _beams(each_keeps=lambda n: n),
        ),
        Mistake(
            "smallest_first",
            "You sort the smallest first, and keep the least likely beginnings: `reverse=True`.",
            _beams(best_first=False),
        ),
        Mistake(
            "probabilities_added",
            "You add probabilities. A sentence's probability is a *product*; add logarithms.",
            _beams(probabilities=True),
        ),
        Mistake(
            "last_step_only",
            "Only the newest log-probability counts: what the beam has cost before is forgotten.",
            _beams(last_only=True),
        ),
        Mistake(
            "finished_dropped",
            "A sentence that ends is thrown away. Put it aside, and let it compete at the end.",
            _beams(stores=False),
        ),
        Mistake(
            "goes_on_after_the_end",
            "Finished sentences are continued after the end token.",
            _beams(extends=True),
        ),
        Mistake(
            "finished_take_places",
            "A finished sentence takes the place of a running one: the beam narrows. Look at the "
            "2 · n_beams best continuations, and let n_beams unfinished ones go on.",
            _beams(keeps=1),
        ),
        Mistake(
            "stops_at_the_first_end",
            "You stop at the first finished sentence. A running one may still be better.",
            _beams(stops_at=lambda n: 1),
        ),
        Mistake(
            "stops_when_n_have_ended",
            "You stop as soon as n_beams sentences are finished. That is `early_stopping=True`; "
            "a running one may still be better.",
            _beams(stops_at=lambda n: n),
        ),
        Mistake(
            "one_beam_too_many",
            "You keep one beam more than `n_beams`.",
            _beams(width=lambda n: n + 1),
        ),
        Mistake(
            "one_beam_too_few",
            "You keep one beam fewer than `n_beams`.",
            _beams(width=lambda n: max(n - 1, 1)),
        ),
        Mistake(
            "twice_as_many_beams",
            "All 2 · n_beams candidates run on. They are only looked at; the best n_beams that "
            "have not ended run on.",
            _beams(width=lambda n: 2 * n),
        ),
        Mistake(
            "beam_not_limited",
            "Nothing is ever dropped: that is a search through everything, which no real "
            "vocabulary allows. Keep n_beams.",
            _beams(width=lambda n: 300),
        ),
        Mistake(
            "all_that_end_count",
            "Every candidate that ends is put aside. Only those among the *first n_beams* count as "
            "finished; one further down was not good enough to be kept.",
            _beams(counts=lambda n: 2 * n),
        ),
        Mistake(
            "formula_of_wu",
            "You divide by (5 + length)^α / (5 + 1)^α, as Wu et al. (2016, §7) do. Here, as in the "
            "library, it is length ** length_penalty.",
            _beams(score_of=lambda total, n, penalty: total / ((5 + n) / 6) ** penalty),
        ),
        Mistake(
            "multiplied_by_length",
            "You multiply by the length: log-probabilities are negative, so long sentences are "
            "punished twice. Divide.",
            _beams(score_of=lambda total, n, penalty: total * n**penalty),
        ),
        Mistake(
            "worst_returned",
            "You return the worst of the finished sentences.",
            _beams(pick=min),
        ),
        Mistake(
            "greedy",
            "That is greedy search: only one continuation is ever kept.",
            _greedy,
        ),
        Mistake(
            "prompt_dropped",
            "The sentence is right, but the prompt is missing before it.",
            _beams(with_prompt=False),
        ),
    ],
    hints=[
        "Keep two lists: `running` and `finished`, both of (sum of log-probabilities, new tokens).",
        "One step: extend every running beam by every token, sort, keep the 2 · n_beams best.",
        "Of the first n_beams of these, those that end (or stand at the last step) are finished, "
        "with their sum divided by `length ** length_penalty`. The best n_beams that have not "
        "ended go on.",
    ],
)
