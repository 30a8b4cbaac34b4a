"""Exercise 19.3, `transcribe`: its oracle, inputs, mistakes and hints."""

import functools

import torch

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_sentence

VOCAB, STOP = 14, 9


@functools.cache
def _whisper(seed):
    """A tiny random Whisper whose words do not repeat at once."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=VOCAB, d_model=16, encoder_layers=1, decoder_layers=1, num_mel_bins=4,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_source_positions=5, max_target_positions=40, init_std=0.8,
        decoder_start_token_id=1, bos_token_id=STOP, eos_token_id=STOP, pad_token_id=STOP,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WhisperForConditionalGeneration(config).eval()


class Ear:
    """`model(features, ids)` gives logits (1, T, V); it counts its calls."""

    def __init__(self, seed):
        self.inside, self.calls = _whisper(seed), 0

    def __call__(self, features, ids):
        """Logits (1, T, V) for features (1, bands, frames) and ids (1, T)."""
        self.calls += 1
        logits = self.inside(input_features=features, decoder_input_ids=ids).logits
        return logits - 30  # no probability changes by that, and no logit is above 0


def _transcribe(model, features, prompt, stop, suppressed=(), n=60):
    """Hugging Face's `generate`, greedy, from the same prompt."""
    if not prompt:
        raise ValueError("the prompt is empty: the decoder needs a token to begin with")
    if not isinstance(model, Ear):  # in the notebook it stands in for an answer
        return _greedy()(model, features, prompt, stop, suppressed, n)
    written = model.inside.generate(
        features,
        decoder_input_ids=torch.tensor([prompt]),
        suppress_tokens=list(suppressed) or None,
        max_new_tokens=n,
        do_sample=False,
        num_beams=1,
        eos_token_id=stop,
        pad_token_id=stop,
    )[0].tolist()
    return written[: written.index(stop)] if stop in written else written[:n]


def _greedy(
    begin=lambda prompt: list(prompt),
    choose=lambda logits: logits[0, -1],
    forbid=lambda logits, suppressed: logits.index_fill(
        -1, torch.tensor(list(suppressed), dtype=torch.long), -torch.inf
    ),
    pick=lambda logits: logits.argmax().item(),
    ends=lambda token, stop: token == stop,
    keep_stop=False,
    returns=lambda ids, prompt: ids[len(prompt) :],
    length=lambda n: n,
    refuse=True,
    always_allowed=False,
):
    """The greedy loop with one step replaced."""

    @torch.no_grad()
    def mutant(model, features, prompt, stop, suppressed=(), n=60):
        if refuse and not prompt:
            raise ValueError("the prompt is empty")
        ids = begin(prompt) or [0]
        for _ in range(length(n)):
            logits = choose(model(features, torch.tensor([ids])))
            token = pick(logits if always_allowed else forbid(logits, suppressed))
            if ends(token, stop):
                if keep_stop:
                    ids.append(token)
                break
            ids.append(token)
        return returns(ids, prompt)

    return mutant


def _probability_set_to_zero(logits, suppressed):
    return logits.index_fill(-1, torch.tensor(list(suppressed), dtype=torch.long), 0.0)


def _first_only(logits, suppressed):
    return logits.index_fill(-1, torch.tensor(list(suppressed)[:1], dtype=torch.long), -torch.inf)


def _probe(answer, seed, features, prompt, stop, suppressed, n):
    model = Ear(seed)
    before = list(prompt)
    ids = with_sentence(answer, model, features.clone(), prompt, stop, suppressed, n)
    if isinstance(ids, torch.Tensor) or not isinstance(ids, list):
        return ids
    return Seen({"result": ids, "the prompt": "as it was" if prompt == before else "changed"})


def _case(seed, prompt, suppressed=(), n=12, stop=STOP, **raises):
    label = f"transcribe(model, features, prompt={prompt}, stop={stop}, "
    label += f"suppressed={list(suppressed)}, n={n})"
    features = normal(seed, 1, 4, 10)
    return Case(seed % 7, features, list(prompt), stop, list(suppressed), n, label=label, **raises)


