"""Lesson 09: generation with Hugging Face. Answers take and return PyTorch tensors."""

import copy
import functools
import random
import warnings

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    GenerationConfig,
    GenerationMixin,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.modeling_outputs import CausalLMOutput

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.engine import Case, Exercise, Lesson, Mistake

LESSON = Lesson("09", "Generation with Hugging Face", "09_generation")
INF = float("inf")
WORDS = "<end> the a cat dog bird sat ran slept on under by mat tree river and".split()  # noqa: SIM905


@functools.cache
def _tiny_model(vocab_size: int = len(WORDS)) -> LlamaForCausalLM:
    """A random Llama, small enough to run in a millisecond, whose tokens do not repeat at once."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=64,
            initializer_range=1.0,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
        return LlamaForCausalLM(config).eval()


def _tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", unk_token="<end>"
    )


# --- 9.1 generate ---------------------------------------------------------------------------


def _generate(model, input_ids, max_new_tokens, eos_id):
    """The library's loop without its cache, as the learner's: the lesson times the two."""
    end = eos_id if eos_id >= 0 else None
    return model.generate(
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        use_cache=False,
    )


def _greedy_loop(
    position=-1, steps=lambda ids, n: n, stops=True, keeps_end=True, context=None, pick=None
):
    """The greedy loop with one step replaced."""

    def mutant(model, input_ids, max_new_tokens, eos_id):
        ids = input_ids
        for _ in range(steps(input_ids, max_new_tokens)):
            with torch.no_grad():
                logits = model(context(ids) if context else ids).logits[:, position]
            token = pick(logits) if pick else logits.argmax(-1, keepdim=True)  # (1, 1)
            if stops and not keeps_end and token.item() == eos_id:
                break
            ids = torch.cat([ids, token], dim=1)
            if stops and token.item() == eos_id:
                break
        return ids

    return mutant


def _ends_anywhere(model, input_ids, max_new_tokens, eos_id):
    ids = input_ids
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        if (ids == eos_id).any():
            break
    return ids


def _looks_before_predicting(model, input_ids, max_new_tokens, eos_id):
    ids = input_ids
    for _ in range(max_new_tokens):
        if ids[0, -1] == eos_id:
            break
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    return ids


def _new_tokens_only(model, input_ids, max_new_tokens, eos_id):
    return _generate(model, input_ids, max_new_tokens, eos_id)[:, input_ids.shape[1] :]


def _generate_case(prompt, max_new_tokens, eos_id):
    ids = torch.tensor([prompt])
    label = f"generate(model, input_ids={ids.tolist()}, max_new_tokens={max_new_tokens}, "
    return Case(_tiny_model(), ids, max_new_tokens, eos_id, label=label + f"eos_id={eos_id})")


generate = Exercise(
    number="9.1",
    name="generate",
    oracle=_generate,
    compared_with="`model.generate(do_sample=False)`, token for token,",
    cases=lambda: [
        _generate_case([1, 3, 6], 8, 15),
        _generate_case([5, 4], 6, 15),
        _generate_case([1, 3, 6], 8, _third_new_token()),
        _generate_case([1, 5, 3, 6], 6, 5),
        _generate_case([2, 4, 7], 6, 7),
    ],
    mistakes=[
        Mistake(
            "max_length_for_max_new_tokens",
            "The prompt is counted: you stop when prompt and answer *together* have "
            "`max_new_tokens` tokens. That was `max_length`, and it surprises everybody once.",
            _greedy_loop(steps=lambda ids, n: n - ids.shape[1]),
        ),
        Mistake(
            "first_position",
            "You take the logits at the *first* position. Each position predicts the token after "
            "it; the next new one comes from the last, `logits[:, -1]`.",
            _greedy_loop(position=0),
        ),
        Mistake(
            "last_but_one_position",
            "You take the last position but one, which predicts the token that is already there. "
            "Take `logits[:, -1]`.",
            _greedy_loop(position=-2),
        ),
        Mistake(
            "context_lost",
            "Only the newest token is given to the model: it has forgotten the prompt. "
            "Give it all tokens so far.",
            _greedy_loop(context=lambda ids: ids[:, -1:]),
        ),
        Mistake(
            "end_ignored",
            "It goes on after the end token. When `eos_id` has been written, stop.",
            _greedy_loop(stops=False),
        ),
        Mistake(
            "end_not_kept",
            "It stops at the end token but does not keep it. `generate` returns it as the last "
            "token: append first, then stop.",
            _greedy_loop(keeps_end=False),
        ),
        Mistake(
            "one_token_too_few",
            "One token is missing: the loop runs `max_new_tokens` times.",
            _greedy_loop(steps=lambda ids, n: n - 1),
        ),
        Mistake(
            "one_token_too_many",
            "One token too many: the loop runs `max_new_tokens` times.",
            _greedy_loop(steps=lambda ids, n: n + 1),
        ),
        Mistake(
            "prompt_dropped",
            "The new tokens are right, but the prompt is missing before them: "
            "return prompt and answer in one row.",
            _new_tokens_only,
        ),
        Mistake(
            "least_likely",
            "You take the *least* likely token: `argmax`, not `argmin`.",
            _greedy_loop(pick=lambda logits: logits.argmin(-1, keepdim=True)),
        ),
        Mistake(
            "sampled",
            "You draw the next token at random. Greedy takes the most likely one: `argmax`.",
            _greedy_loop(pick=lambda logits: torch.multinomial(logits.softmax(-1), 1)),
        ),
        Mistake(
            "end_token_in_the_prompt",
            "You look for the end token in *all* tokens. A prompt may contain it (a conversation "
            "does): look only at the new one.",
            _ends_anywhere,
        ),
        Mistake(
            "looks_before_predicting",
            "You look at the last token *before* the first prediction, so a prompt that ends with "
            "the end token gets no answer. Predict, append, then look.",
            _looks_before_predicting,
        ),
        Mistake(
            "one_round_only",
            "It returns after the first new token. Does the `return` stand inside the loop?",
            _greedy_loop(steps=lambda ids, n: 1),
        ),
    ],
    hints=[
        "One round: `logits = model(ids).logits[:, -1]`, pick, append, look whether it is the end.",
        "`logits.argmax(-1, keepdim=True)` has shape `(1, 1)`, ready for `torch.cat`.",
        "`ids = torch.cat([ids, token], dim=1)`, and `break` if `token.item() == eos_id`.",
    ],
)


@functools.cache
def _third_new_token() -> int:
    return _generate(_tiny_model(), torch.tensor([[1, 3, 6]]), 3, 15)[0, -1].item()


# --- 9.2 temperature ------------------------------------------------------------------------


def _logits_2x5():
    return torch.tensor([[2.0, -1.0, 0.5, 0.0, 3.0], [-0.5, 1.5, -2.0, 1.0, 0.25]])


temperature = Exercise(
    number="9.2",
    name="temperature",
    oracle=lambda logits, t: TemperatureLogitsWarper(t)(None, logits),
    compared_with="`TemperatureLogitsWarper`",
    cases=lambda: [Case(_logits_2x5(), 0.5), Case(_logits_2x5(), 2.0), Case(_logits_2x5(), 0.8)],
    mistakes=[
        Mistake(
            "multiplied",
            "You multiply by the temperature, so that heat *sharpens*. Divide.",
            lambda logits, t: logits * t,
        ),
        Mistake(
            "after_softmax",
            "You divide the *probabilities*. Dividing all of them by the same number changes none "
            "of their ratios; it is the logits that have to be divided.",
            lambda logits, t: logits.softmax(-1) / t,
        ),
        Mistake(
            "probabilities_returned",
            "You return probabilities. Return logits: the softmax comes once, at the very end.",
            lambda logits, t: (logits / t).softmax(-1),
        ),
        Mistake(
            "log_softmax",
            "The probabilities come out right, but these are not the logits divided by `t`: each "
            "row is shifted by a constant. The repetition penalty (9.5) looks at the *signs* of "
            "logits, so only divide.",
            lambda logits, t: (logits / t).log_softmax(-1),
        ),
        Mistake(
            "log_softmax_divided",
            "The probabilities come out right, but you divide the log-probabilities. Divide the "
            "logits as they are.",
            lambda logits, t: logits.log_softmax(-1) / t,
        ),
        Mistake(
            "root",
            "You divide by the root of the temperature. That is for d_k; here divide by `t`.",
            lambda logits, t: logits / t**0.5,
        ),
        Mistake(
            "no_effect",
            "The temperature has no effect on the probabilities. If you divide after the softmax "
            "and normalise again, or add or subtract it, it cancels.",
            lambda logits, t: logits,
        ),
    ],
    hints=["High temperature makes large differences small.", "It is one division."],
)

# --- 9.3 top_k ------------------------------------------------------------------------------


def _kth(logits, k):
    return logits.topk(k).values[:, -1:]


def _topk_logits():
    return torch.tensor(
        [
            [1.0, 3.0, -1.0, 2.0, 0.0, 2.5, -2.0],
            [-3.0, 0.5, 4.0, -1.0, 1.5, 0.25, 3.5],
            [-5.0, -4.0, -1.0, -2.0, -3.0, -6.0, -0.5],
        ]
    )


top_k = Exercise(
    number="9.3",
    name="top_k",
    oracle=lambda logits, k: TopKLogitsWarper(k)(None, logits),
    compared_with="`TopKLogitsWarper`",
    cases=lambda: [
        Case(_topk_logits(), 3),
        Case(_topk_logits(), 2),
        Case(_topk_logits(), 1),
        Case(torch.tensor([[1.0, 3.0, 2.0]]), 2),
    ],
    mistakes=[
        Mistake(
            "zero_for_minus_infinity",
            "You set the others to 0. A logit of 0 is no probability of 0 (e⁰ = 1), and may be "
            "the largest. Set them to `-inf`.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k), 0.0),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "You set the others to a large negative number. The lesson counts on `-inf`, whose "
            "probability is exactly 0 whatever else happens to the logits.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k), -1e9),
        ),
        Mistake(
            "order_for_rank",
            "`argsort` says *which token* stands at each rank, not which rank a token has: compare "
            "the logits with the k-th largest instead.",
            lambda logits, k: logits.masked_fill(logits.argsort(descending=True) >= k, -INF),
        ),
        Mistake(
            "sorted_returned",
            "You return the logits in sorted order: column 5 is no longer token 5.",
            lambda logits, k: logits.sort(descending=True).values.masked_fill(
                torch.arange(logits.shape[-1]) >= k, -INF
            ),
        ),
        Mistake(
            "probabilities_returned",
            "You return probabilities. Return logits; the softmax comes once, at the very end.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k), -INF).softmax(-1),
        ),
        Mistake(
            "one_too_many",
            "You keep k + 1 tokens.",
            lambda logits, k: logits.masked_fill(
                logits < _kth(logits, min(k + 1, logits.shape[-1])), -INF
            ),
        ),
        Mistake(
            "one_too_few",
            "You keep k − 1 tokens: the k-th itself stays, so compare with `<`, not `<=`.",
            lambda logits, k: logits.masked_fill(logits <= _kth(logits, k), -INF),
        ),
        Mistake(
            "over_the_batch",
            "You take the k largest of the whole batch. Each row has its own k.",
            lambda logits, k: logits.masked_fill(
                logits < logits.flatten().topk(k).values[-1], -INF
            ),
        ),
        Mistake(
            "first_rows_threshold",
            "All rows are cut at the first row's k-th largest. Each row has its own.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k)[0], -INF),
        ),
        Mistake(
            "keeps_the_smallest",
            "You keep the k *least* likely tokens.",
            lambda logits, k: logits.masked_fill(
                logits > logits.topk(k, largest=False).values[:, -1:], -INF
            ),
        ),
        Mistake(
            "drops_the_best",
            "It is the other way round: you drop the k best and keep the rest.",
            lambda logits, k: logits.masked_fill(logits >= _kth(logits, k), -INF),
        ),
        Mistake(
            "values_only",
            "You return the k values alone. Which tokens do they belong to? Return all "
            "`vocab_size` logits, with the others at `-inf`.",
            lambda logits, k: logits.topk(k).values,
        ),
    ],
    hints=[
        "`logits.topk(k).values` is sorted: its last column is each row's k-th largest logit.",
        "Keep the columns' axis: `[:, -1:]`, not `[:, -1]`, so that each row meets its own.",
        "`logits.masked_fill(condition, -torch.inf)`.",
    ],
)

# --- 9.4 top_p ------------------------------------------------------------------------------


def _sorted_mass(logits, descending=True):
    """Logits in order, the order, and the mass ranked before each and including each."""
    ordered, order = logits.sort(descending=descending)
    probs = ordered.softmax(-1)
    including = probs.cumsum(-1)
    return ordered, order, including - probs, including


def _cut(logits, drop, order):
    return logits.masked_fill(drop.scatter(-1, order, drop), -INF)


def _drops_crossing(logits, p):
    _, order, _, including = _sorted_mass(logits)
    return _cut(logits, including >= p, order)


def _keeps_one_more(logits, p):
    _, order, before, _ = _sorted_mass(logits)
    drop = before >= p
    drop = torch.cat([torch.zeros_like(drop[:, :1]), drop[:, :-1]], dim=1)
    return _cut(logits, drop, order)


def _keeps_tail(logits, p):
    _, order, before, _ = _sorted_mass(logits)
    return _cut(logits, before < p, order)


def _not_put_back(logits, p):
    _, _, before, _ = _sorted_mass(logits)
    return logits.masked_fill(before >= p, -INF)


def _gathered(logits, p):
    _, order, before, _ = _sorted_mass(logits)
    return logits.masked_fill((before >= p).gather(-1, order), -INF)


def _sorted_returned(logits, p):
    ordered, _, before, _ = _sorted_mass(logits)
    return ordered.masked_fill(before >= p, -INF)


def _ascending(logits, p):
    _, order, before, _ = _sorted_mass(logits, descending=False)
    return _cut(logits, before >= p, order)


def _zeroed(logits, p):
    _, order, before, _ = _sorted_mass(logits)
    drop = before >= p
    return logits.masked_fill(drop.scatter(-1, order, drop), 0.0)


def _not_sorted(logits, p):
    probs = logits.softmax(-1)
    return logits.masked_fill(probs.cumsum(-1) - probs >= p, -INF)


def _softmax_forgotten(logits, p):
    ordered, order = logits.sort(descending=True)
    return _cut(logits, ordered.cumsum(-1) - ordered >= p, order)


def _softmax_over_batch(logits, p):
    ordered, order = logits.sort(descending=True)
    probs = ordered.softmax(0)
    return _cut(logits, probs.cumsum(-1) - probs >= p, order)


def _top_p_logits():
    probs = torch.tensor(
        [
            [0.05, 0.40, 0.10, 0.25, 0.04, 0.16],
            [0.30, 0.03, 0.07, 0.02, 0.48, 0.10],
            [0.92, 0.02, 0.01, 0.03, 0.015, 0.005],
        ]
    )
    return probs.log() + torch.tensor([[1.0], [-2.0], [0.5]])  # rows of logits, not log-probs


top_p = Exercise(
    number="9.4",
    name="top_p",
    oracle=lambda logits, p: TopPLogitsWarper(p)(None, logits),
    compared_with="`TopPLogitsWarper`",
    cases=lambda: [
        Case(_top_p_logits(), 0.75),
        Case(_top_p_logits(), 0.5),
        Case(_top_p_logits(), 0.9),
        Case(torch.tensor([[0.2, 0.5, 0.3]]).log(), 0.6),
    ],
    mistakes=[
        Mistake(
            "drops_the_crossing_token",
            "You drop the token that carries the sum across p. It belongs to the nucleus: drop a "
            "token only if those ranked *before* it hold p already.",
            _drops_crossing,
        ),
        Mistake(
            "keeps_one_more",
            "You keep one token more than needed: the one that crosses p is the last to stay.",
            _keeps_one_more,
        ),
        Mistake(
            "keeps_the_tail",
            "You drop the nucleus and keep the tail: the comparison is the wrong way round.",
            _keeps_tail,
        ),
        Mistake(
            "not_put_back",
            "The mask is in *sorted* order, the logits are in the vocabulary's: you cut the wrong "
            "tokens. Put the mask back with `scatter(-1, order, drop)`.",
            _not_put_back,
        ),
        Mistake(
            "gather_for_scatter",
            "The mask goes back the wrong way: `gather` with `order` (or `scatter` with its "
            "argsort) applies the order once more. `scatter(-1, order, drop)` undoes it.",
            _gathered,
        ),
        Mistake(
            "sorted_returned",
            "You return the logits in sorted order: column 5 is no longer token 5. "
            "Put them back into the vocabulary's order.",
            _sorted_returned,
        ),
        Mistake(
            "sorted_ascending",
            "You sort from the least likely up, and so collect p from the tail. "
            "Sort with `descending=True`.",
            _ascending,
        ),
        Mistake(
            "zero_for_minus_infinity",
            "You set the others to 0, but e⁰ = 1. Set them to `-inf`.",
            _zeroed,
        ),
        Mistake(
            "not_sorted",
            "You add up in the order of the vocabulary. The nucleus is collected from the most "
            "likely token down: sort first.",
            _not_sorted,
        ),
        Mistake(
            "softmax_forgotten",
            "You add up *logits*. p is a probability: take the softmax before `cumsum`.",
            _softmax_forgotten,
        ),
        Mistake(
            "softmax_over_the_batch",
            "The softmax runs over the rows of the batch: the vocabulary is the last axis, `-1`.",
            _softmax_over_batch,
        ),
        Mistake(
            "first_rows_nucleus",
            "All rows are cut as the first one. Each row has a nucleus of its own.",
            lambda logits, p: logits.masked_fill(
                TopPLogitsWarper(p)(None, logits)[:1] == -INF, -INF
            ),
        ),
        Mistake(
            "threshold_on_single_tokens",
            "You compare each token's own probability with p. The nucleus is about their *sum*.",
            lambda logits, p: logits.masked_fill(logits.softmax(-1) < p, -INF),
        ),
    ],
    hints=[
        "Sort the logits, take the softmax, and `cumsum` says how much has been collected.",
        "`before = cumsum − probs` is the mass ranked before each token. Who is dropped?",
        "The mask belongs to sorted positions. `drop.scatter(-1, order, drop)` puts it back.",
    ],
)

# --- 9.5 repetition_penalty -----------------------------------------------------------------


def _seen(logits, tokens):
    return torch.zeros_like(logits, dtype=torch.bool).scatter(1, tokens, True)


def _penalised(logits, penalty):
    return torch.where(logits < 0, logits * penalty, logits / penalty)


def _repetition_penalty(logits, tokens, penalty):
    return RepetitionPenaltyLogitsProcessor(penalty)(tokens, logits.clone())


def _per_occurrence(logits, tokens, penalty):
    ones = torch.ones_like(tokens, dtype=logits.dtype)
    count = torch.zeros_like(logits).scatter_add(1, tokens, ones)
    return torch.where(logits < 0, logits * penalty**count, logits / penalty**count)


def _penalty_case(penalty):
    logits = torch.tensor(
        [[4.0, -4.0, 1.0, -1.0, 2.0, 3.0, 0.5], [-2.0, 1.5, -0.5, 2.5, -3.0, 0.75, -1.25]]
    )
    return Case(logits, torch.tensor([[1, 0, 0, 2], [5, 4, 3, 3]]), penalty)


repetition_penalty = Exercise(
    number="9.5",
    name="repetition_penalty",
    oracle=_repetition_penalty,
    compared_with="`RepetitionPenaltyLogitsProcessor`",
    cases=lambda: [
        _penalty_case(1.5),
        _penalty_case(1.2),
        Case(torch.tensor([[4.0, -4.0, 1.0]]), torch.tensor([[0, 1, 1]]), 2.0),
    ],
    mistakes=[
        Mistake(
            "divided_always",
            "You divide every logit. Dividing a *negative* one brings it nearer to 0 and so makes "
            "the token more likely: multiply there.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x / c, x),
        ),
        Mistake(
            "multiplied_always",
            "You multiply every logit. That punishes negative ones and rewards positive ones: "
            "divide those.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x * c, x),
        ),
        Mistake(
            "negatives_left_alone",
            "Negative logits of seen tokens stay as they are. They are punished too: multiply.",
            lambda x, tokens, c: torch.where(_seen(x, tokens) & (x > 0), x / c, x),
        ),
        Mistake(
            "first_rows_tokens",
            "Every row is punished for the tokens of the *first* row. Each row has its own.",
            lambda x, tokens, c: torch.where(_seen(x, tokens)[:1], _penalised(x, c), x),
        ),
        Mistake(
            "signs_swapped",
            "The two cases are swapped: you make seen tokens *more* likely. "
            "Positive: divide; negative: multiply.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), torch.where(x < 0, x / c, x * c), x),
        ),
        Mistake(
            "once_per_occurrence",
            "A token that was seen twice is punished twice. Keskar et al. (2019) punish a token "
            "once, however often it was seen.",
            _per_occurrence,
        ),
        Mistake(
            "subtracted",
            "You subtract the penalty; the rule divides or multiplies by it.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x - c, x),
        ),
        Mistake(
            "probability_divided",
            "You subtract log(penalty), which divides the token's *odds* by the penalty. A cleaner "
            "rule, but not the one that libraries use: they act on the logit itself.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x - torch.tensor(c).log(), x),
        ),
        Mistake(
            "unseen_punished",
            "You punish the tokens that were *not* seen.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x, _penalised(x, c)),
        ),
        Mistake(
            "all_punished",
            "You punish all tokens, seen or not.",
            lambda x, tokens, c: _penalised(x, c),
        ),
        Mistake(
            "last_token_only",
            "You punish only the last token. All of `tokens` have been seen.",
            lambda x, tokens, c: torch.where(_seen(x, tokens[:, -1:]), _penalised(x, c), x),
        ),
        Mistake(
            "across_the_batch",
            "A token that one row has seen is punished in the other row too.",
            lambda x, tokens, c: torch.where(
                _seen(x, tokens.flatten()[None].expand(len(x), -1)), _penalised(x, c), x
            ),
        ),
    ],
    hints=[
        "Which tokens were seen? A loop over the rows of `tokens`, or `scatter` into a mask.",
        "`torch.where(logits < 0, logits * penalty, logits / penalty)`, for the seen ones.",
    ],
)

# --- 9.7 complete ---------------------------------------------------------------------------


def _complete(model, tokenizer, prompts, max_new_tokens):
    """One prompt at a time, so that nothing needs padding."""
    answers = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        out = model.generate(
            inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
        new = out[0, inputs["input_ids"].shape[1] :]
        answers.append(tokenizer.decode(new, skip_special_tokens=True))
    return answers


def _batched(
    side="left", mask=True, new_only=True, skip=True, length="max_new_tokens", greedy=True, cut=None
):
    """The batched answer with one step replaced."""

    def mutant(model, tokenizer, prompts, max_new_tokens):
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side=side)
        ids = inputs["input_ids"]
        attention = inputs["attention_mask"] if mask else torch.ones_like(ids)
        options = {length: max_new_tokens} | ({"do_sample": False} if greedy else {})
        out = model.generate(ids, attention_mask=attention, **options)
        new = out[:, ids.shape[1] :] if new_only else out
        if cut:
            return cut(tokenizer, prompts, out, inputs, max_new_tokens)
        return tokenizer.batch_decode(new, skip_special_tokens=skip)

    return mutant


def _cut_characters(tokenizer, prompts, out, inputs, max_new_tokens):
    texts = tokenizer.batch_decode(out, skip_special_tokens=True)
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


def _replaced(tokenizer, prompts, out, inputs, max_new_tokens):
    texts = tokenizer.batch_decode(out, skip_special_tokens=True)
    return [text.replace(prompt, "") for text, prompt in zip(texts, prompts, strict=True)]


def _last_tokens(tokenizer, prompts, out, inputs, max_new_tokens):
    return tokenizer.batch_decode(out[:, -max_new_tokens:], skip_special_tokens=True)


def _cut_at_own_length(tokenizer, prompts, out, inputs, max_new_tokens):
    lengths = inputs["attention_mask"].sum(1).tolist()
    rows = [row[n:] for row, n in zip(out, lengths, strict=True)]
    return tokenizer.batch_decode(rows, skip_special_tokens=True)


def _stripped(answer, *args):
    """Texts without the spaces at their ends, which decoding may or may not leave."""
    texts = answer(*args)
    if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
        return [text.strip() for text in texts]
    return texts


@functools.cache
def _model_that_samples() -> LlamaForCausalLM:
    """The tiny model as many are saved: `generate` samples unless told not to."""
    model = copy.deepcopy(_tiny_model())
    model.generation_config.do_sample = True
    return model


def _complete_case(prompts, max_new_tokens, model=_tiny_model):
    label = f"complete(model, tokenizer, {prompts}, max_new_tokens={max_new_tokens})"
    if model is not _tiny_model:
        label += ", a model that samples unless told not to"
    return Case(model(), _tiny_tokenizer(), prompts, max_new_tokens, label=label)


complete = Exercise(
    number="9.7",
    name="complete",
    oracle=_complete,
    compared_with="`generate` on one prompt at a time",
    probe=_stripped,
    cases=lambda: [
        _complete_case(["the cat sat on the", "slept by", "under the tree the bird"], 7),
        _complete_case(["under ran tree by", "the river"], 9),
        _complete_case(["bird a", "bird cat mat slept", "cat tree a"], 6),
        _complete_case(["cat tree", "the <end> cat sat"], 6),
        _complete_case(["the cat sat on the", "slept by"], 7, _model_that_samples),
    ],
    mistakes=[
        Mistake(
            "padded_on_the_right",
            "The shorter prompts are padded on the *right*: the model continues after the padding, "
            'not after the prompt. Pad on the left, `padding_side="left"`.',
            _batched(side="right"),
        ),
        Mistake(
            "padded_on_the_right_and_prompt_kept",
            "Two things: the prompts are padded on the *right*, so the model continues after the "
            'padding (`padding_side="left"` mends it); and the prompt is decoded with the answer.',
            _batched(side="right", new_only=False),
        ),
        Mistake(
            "no_attention_mask",
            "The attention mask does not reach `generate`, so the shorter prompts attend to their "
            "padding. Pass `attention_mask` on (or `**inputs`).",
            _batched(mask=False),
        ),
        Mistake(
            "prompt_decoded_with_the_answer",
            "The prompt is decoded along with the answer. Cut it off: keep the columns from "
            '`inputs["input_ids"].shape[1]` on.',
            _batched(new_only=False),
        ),
        Mistake(
            "special_tokens_kept",
            "Padding and end tokens are still in the text: decode with `skip_special_tokens=True`.",
            _batched(skip=False),
        ),
        Mistake(
            "max_length_for_max_new_tokens",
            "You pass `max_length`, which counts the prompt (and its padding) too. "
            "Pass `max_new_tokens`.",
            _batched(length="max_length"),
        ),
        Mistake(
            "sampled",
            "Whether `generate` samples is left to the model's own settings. Say "
            "`do_sample=False`.",
            _batched(greedy=False),
        ),
        Mistake(
            "padded_on_the_right_without_a_mask",
            'Two things: the prompts are padded on the *right* (`padding_side="left"` mends it), '
            "and the attention mask does not reach `generate`.",
            _batched(side="right", mask=False),
        ),
        Mistake(
            "cut_by_characters",
            "You cut off as many *characters* as the prompt has. Decoding leaves out special "
            "tokens and may change spaces, so the lengths differ: cut tokens, then decode.",
            _batched(cut=_cut_characters),
        ),
        Mistake(
            "prompt_replaced",
            "You remove the prompt's *text* wherever it stands. The answer may repeat it, and "
            "special tokens are no longer in the text: cut tokens, then decode.",
            _batched(cut=_replaced),
        ),
        Mistake(
            "last_tokens",
            "You keep the last `max_new_tokens` tokens. An answer may end sooner, and then a part "
            "of the prompt is among them: cut off the prompt in front.",
            _batched(cut=_last_tokens),
        ),
        Mistake(
            "cut_at_each_rows_own_length",
            "You cut each row after its own number of real tokens. The prompts were padded to the "
            'same length, so all end at the same column: `inputs["input_ids"].shape[1]`.',
            _batched(cut=_cut_at_own_length),
        ),
    ],
    hints=[
        '`tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")`.',
        "`model.generate(**inputs, max_new_tokens=…, do_sample=False)` returns prompt and answer.",
        "`tokenizer.batch_decode(tokens, skip_special_tokens=True)` decodes all rows.",
    ],
)

# --- 9.6 beam_search (stretch) --------------------------------------------------------------

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


def random_log_probs(seed: int, vocab_size: int, spread: float, end_bias: float):
    """A function from tokens to log-probabilities, drawn at random for every context; no ties."""

    def next_log_probs(tokens):
        draw = random.Random(f"{seed} {tuple(tokens)}")
        logits = [draw.gauss(0, spread) for _ in range(vocab_size)]
        logits[0] += end_bias
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
                candidates += [max(own)] if per_beam and step > 1 else own
            candidates = sorted(candidates, reverse=True)[: keeps * n_beams]
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


def _beam_case(seed, vocab_size, spread, end_bias, prompt, n_beams, max_new_tokens, penalty):
    label = f"beam_search(a random model, {prompt}, n_beams={n_beams}, "
    label += f"max_new_tokens={max_new_tokens}, eos_id=0, length_penalty={penalty})"
    model = random_log_probs(seed, vocab_size, spread, end_bias)
    return Case(model, prompt, n_beams, max_new_tokens, 0, penalty, label=label)


beam_search = Exercise(
    number="9.6",
    name="beam_search",
    oracle=_beam_search,
    compared_with='`generate(num_beams=…, early_stopping="never")`, token for token,',
    cases=lambda: [
        Case(tree_log_probs, [1], 2, 5, 0, label="the tree of cats, 2 beams"),
        _beam_case(671, 8, 1.5, 1.5, [4, 1], 3, 6, 2.0),
        _beam_case(414, 9, 2.0, 1.5, [2, 5, 3], 3, 6, 1.0),
        _beam_case(92, 9, 2.0, 0.0, [3, 2, 6], 4, 6, 0.5),
        _beam_case(3, 7, 1.0, 1.0, [2, 1], 1, 3, 2.0),
        _beam_case(23, 6, 1.0, 1.0, [2, 1], 2, 5, 2.0),
        _beam_case(472, 5, 1.0, 0.0, [2, 3, 1], 2, 4, 0.0),
        *[_beam_case(i, 7, 1.5, i % 2, [2, 1], 2 + i % 2, 4, 1.0) for i in range(4)],
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
            "You divide by ((5 + length) / 6) ** length_penalty, as Wu et al. (2016, §7) do. Here, "
            "as in the library, it is length ** length_penalty.",
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