transcribe = Exercise(
    number="19.3",
    name="transcribe",
    oracle=_transcribe,
    compared_with="Hugging Face's `generate`",
    probe=_probe,
    cases=lambda: [
        _case(1, [1, 3], n=8, stop=8),
        _case(2, [1], n=5),
        _case(2, [1, 3], n=10, stop=3),
        _case(5, [1], n=10, stop=8),
        _case(12, [1, 2, 4], n=10, stop=5),
        _case(3, [1, 3], [0, 2, 5], n=6),
        _case(4, [1, 2, 4], [7], n=8),
        _case(5, [1, 3], range(5), n=6),
        _case(6, [1, 3], n=1),
        _case(7, [1], n=20),
        _case(8, [1, 3], [6, 8, 11], n=10, stop=12),
        _case(9, [1, 3], n=6, stop=0),
        _case(1, [1], n=3, stop=6),
        _case(10, [], raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "prompt_returned",
            "The prompt is returned as well. Only what was written counts.",
            _greedy(returns=lambda ids, prompt: ids),
        ),
        Mistake(
            "stop_returned",
            "The stop token is returned as well. It ends the text and is no part of it.",
            _greedy(keep_stop=True),
        ),
        Mistake(
            "never_stops",
            "The stop token does not stop it.",
            _greedy(ends=lambda token, stop: False),
        ),
        Mistake(
            "suppressed_allowed",
            "Suppressed tokens are written all the same. Set their logits to minus infinity before "
            "you choose.",
            _greedy(always_allowed=True),
        ),
        Mistake(
            "suppressed_set_to_zero",
            "You set suppressed logits to 0. A logit of 0 may well be the largest: minus infinity.",
            _greedy(forbid=_probability_set_to_zero),
        ),
        Mistake(
            "only_the_first_suppressed",
            "Only the first of the suppressed tokens is forbidden.",
            _greedy(forbid=_first_only),
        ),
        Mistake(
            "prompt_not_read",
            "Only the first token of the prompt is given to the model. It must read the whole "
            "prompt.",
            _greedy(begin=lambda prompt: list(prompt[:1]), returns=lambda ids, prompt: ids[1:]),
        ),
        Mistake(
            "first_place_read",
            "You read the logits at the first place. The next token is predicted at the *last*.",
            _greedy(choose=lambda logits: logits[0, 0]),
        ),
        Mistake(
            "one_too_many",
            "n tokens at most: you write one more.",
            _greedy(length=lambda n: n + 1),
        ),
        Mistake(
            "one_too_few",
            "n tokens may be written: you stop one before.",
            _greedy(length=lambda n: n - 1),
        ),
        Mistake(
            "prompt_counted_in_n",
            "n counts what is written, without the prompt.",
            lambda model, features, prompt, stop, suppressed=(), n=60: _greedy()(
                model, features, prompt, stop, suppressed, max(0, n - len(prompt))
            ),
        ),
        Mistake(
            "least_likely",
            "You take the *smallest* logit.",
            _greedy(
                pick=lambda logits: (
                    logits.masked_fill(logits == -torch.inf, torch.inf).argmin().item()
                )
            ),
        ),
        Mistake(
            "empty_prompt_accepted",
            "All is right but one thing: without a prompt the decoder has nothing to begin with. "
            "Raise a `ValueError` with a sentence.",
            _greedy(refuse=False),
        ),
    ],
    hints=[
        "`ids = list(prompt)`; in a loop of n rounds ask `model(features, torch.tensor([ids]))` "
        "for logits and look at the last place, `[0, -1]`.",
        "`logits[list(suppressed)] = -torch.inf` forbids; then `argmax`. Is it `stop`? Then end.",
        "Return `ids[len(prompt):]`.",
    ],
)
